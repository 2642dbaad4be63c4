"""Numbers drawn over the whole range of a float type, for every formula, against 60 digits.

A case is one loss in one dtype on one engine, with parameters drawn up to the ends of their
domains and points over every exponent, subnormal, largest, near kinks. What is asked of each
point is the rule of `lossmith accuracy`: a result that the type can hold is right to its target,
only what overflows is infinite, and nothing is NaN where the truth is a number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from types import SimpleNamespace
from typing import Any

import mpmath as mp
import torch
from torch import Tensor
from torch.autograd import forward_ad

import lossmith
from lossmith.formula import exact
from lossmith.formula.calculus import base, derivative
from lossmith.formula.domain import Interval
from lossmith.formula.ledger import LEDGER
from lossmith.formula.record import Formula
from lossmith.lab.accuracy.measure import TARGETS, error, through_margin_truth

POINTS = 32
DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
# What a gradient that is stored in half precision can be held to: a unit of its last place.
_ROUNDING = {"bfloat16": 2.0**-8, "float16": 2.0**-11}
# How far a residual in float64 may be from its scale, and how near to 0: its square has to be a
# number, and where curvature is asked for, its third power.
_REACH = {"kernel": 2.0**480, "reference": 2.0**330}
# Barron's alpha: 1/√(1 + x²) rounds to 1 where its power of a larger alpha does not; a known limit.
_STEEPEST = 64.0
# Where q nears 1, this curvature nears 0 at a margin of 0 as p - q·(1 - p): a known limit, it has
# the digits of its two terms there.
_TO_ITS_TERMS = {"generalized_cross_entropy"}
ENGINES = ("kernel", "reference")
ORDERS = ("value", "slope", "curvature")


@dataclass(frozen=True)
class Case:
    """Points of one loss in one dtype on one engine; repr() is a line that makes it again."""

    loss: str
    dtype: str
    engine: str
    parameters: tuple[tuple[str, float], ...]
    points: tuple[float, ...]
    reduction: str = "none"


def draw(random: Random, names: Sequence[str] = tuple(LEDGER)) -> Case:
    """A case from everything there is, or of some losses only."""
    name = random.choice(list(names))
    dtype = random.choice(["float32", "float32", "float64", "float64", "bfloat16", "float16"])
    engine = random.choice(ENGINES)
    record, wide = LEDGER[name], "float64" if dtype == "float64" else "float32"
    given = {p.name: _parameter(random, p.domain, p.default, wide) for p in record.parameters}
    scale = given[record.scale.name] if record.scale else 1.0
    magnets = [0.0, *(s * k for s in (-1.0, 1.0) for k in (1.0, *given.values())), 1 - scale]
    points = [_point(random, dtype, scale, magnets) for _ in range(POINTS)]
    if dtype == "float64":
        # There is no wider type to compute these in: see the limits in docs/architecture.md.
        for p in record.parameters:
            if abs(given[p.name]) > 2.0**400 or (abs(given[p.name]) < 2.0**-400):
                given[p.name] = p.default
    if record.scale and dtype == "float64":
        scale = given[record.scale.name]
        reach = _REACH[engine]
        points = [
            x for x in points
            if not x or (1 / reach < abs(x) / scale < reach and abs(x) > 1 / _REACH["kernel"])
        ]  # fmt: skip
    reduction = random.choice(["none", "none", "sum", "mean"])
    return Case(name, dtype, engine, tuple(given.items()), tuple(points), reduction)


def _number(dtype: str, x: float) -> float:
    """x as a number of the dtype; what is too large for it as its largest."""
    largest = float(torch.finfo(DTYPES[dtype]).max)
    held = torch.tensor(max(-largest, min(largest, x)), dtype=torch.float64)
    return float(held.to(DTYPES[dtype]))


def _anywhere(random: Random, dtype: str) -> float:
    """Any exponent of the dtype, subnormal ones included."""
    info = torch.finfo(DTYPES[dtype])
    low = math.log2(info.smallest_normal) + math.log2(info.eps)
    e = random.uniform(low, math.log2(info.max))
    return _number(dtype, random.uniform(1.0, 2.0) * 2.0 ** math.floor(e))


def _parameter(random: Random, domain: Interval, default: float, dtype: str) -> float:
    kind = random.randrange(5)
    low, high = domain.low, domain.high
    x = default
    if kind == 1:
        x = default * random.uniform(0.3, 3.0)
    elif kind == 2:
        x = _anywhere(random, dtype) * random.choice([-1, 1])
    elif kind == 3:
        x = (low if math.isfinite(low) else 0.0) + _anywhere(random, dtype)
    elif kind == 4 and math.isfinite(high):
        x = high - 2.0 ** random.uniform(-50, 1)
    x = _number(dtype, x)
    if domain.low == -math.inf and abs(x) > _STEEPEST:
        x = default
    return x if x in domain else _number(dtype, default)


def _point(random: Random, dtype: str, scale: float, magnets: Sequence[float]) -> float:
    kind = random.randrange(8)
    info = torch.finfo(DTYPES[dtype])
    if kind < 3:
        x = _anywhere(random, dtype)
    elif kind < 5:
        x = random.expovariate(0.2) * random.choice([1.0, scale])
    elif kind == 5:
        near = 1 + random.choice([0, 1, -1, 2]) * random.choice([info.eps, 2.0**-9])
        x = random.choice(list(magnets)) * random.choice([1.0, scale]) * near
    elif kind == 6:
        x = random.choice([info.max, info.max / 2, info.smallest_normal, info.smallest_normal / 4])
    else:
        x = 2.0 ** random.uniform(-30, 10)
    return _number(dtype, x * random.choice([-1, 1]))


def judge(case: Case) -> str | None:
    """None, or one line with what is wrong and the case that shows it."""
    record = LEDGER[case.loss]
    found = _run(case, record)
    parameters = tuple(v for _, v in case.parameters)
    if case.reduction != "none":
        return _judge_reduced(case, record, found[0][0])
    for i, point in enumerate(case.points):
        truths = _truths(record, parameters, point, case.dtype)
        known = [next(truths)]
        for order, name in enumerate(ORDERS[: len(found)]):
            got, place = found[order][i], 0
            while (worst := _error(case, order, got, known[place], point)) > _target(case, order):
                place += 1
                if place == len(known):
                    known += [truth for truth in [next(truths, None)] if truth is not None]
                if place == len(known):
                    small = Case(case.loss, case.dtype, case.engine, case.parameters, (point,))
                    truth = mp.nstr(known[0][order], 12)
                    return f"{name} {got!r}, truth {truth}, error {worst:.1e}: judge({small!r})"
    return None


def _judge_reduced(case: Case, record: Formula, got: float) -> str | None:
    """A sum or mean is right, infinite where it overflows, and never an error."""
    parameters = tuple(v for _, v in case.parameters)
    truths = [next(_truths(record, parameters, x, case.dtype)) for x in case.points]
    share = 1 / len(truths) if case.reduction == "mean" else 1
    whole = mp.fsum(abs(t[0]) for t in truths)
    if case.dtype == "float64" and whole > float(torch.finfo(torch.float64).max):
        return None  # no wider type holds the sum
    total = share * mp.fsum(t[0] for t in truths)
    # As sure as the least sure of its terms.
    bound = share * mp.fsum(
        abs(t[0]) + abs(mp.mpf(x) * t[1]) for t, x in zip(truths, case.points, strict=True)
    )
    info: Any = torch.finfo(DTYPES[_stored_in(case, 0)])
    tiny = info.tiny * len(truths) * _unit(case, record, 0)
    worst = error(got, total, bound, SimpleNamespace(max=info.max, tiny=min(tiny, info.max)))
    if worst <= 10 * _target(case, 0):
        return None
    return f"{case.reduction} {got!r}, truth {mp.nstr(total, 12)}, error {worst:.1e}: {case!r}"


def _unit(case: Case, record: Formula, order: int) -> float:
    """What a kernel's 1 is worth: it holds ψ in units of the scale, and of large parameters."""
    if case.engine != "kernel":
        return 1.0
    numbers = [abs(value) for _, value in case.parameters]
    if record.scale is None:
        return max([1.0, *numbers])
    return max([1.0, *numbers[:-1]]) * max(1.0, numbers[-1] ** (record.scale.power - order))


def _stored_in(case: Case, order: int) -> str:
    """Where a result lies: values in the compute type, gradients in the prediction's."""
    if case.dtype in _ROUNDING and order == 0:
        return "float32"
    return case.dtype


def _target(case: Case, order: int) -> float:
    place = _stored_in(case, order)
    return _ROUNDING[place] if place in _ROUNDING and order == 1 else TARGETS.get(place, 1e-6)


def _error(case: Case, order: int, got: float, truth: tuple[Any, ...], point: float) -> float:
    place = "float32" if order == 2 and case.dtype in _ROUNDING else _stored_in(case, order)
    info: Any = torch.finfo(DTYPES[place])
    # In these units nothing is promised below the smallest number.
    tiny = info.tiny * _unit(case, LEDGER[case.loss], order)
    info = SimpleNamespace(max=info.max, tiny=min(tiny, info.max))
    bound = abs(truth[order]) + abs(mp.mpf(point) * truth[order + 1])
    if order == 2 and case.loss in _TO_ITS_TERMS:
        bound += abs(truth[1])
    return error(got, truth[order], bound, info)


def _run(case: Case, record: Formula) -> list[list[float]]:
    """Value, slope, and on the reference engine curvature, of every point."""
    z = torch.tensor(case.points, dtype=torch.float64).to(DTYPES[case.dtype])
    function, options = getattr(lossmith, case.loss), dict(case.parameters)
    target: Tensor
    if record.family == "probability":
        z = torch.stack([z, torch.zeros_like(z)], 1)
        target = torch.zeros(len(z), dtype=torch.int64)
    elif record.family == "margin":
        target, options["labels"] = torch.ones_like(z), "signed"  # type: ignore[assignment]
    else:
        target = torch.zeros_like(z)
    z.requires_grad_()
    if case.engine == "kernel":
        value = function(z, target, reduction=case.reduction, **options)
        (slope,) = torch.autograd.grad(value, z, torch.ones_like(value))
        results = [value, slope]
    else:
        with forward_ad.dual_level():  # no kernel differentiates forwards
            value = function(z, target, reduction=case.reduction, **options)
            (slope,) = torch.autograd.grad(value, z, torch.ones_like(value))
        results = [value, slope, lossmith.derivatives(function, z, target, **options).hessian]
    return [_column(r).detach().double().tolist() for r in results]


def _column(x: Tensor) -> Tensor:
    return x[:, 0] if x.dim() == 2 else x.reshape(-1)


@cache
def _functions(name: str) -> tuple[Any, ...]:
    record = LEDGER[name]
    expressions = [base(record)]
    for _ in range(3):
        expressions.append(derivative(expressions[-1], "u"))
    names = ("u", *(p.name for p in record.shape))
    return tuple(exact.function(e, names) for e in expressions)


def _truths(
    record: Formula, parameters: tuple[float, ...], point: float, dtype: str
) -> Iterator[tuple[Any, ...]]:
    """f, f', f'', f''' at the point; and at its neighbours, for the sake of kinks."""
    functions = _functions(record.name)
    scale, power = (parameters[-1], record.scale.power) if record.scale else (1.0, 0)
    shape = parameters[: len(record.shape)]
    wide = "float64" if dtype == "float64" else "float32"
    eps = torch.finfo(DTYPES[wide]).eps
    for step in (0.0, -1.0, 1.0):
        r = mp.mpf(point) * (1 + step * eps)
        u = r / scale
        away = float(mp.log10(abs(u))) if u else 0.0
        lost = max(-3 * away, away / 4)  # what is small in u² or u³ beside u needs its digits
        if record.family == "probability":
            lost = min(abs(point), 800.0)  # terms of e^m may leave one of e^(2m)
        with mp.workdps(int(60 + lost)):
            u, values = r / scale, [mp.mpf(v) for v in shape]
            if record.family == "probability":
                yield through_margin_truth(list(functions), u, values)
                continue
            yield tuple(
                mp.mpf(scale) ** (power - k) * _at(f, u, values) for k, f in enumerate(functions)
            )


def _at(f: Any, u: Any, values: list[Any]) -> Any:
    """f(u), and its limit where the expression as it stands divides by 0 at u = 0."""
    try:
        return f(u, *values)
    except ZeroDivisionError:
        with mp.workdps(100):
            return f(mp.mpf("1e-4000"), *values)
