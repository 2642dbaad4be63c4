"""One combination of the option matrix: its tensors, the library's answer, the definition's."""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.autograd import forward_ad

from lossmith.engine.cpu import engine as kernels
from lossmith.face import catalogue, multiclass, radial
from lossmith.lab.definition import loss as definition
from lossmith.lab.definition.loss import EVEN
from lossmith.lab.definition.psi import MARGIN, PROBABILITY, RESIDUAL

LABELS = ("index", "one-hot", "soft")
WEIGHTS = ("none", "sample", "class")
DROPS = ("none", "mask", "ignore_index")
REDUCTIONS = ("mean", "sum", "none")
SHAPES = ("N,C", "N,C,d", "N,C,d1,d2")
LAYOUTS = ("contiguous", "strided", "expanded")
DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16}
# Of the largest number of a result, see `measure`. Gradients are rounded to the prediction's dtype.
TOLERANCE = {
    "float64": (1e-12, 1e-12), "float32": (5e-6, 1e-5), "bfloat16": (5e-6, 2.0**-8 + 1e-5)
}  # fmt: skip
GAP = 0.02  # how far scores stay away from kinks and ties, where a slope is a convention
LOSSES = (
    *PROBABILITY,
    *MARGIN,
    *(f"CrammerSinger({m})" for m in MARGIN),
    *(f"OneVsRest({m})" for m in MARGIN),
    *(f"Radial({r})" for r in EVEN),
)


@dataclass(frozen=True)
class Case:
    """One combination. What is not an axis (alpha, forbidden classes …) is drawn from the seed."""

    loss: str
    labels: str
    weights: str
    drop: str
    smoothing: float
    reduction: str
    shape: str
    layout: str
    dtype: str

    @property
    def link(self) -> str:
        if self.loss in PROBABILITY:
            return "softmax"
        return {"C": "crammer_singer", "O": "one_vs_rest", "R": "norm"}.get(self.loss[0], "margin")

    @property
    def formula(self) -> str:
        return self.loss.rstrip(")").split("(")[-1]


def cases(losses: tuple[str, ...] = LOSSES) -> list[Case]:
    """Every combination of the options that each loss has."""
    found = []
    for loss in losses:
        link = Case(loss, "", "", "", 0.0, "", "", "", "").link
        labels: tuple[str, ...] = LABELS
        weights: tuple[str, ...] = WEIGHTS
        drops: tuple[str, ...] = DROPS
        if link == "norm":
            labels, weights, drops = ("real",), WEIGHTS[:2], DROPS[:2]
        if link == "margin":
            labels, drops = (*LABELS, "signed"), DROPS[:2]
            weights = WEIGHTS if loss == "binary_focal" else WEIGHTS[:2]
        smoothing = (0.0, 0.1) if link == "softmax" else (0.0,)
        found += [
            Case(loss, *rest)
            for rest in itertools.product(
                labels, weights, drops, smoothing, REDUCTIONS, SHAPES, LAYOUTS, DTYPES
            )
        ]
    return found


@dataclass
class Made:
    """The tensors of a case."""

    z: Tensor
    target: Tensor
    options: definition.Options
    seed: int


def make(case: Case, seed: int) -> Made:
    """Draw the tensors of a case."""
    pick = random.Random(f"{seed} {case}")
    g = torch.Generator().manual_seed(pick.getrandbits(60))
    classes = 130 if case.link == "softmax" and pick.random() < 0.1 else 4
    count = 1 if case.layout == "expanded" else pick.choice((2, 7))
    inner = {"N,C": (), "N,C,d": (3,), "N,C,d1,d2": (2, 3)}[case.shape]
    rows, dtype = (count, *inner), DTYPES[case.dtype]
    o = definition.Options(reduction=case.reduction, label_smoothing=case.smoothing)
    if case.link == "norm":
        z, target = _points(case, rows, pick.choice((1, 2, 3, 5)), dtype, g)
    elif case.link == "margin":
        z, target = _binary(case, rows, dtype, o, g)
    else:
        z, target = _classes(case, rows, classes, dtype, pick.random() < 0.3, g)
        if case.weights == "class":
            o.class_weight = torch.rand(classes, generator=g) + 0.2
            if pick.random() < 0.3:
                o.class_weight[pick.randrange(classes)] = 0.0
        if case.formula == "focal" and pick.random() < 0.4:
            o.alpha = torch.rand(classes, generator=g) * 2
        if case.drop == "ignore_index":
            o.ignore_index = pick.choice((-1, 1, 255))
            if case.labels != "index":
                o.ignore_index = -1  # from 0 on it is refused beside a distribution
            else:
                target[torch.rand(rows, generator=g) < 0.3] = o.ignore_index
    repeat = 5 if case.layout == "expanded" else count
    whole = (repeat, *inner)
    if case.weights == "sample":
        partly = pick.random() < 0.3 and case.layout != "contiguous"
        size = (1, *whole[1:]) if partly else whole
        o.sample_weight = torch.randint(0, 4, size, generator=g) / 2
    if case.drop == "mask":
        o.mask = torch.rand(whole, generator=g) < 0.7
    return Made(_lay(z, case.layout, repeat), _lay(target, case.layout, repeat), o, seed)


def _binary(
    case: Case, rows: tuple[int, ...], dtype: torch.dtype, o: definition.Options, g: Any
) -> tuple[Tensor, Tensor]:
    kinks = MARGIN[case.formula].kinks()
    z = _scores(torch.Size(rows).numel(), 1, (*kinks, *(-k for k in kinks)), (), dtype, g)
    if case.weights == "class":
        o.alpha = 0.3
    target: Tensor = torch.randint(0, 2, rows, generator=g)
    if case.labels == "one-hot":
        target = target.to(dtype)
    elif case.labels == "soft":
        target = torch.rand(rows, generator=g).to(dtype)
    elif case.labels == "signed":
        target, o.signed = 2 * target - 1, True
    return z.reshape(rows), target


def _points(
    case: Case, rows: tuple[int, ...], size: int, dtype: torch.dtype, g: Any
) -> tuple[Tensor, Tensor]:
    """Points and targets, no distance near a kink, and none at its target but for a few."""
    count, kinks = torch.Size(rows).numel(), RESIDUAL[case.formula].kinks()
    z, target = (torch.zeros(count, size, dtype=dtype) for _ in range(2))
    bad = torch.ones(count, dtype=torch.bool)
    while bad.any():
        for made in (z, target):
            drawn = 2 * torch.randn(int(bad.sum()), size, generator=g, dtype=torch.float64)
            made[bad] = drawn.to(dtype)
        distance = torch.linalg.vector_norm(z.double() - target.double(), dim=1)
        bad = distance < GAP
        for kink in kinks:
            bad |= (distance - kink).abs() < GAP
    if 0.0 not in kinks:
        at = torch.rand(count, generator=g) < 0.2
        z[at] = target[at]
    return z.reshape(*rows, size), target.reshape(*rows, size)


def _classes(
    case: Case, rows: tuple[int, ...], classes: int, dtype: torch.dtype, forbid: bool, g: Any
) -> tuple[Tensor, Tensor]:
    count = torch.Size(rows).numel()
    kinks: tuple[float, ...] = ()
    apart: tuple[float, ...] = ()
    if case.link == "one_vs_rest":
        kinks = MARGIN[case.formula].kinks()
        kinks = (*kinks, *(-k for k in kinks))
    elif case.link == "crammer_singer":
        apart = (0.0, *MARGIN[case.formula].kinks())
    z = _scores(count, classes, kinks, apart, dtype, g)
    label = torch.randint(0, classes, (count,), generator=g)
    hot = torch.nn.functional.one_hot(label, classes).bool()
    barred = torch.zeros_like(hot)
    if forbid:
        barred = (torch.rand(count, classes, generator=g) < 0.3) & ~hot
        barred &= (~barred).sum(1, keepdim=True) >= 2  # a margin needs a rival
        z = torch.where(barred, -torch.inf, z)
    target: Tensor = label.reshape(rows)
    if case.labels != "index":
        soft = hot.double()
        if case.labels == "soft":
            soft = torch.rand(count, classes, generator=g, dtype=torch.float64) + 0.05
            soft = torch.where(barred, 0.0, soft)
        soft = (soft / soft.sum(1, keepdim=True)).to(dtype)
        target = soft.reshape(*rows, classes).movedim(-1, 1)
    return z.reshape(*rows, classes).movedim(-1, 1), target


def _scores(
    count: int,
    classes: int,
    kinks: tuple[float, ...],
    apart: tuple[float, ...],
    dtype: torch.dtype,
    g: Any,
) -> Tensor:
    """Rows of scores in `dtype`: none near a kink, and no difference of two near one either."""
    z = torch.zeros(count, classes, dtype=dtype)
    bad = torch.ones(count, dtype=torch.bool)
    pairs = ~torch.eye(classes, dtype=torch.bool)
    while bad.any():
        drawn = 2.5 * torch.randn(int(bad.sum()), classes, generator=g, dtype=torch.float64)
        z[bad] = drawn.to(dtype)
        wide = z.double()
        bad = torch.zeros_like(bad)
        for kink in kinks:
            bad |= ((wide - kink).abs() < GAP).any(1)
        for gap in apart:
            difference = (wide.unsqueeze(2) - wide.unsqueeze(1) - gap).abs()
            bad |= ((difference < GAP) & pairs).flatten(1).any(1)
    return z


def _lay(x: Tensor, layout: str, repeat: int) -> Tensor:
    """The same numbers, elsewhere in memory; what lies between them is poison."""
    if layout == "expanded":
        return x.expand(repeat, *x.shape[1:])
    if layout == "strided":
        poison = float("nan") if x.is_floating_point() else 99
        wide = torch.full((*x.shape[:-1], 2 * x.shape[-1]), poison, dtype=x.dtype)
        wide[..., ::2] = x
        return wide[..., ::2]
    return x.contiguous()


@cache
def _function(loss: str) -> Any:
    if "(" not in loss:
        return catalogue.FUNCTIONS[loss]
    link, formula = loss.rstrip(")").split("(")
    home: Any = radial if link == "Radial" else multiclass
    return getattr(home, link)(formula).function


@contextlib.contextmanager
def _engine(name: str) -> Iterator[None]:
    """No kernel differentiates forwards, so inside a dual level the reference's graph runs.

    `lean`: there are no kernels, and first derivatives need no graph.
    """
    if name == "reference":
        with forward_ad.dual_level():
            yield
    elif name == "lean":
        with mock.patch.object(kernels, "without", return_value="the lean reference is asked for"):
            yield
    else:
        yield


def measure(case: Case, seed: int, engine: str) -> tuple[float, float]:
    """Errors of value and gradient, infinity where a dtype is wrong.

    A value's is relative to the largest value. A gradient is a sum of parts, and its error is
    relative to the largest sum of their sizes, Σ |part|: where parts cancel, what is left has
    fewer digits than any of them. (Relative to the largest gradient where that is good enough.)
    """
    made = make(case, seed)
    o = made.options
    wide = made.z.double().requires_grad_()
    given = (case.link, case.formula, wide, made.target, o)
    truth = definition.loss(*given)
    z = made.z.detach().requires_grad_()
    settings = {
        name: value
        for name in ("sample_weight", "mask", "class_weight", "alpha", "label_smoothing")
        if (value := getattr(o, name)) is not None and not (name == "label_smoothing" and not value)
    }
    if case.link == "margin":
        settings["labels"] = "signed" if o.signed else "binary"
    elif case.link != "norm":
        settings["ignore_index"] = o.ignore_index
    function = _function(case.loss)
    with _engine(engine):
        value = function(z, made.target, reduction=case.reduction, **settings)
    single = torch.float64 if case.dtype == "float64" else torch.float32
    if value.dtype != single or value.shape != truth.shape:
        return float("inf"), 0.0
    g = torch.Generator().manual_seed(seed & 0xFFFFFFFF)
    slopes = []
    for _ in range(2):  # a second backward over the same graph, with another upstream
        upstream = 0.1 + 2 * torch.rand(truth.shape, generator=g)
        (slope,) = torch.autograd.grad(value, z, upstream.to(single), retain_graph=True)
        expected = _gradient(truth, wide, upstream)
        error = float("inf") if slope.dtype != z.dtype else _relative(slope, expected, expected)
        if TOLERANCE[case.dtype][1] < error < float("inf"):
            sizes = [_gradient(part, wide, upstream).abs() for part in definition.parts(*given)]
            error = _relative(slope, expected, torch.stack(sizes).sum(0))
        slopes.append(error)
    value, truth = value.detach(), truth.detach()
    return _relative(value, truth, truth), max(slopes)


def _gradient(loss: Tensor, at: Tensor, upstream: Tensor) -> Tensor:
    if not loss.requires_grad:
        return torch.zeros_like(at)
    return torch.autograd.grad(
        loss, at, upstream.double(), retain_graph=True, allow_unused=True, materialize_grads=True
    )[0]


def _relative(got: Tensor, want: Tensor, size: Tensor) -> float:
    if got.numel() == 0:
        return 0.0
    error = float((got.double() - want).abs().max())
    largest = float(size.abs().max())
    return error / largest if largest else error
