"""The rows of the table: each loss as function and Module, its inputs, and what is true of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

import lossmith
from lossmith.formula.ledger import LEDGER
from lossmith.lab.accuracy.points import kinks
from lossmith.lab.support import plain
from lossmith.risk.adaptive import AdaptiveLoss
from lossmith.risk.centers import CenterLoss

ROWS = 6  # rows of a batch
CLASSES = 4
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Row:
    """A loss: how to make it, fresh each time, and the same without the library."""

    name: str
    module: Callable[..., nn.Module]  # of a reduction
    each: plain.Each  # in float64, one loss for each row
    draw: Callable[[int, int], Batch]  # (rows, seed), float64
    function: Callable[..., Any] | None = None  # None: there is only a Module
    public: bool = True  # whether the function has a public name
    learned: str | None = None  # a parameter that can be learned
    inductor: bool = False  # compiled down to machine code, and not only traced
    graphs: int = 1  # of a compiled loss: more where it goes another way with fewer rows

    def forms(self) -> tuple[str, ...]:
        """What is to be tried."""
        return ("Module",) if self.function is None else ("function", "Module")

    def make(self, form: str, reduction: str = "mean") -> Callable[[Tensor, Tensor], Tensor]:
        """A fresh callable of (prediction, target)."""
        if form == "function" and self.function is not None:
            return partial(self.function, reduction=reduction)
        if form == "both":
            return Both(self, reduction)
        return self.module(reduction=reduction)


class Both(nn.Module):
    """Function and Module in one graph, whose weighted mean is either: half the compilations."""

    def __init__(self, row: Row, reduction: str) -> None:
        super().__init__()
        self.losses = [row.make(form, reduction) for form in row.forms()]
        self.module = self.losses[-1]  # its state is this Module's

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """A quarter of the one and three quarters of the other."""
        found = [loss(prediction, target) for loss in self.losses]
        return found[0] if len(found) == 1 else 0.25 * found[0] + 0.75 * found[1]


def rows() -> dict[str, Row]:
    """Every row, by name."""
    return {row.name: row for row in _all()}


@cache
def _all() -> tuple[Row, ...]:
    found = [_catalogue(name) for name in LEDGER if LEDGER[name].family != "divergence"]
    for name in ("hinge", "binary_focal"):
        found.append(_linked("CrammerSinger", name, plain.crammer_singer(name)))
        found.append(_linked("OneVsRest", name, plain.one_vs_rest(name)))
    for name in ("l1", "huber"):
        found.append(_linked("Radial", name, plain.radial(name), _points))
    for name, each in (("kl_divergence", plain.kl), ("js_divergence", plain.js)):
        function: Any = getattr(lossmith, name)
        found.append(Row(name, function.Module, each, _distributions, function))
    weight, bias = _numbers(CLASSES, 3), torch.tensor([0.5, -0.25, 0.0, 1.0]).double()
    found.append(
        Row(
            "LinearLoss",
            partial(_head, weight, bias),
            plain.linear(weight, bias),
            _features,
            partial(_linear_loss, weight, bias),
            public=False,
        )
    )
    for update in ("paper", "gradient"):
        centers = _numbers(CLASSES, 3)
        found.append(
            Row(
                f"CenterLoss, {update}",
                partial(_centers, centers, update),
                plain.center(centers),
                _features,
                inductor=update == "gradient",
                graphs=2 if update == "paper" else 1,
            )
        )
    found.append(Row("AdaptiveLoss", _adaptive, plain.adaptive, _residuals))
    found.append(
        Row(
            "an own loss",
            partial(own.Module),
            lambda z, t: torch.log1p((z - t) ** 2 / 0.49),
            partial(_scores, kinks=()),
            own,
            learned="c",
            inductor=True,
        )
    )
    return tuple(found)


@lossmith.residual
def own(u: Any, c: lossmith.Positive = 0.7) -> Any:
    """A person's own loss, as the page about them has it."""
    return lossmith.primitives.log1p_square(u / c)


def _catalogue(name: str) -> Row:
    record = LEDGER[name]
    function: Any = getattr(lossmith, name)
    learned = record.parameters[0].name if record.parameters else None
    few = name in ("huber", "cross_entropy", "focal")
    given = {"function": function, "learned": learned, "inductor": few}
    if record.family == "probability":
        return Row(name, function.Module, plain.softmax(name), _classes, **given)
    where = tuple(float(k) for k in kinks(record, record.defaults))
    scale = record.scale.default if record.scale else 1.0
    draw = partial(_scores, kinks=where, labels=record.family == "margin", scale=scale)
    each = plain.margin(name) if record.family == "margin" else plain.residual(name)
    return Row(name, function.Module, each, draw, **given)


def _linked(
    link: str, name: str, each: plain.Each, draw: Callable[[int, int], Batch] | None = None
) -> Row:
    make = partial(getattr(lossmith, link), name)
    record = LEDGER[name]
    learned = record.parameters[0].name if record.parameters else None
    return Row(
        f"{link}({name})",
        make,
        each,
        draw or _classes,
        make().function,
        public=False,
        learned=learned,
    )


def _scores(
    count: int, seed: int, kinks: tuple[float, ...], labels: bool = False, scale: float = 1.0
) -> Batch:
    """u/scale in [-3, 3], at least 0.1 from each kink; labels 0 and 1, or targets of any size."""
    generator = torch.Generator().manual_seed(seed)
    u = 6 * torch.rand(40 * count, dtype=torch.float64, generator=generator) - 3
    for kink in kinks:
        u = u[(u - kink).abs() > 0.1]
    u = u[:count] * scale
    t = torch.randn(count, dtype=torch.float64, generator=generator)
    if labels:
        t = (t > 0).double()
        return (2 * t - 1) * u, t
    return t + u, t


def _classes(count: int, seed: int) -> Batch:
    """Scores well apart in each row, at no kink of a margin; class indices."""
    generator = torch.Generator().manual_seed(seed)
    t = torch.randint(0, CLASSES, (count,), generator=generator)
    ladder = torch.tensor([-1.83, -0.62, 0.55, 1.41], dtype=torch.float64)
    order = torch.rand(count, CLASSES, generator=generator).argsort(1)
    near = torch.rand(count, CLASSES, dtype=torch.float64, generator=generator)
    return ladder[order] + 0.1 * near, t


def _points(count: int, seed: int) -> Batch:
    """Points of three coordinates, 0.4 to 0.8 or 1.2 to 1.6 from their targets: off the kinks."""
    generator = torch.Generator().manual_seed(seed)
    way = torch.randn(count, 3, dtype=torch.float64, generator=generator)
    far = 0.4 + 0.4 * torch.rand(count, 1, dtype=torch.float64, generator=generator)
    far = far + 0.8 * torch.randint(0, 2, (count, 1), generator=generator)
    t = torch.randn(count, 3, dtype=torch.float64, generator=generator)
    return t + far * way / torch.linalg.vector_norm(way, dim=1, keepdim=True), t


def _distributions(count: int, seed: int) -> Batch:
    z, _ = _classes(count, seed)
    return z, _classes(count, seed + 1)[0].softmax(1)


def _features(count: int, seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 3, dtype=torch.float64, generator=generator)
    return x, torch.randint(0, CLASSES, (count,), generator=generator)


def _residuals(count: int, seed: int) -> Batch:
    return _scores(count, seed, ())


def _numbers(*shape: int) -> Tensor:
    """Fixed numbers that float32 holds exactly."""
    generator = torch.Generator().manual_seed(12)
    return (torch.randn(shape, generator=generator) * 64).round().double() / 64


def _linear_loss(weight: Tensor, bias: Tensor, z: Tensor, t: Tensor, reduction: str) -> Tensor:
    weight, bias = (a.to(z.device, torch.float64) for a in (weight, bias))
    if z.dtype != torch.float64:
        weight, bias = weight.float(), bias.float()
    return lossmith.linear_loss(z, weight, t, bias, reduction=reduction)  # type: ignore[arg-type]


def _head(weight: Tensor, bias: Tensor, reduction: str = "mean") -> nn.Module:
    head: Any = lossmith.LinearLoss(3, CLASSES, reduction=reduction).double()  # type: ignore[arg-type]
    with torch.no_grad():
        head.weight.copy_(weight)
        head.bias.copy_(bias)
    return head


def _centers(centers: Tensor, update: str, reduction: str = "mean") -> nn.Module:
    loss = CenterLoss(CLASSES, 3, update=update, reduction=reduction)
    with torch.no_grad():
        loss.centers.copy_(centers)
    return loss


def _adaptive(reduction: str = "mean") -> nn.Module:
    loss: Any = AdaptiveLoss(reduction=reduction).double()
    with torch.no_grad():  # again, for the start was rounded to float32
        loss.latent_alpha.zero_()
        loss.latent_scale.fill_(math.log(math.expm1(1 - loss.scale_min)))
    return loss
