"""The tensors of a drawn call: numbers by its seed, laid out and poisoned as it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lossmith.lab.definition.loss import Options
from lossmith.lab.fuzz.calls import Case
from lossmith.lab.fuzz.layouts import SHARED, lay


@dataclass
class Made:
    """What one call is made of; `learned` are leaves that require a gradient."""

    z: Tensor
    target: Tensor
    weight: Tensor | None
    mask: Tensor | None
    class_weight: Tensor | None
    alpha: Tensor | float | None
    learned: dict[str, Tensor]

    def data(self) -> list[Tensor]:
        """Every tensor that a call must leave as it was."""
        given = (self.z, self.target, self.weight, self.mask, self.class_weight, self.alpha)
        return [x for x in given if isinstance(x, Tensor)]

    def options(self, case: Case) -> Options:
        """The same call in the definition's words, except for learned parameters."""
        own: dict[str, Any] = dict(case.parameters)
        if case.formula == "kl_divergence":
            own["direction"] = case.direction
        return Options(
            self.weight, self.mask, self.class_weight, self.alpha, case.smoothing,
            case.ignore_index, case.labels == "signed", case.reduction, own,
        )  # fmt: skip


def make(case: Case, which: int) -> Made:
    """The tensors of a case's shape number `which`."""
    shape = case.shapes[which]
    g = torch.Generator().manual_seed(case.seed + which)
    rows = case.rows(shape)
    target = _target(case, shape, rows, g)
    layout = case.layouts[1]
    if target.dim() > 1 and case.labels in ("soft", "probabilities") and not case.elementwise:
        layout = "reversed" if layout == "overlapping" else layout  # rows must add up to 1
    target = lay(target, layout)
    z = lay(
        (2.5 * _near(case, shape) * torch.randn(shape, generator=g)).to(getattr(torch, case.dtype)),
        case.layouts[0],
    )
    weight = mask = class_weight = alpha = None
    small = tuple(1 if case.narrow and torch.rand((), generator=g) < 0.5 else n for n in rows)
    if case.weight:
        numbers = torch.randint(0, 4, small, generator=g) / (1 if case.weight == "int64" else 2)
        weight = lay(numbers.to(getattr(torch, case.weight)), case.layouts[2])
    if case.mask:
        mask = lay(torch.rand(small, generator=g) < 0.7, case.layouts[3])
    if case.class_weight:
        class_weight = torch.rand(shape[1], generator=g) + 0.2
        if torch.rand((), generator=g) < 0.3:
            class_weight[0] = 0.0
    if case.alpha:
        alpha = 0.3 if case.link == "margin" else torch.rand(shape[1], generator=g) * 2
    if case.forbidden and case.labels == "index" and case.layouts[0] not in SHARED:
        _forbid(case, z, target, g)
    _poison(case, z, target, layout, weight, mask)
    return Made(z, target, weight, mask, class_weight, alpha, _learned(case, shape, g))


def _near(case: Case, shape: tuple[int, ...]) -> float:
    """So that distances of many coordinates are no larger than those of one."""
    return float(shape[-1]) ** -0.5 if case.link == "norm" else 1.0


def _target(case: Case, shape: Any, rows: Any, g: Any) -> Tensor:
    dtype = getattr(torch, case.target_dtype)
    if case.labels == "real":
        return (
            (2 * _near(case, shape) * torch.randn(shape, generator=g)).round(decimals=3).to(dtype)
        )
    if case.labels == "hard":
        return torch.randint(0, 2, rows, generator=g).to(dtype)
    if case.labels == "signed":
        return (2 * torch.randint(0, 2, rows, generator=g) - 1).to(dtype)
    if case.elementwise:
        return torch.rand(rows, generator=g).to(dtype)
    if case.labels == "index":
        info = torch.iinfo(dtype)
        label = torch.randint(0, min(shape[1], info.max + 1), rows, generator=g).to(dtype)
        if info.min <= case.ignore_index <= info.max:
            label[torch.rand(rows, generator=g) < 0.2] = case.ignore_index
        return label
    if case.labels == "logits":
        return (2 * _near(case, shape) * torch.randn(shape, generator=g)).to(dtype)
    share = torch.rand(shape, generator=g, dtype=torch.float64) + 0.05
    if case.labels == "probabilities" and case.direction == "forward":
        share[:, 1:][torch.rand(share[:, 1:].shape, generator=g) < 0.2] = 0.0
    return (share / share.sum(1, keepdim=True)).to(dtype)


def _forbid(case: Case, z: Tensor, target: Tensor, g: Any) -> None:
    """Logits of -inf, though never a row's own class, nor all but one."""
    own = target.long().unsqueeze(1) == torch.arange(z.shape[1]).view(-1, *[1] * (z.dim() - 2))
    barred = (torch.rand(z.shape, generator=g) < 0.3) & ~own
    barred &= (~barred).sum(1, keepdim=True) >= 2
    z.masked_fill_(barred, -torch.inf)


def _poison(
    case: Case, z: Tensor, target: Tensor, layout: str, weight: Tensor | None, mask: Tensor | None
) -> None:
    """What is dropped is NaN, and its label none that there is."""
    rows = case.rows(tuple(z.shape))
    dropped = torch.zeros(rows, dtype=torch.bool)
    if weight is not None:
        dropped |= weight.expand(rows) == 0
    if mask is not None:
        dropped |= ~mask.expand(rows)
    wide = dropped if case.axis is None else dropped.unsqueeze(case.axis)
    if case.layouts[0] not in SHARED and case.seed % 3:
        z.masked_fill_(wide.expand(z.shape), float("nan"))
    if layout not in SHARED and case.seed % 2 and case.target_dtype != "bool":
        wrong = float("nan") if target.is_floating_point() else 111
        target.masked_fill_(
            (wide if target.dim() == z.dim() else dropped).expand(target.shape), wrong
        )


def _learned(case: Case, shape: Any, g: Any) -> dict[str, Tensor]:
    if not case.learned:
        return {}
    dtype = torch.float64 if case.dtype == "float64" else torch.float32
    sizes: tuple[int, ...] = ()
    if case.learned == "many" and shape and case.link in ("residual", "margin", "softmax"):
        sizes = (shape[-1],) if case.elementwise else (shape[1],)
    found = {}
    for name, value in case.parameters:
        spread = 0.97 + 0.03 * torch.rand(sizes, generator=g, dtype=torch.float64)
        found[name] = (value * spread).to(dtype).requires_grad_()
    return found
