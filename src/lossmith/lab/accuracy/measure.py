"""The worst error of a formula in one dtype, against the same expression at 60 digits.

The measure is |got - truth| / (|f(u)| + |u·f'(u)|) for f = ψ, ψ' or ψ'': the second term is what
one rounding of the argument costs. An absolute error below the smallest normal number is
underflow, and none. Where the truth is finite in the dtype, the result must be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import mpmath as mp
import numpy as np
import torch
from torch import Tensor

import lossmith
from lossmith.engine.lean import programs
from lossmith.engine.pointwise import partials, register
from lossmith.formula import exact, numpy_math
from lossmith.formula.calculus import base, derivative
from lossmith.formula.lowering import make
from lossmith.formula.record import Formula
from lossmith.lab.accuracy.points import Numbers, kinks, points
from lossmith.link.forms import through_margin

Engine = Literal["cpu", "reference", "lean", "numpy"]
Truth = list[Any]
ORDERS = ("value", "slope", "curvature")
TARGETS = {"float32": 1e-6, "float64": 1e-13}
_TYPES: dict[str, tuple[Any, torch.dtype]] = {
    "float32": (np.float32, torch.float32),
    "float64": (np.float64, torch.float64),
}


@dataclass(frozen=True)
class Row:
    """The worst of one formula, dtype, order and engine."""

    loss: str
    variable: str  # u, or m for a probability formula through the margin
    dtype: str
    quantity: str
    engine: Engine
    points: int
    error: float
    where: float
    got: float
    truth: str

    @property
    def target(self) -> float:
        return TARGETS[self.dtype]

    @property
    def passed(self) -> bool:
        return self.error <= self.target


@dataclass(frozen=True)
class Subject:
    """A formula with its parameters as numbers of the dtype, and the variable it is tested in."""

    record: Formula
    dtype: str
    variable: str
    given: tuple[tuple[str, float], ...] = ()

    @property
    def parameters(self) -> dict[str, float]:
        number = _TYPES[self.dtype][0]
        bound = self.record.bind(dict(self.given))
        return {k: float(number(v)) for k, v in bound.items()}

    @property
    def shape(self) -> dict[str, float]:
        return {p.name: self.parameters[p.name] for p in self.record.shape}

    @property
    def scale(self) -> tuple[float, int]:
        """s and the power of ψ(r) = s^power·ψ₀(r/s)."""
        scale = self.record.scale
        return (self.parameters[scale.name], scale.power) if scale else (1.0, 0)


def subjects(record: Formula, dtype: str, given: dict[str, float]) -> list[Subject]:
    """ψ(u), and for a probability formula also g(m) = ψ(log σ(m)), which hard labels run."""
    variables = ("u", "m") if record.family == "probability" else ("u",)
    return [Subject(record, dtype, v, tuple(given.items())) for v in variables]


def truths(subject: Subject, arguments: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """f, f', f'', f''' at every argument; an argument may be an mpmath number."""
    (scale, power), names = subject.scale, ("u", *subject.shape)
    expressions = [base(subject.record)]
    for _ in range(3):
        expressions.append(derivative(expressions[-1], "u"))
    functions = [exact.function(e, names) for e in expressions]
    for r in arguments:
        magnitude = float(mp.log10(abs(r))) if r else 0.0
        # What is small in u² or u³ beside u needs its digits; far out nothing cancels, but through
        # the margin, where the chain rule's terms of e^m may leave one of e^(2m).
        lost = min(abs(float(r)), 1600.0) if subject.variable == "m" else 0.0
        with mp.workdps(int(60 + max(-3 * magnitude, magnitude / 4) + lost)):
            values = [mp.mpf(v) for v in subject.shape.values()]
            if subject.variable == "m":
                yield through_margin_truth(functions, mp.mpf(r), values)
                continue
            u = mp.mpf(r) / scale
            # At 0 the bound needs no further derivative, and there may be none.
            wanted = functions if r else functions[:3]
            found = [mp.mpf(scale) ** (power - k) * _at(f, u, values) for k, f in enumerate(wanted)]
            yield (*found, mp.mpf(0)) if len(found) == 3 else tuple(found)


def _at(f: Callable[..., Any], u: Any, values: list[Any]) -> Any:
    """f(u), and its limit where the expression as it stands divides by 0 at u = 0."""
    try:
        return f(u, *values)
    except ZeroDivisionError:
        with mp.workdps(100):
            return f(mp.mpf("-1e-4000"), *values)


def through_margin_truth(
    psi: list[Callable[..., Any]], m: Any, values: list[Any]
) -> tuple[Any, ...]:
    """ψ(log σ(m)) and its derivatives by the chain rule, written out, with no rewriting of ours."""
    u, p, n = -mp.log1p(mp.exp(-m)), 1 / (1 + mp.exp(-m)), 1 / (1 + mp.exp(m))
    f0, f1, f2, f3 = (f(u, *values) for f in psi)
    return (
        *(f0, f1 * n, f2 * n**2 - f1 * n * p),
        f3 * n**3 - 3 * f2 * n**2 * p - f1 * n * p * (n - p),
    )


def reference(subject: Subject, x: Numbers) -> list[Numbers]:
    """Value, slope and curvature by the reference engine's programs."""
    record, (scale, power) = subject.record, subject.scale
    name = f"{record.name}({subject.variable}), measured"
    key = register(name, _expression(subject), ("u", *subject.shape))
    u = torch.from_numpy(x) / scale
    numbers = tuple(subject.shape.values())
    return [
        (partials(key, order)(u, *numbers)[0] * scale ** (power - order)).numpy()
        for order in range(3)
    ]


def lean(subject: Subject, x: Numbers) -> list[Numbers]:
    """Value and slope by the short forms that run where there is no kernel."""
    record, (scale, power) = subject.record, subject.scale
    name = f"{record.name}({subject.variable}), measured"
    key = register(name, _expression(subject), ("u", *subject.shape))
    u, numbers = torch.from_numpy(x) / scale, tuple(subject.shape.values())
    form = programs.form(key, (0, 1), numbers, u.dtype)
    found = form.run(-u if form.turned else u, *numbers)
    return [
        (value * (factor * scale ** (power - order))).numpy()
        for order, (value, factor) in enumerate(zip(found, form.factors, strict=True))
    ]


def numpy(subject: Subject, x: Numbers) -> list[Numbers]:
    """Value, slope and curvature by the programs over NumPy's arrays."""
    scale, power = subject.scale
    results, expression = [], _expression(subject)
    with np.errstate(all="ignore"):
        for order in range(3):
            run = numpy_math.function(make((expression,), ("u",), tuple(subject.shape)))
            (found,) = run(x / scale, *subject.shape.values())
            results.append(found * scale ** (power - order))
            expression = derivative(expression, "u")
    return results


def _expression(subject: Subject) -> Any:
    return through_margin(subject.record) if subject.variable == "m" else base(subject.record)


def cpu(subject: Subject, x: Numbers) -> list[Numbers]:
    """Value and slope by the CPU engine, through the public function; its kernels hold no more."""
    function, z = getattr(lossmith, subject.record.name), torch.from_numpy(x)
    options: dict[str, Any] = {"reduction": "none", **subject.parameters}
    target: Tensor
    if subject.record.family == "probability":
        z, target = torch.stack([z, torch.zeros_like(z)], 1), torch.zeros(len(x), dtype=torch.int64)
    elif subject.record.family == "margin":
        target, options["labels"] = torch.ones_like(z), "signed"
    else:
        target = torch.zeros_like(z)
    z.requires_grad_()
    value = function(z, target, **options)
    (gradient,) = torch.autograd.grad(value, z, torch.ones_like(value))
    slope = gradient[:, 0] if gradient.dim() == 2 else gradient
    return [value.detach().numpy(), slope.numpy()]


def error(got: float, truth: Any, bound: Any, info: Any) -> float:
    """The measure above; infinite where the result is not finite though the truth is."""
    largest = float(info.max)
    if abs(truth) > largest:
        return 0.0 if got * mp.sign(truth) >= largest * (1 - 1e-6) else math.inf
    if not math.isfinite(got):
        near_the_end = abs(truth) > largest * (1 - 1e-6) and got * mp.sign(truth) > 0
        return 0.0 if near_the_end else math.inf
    away = abs(mp.mpf(got) - truth)
    if away < float(info.tiny):
        return 0.0
    return float(away / bound) if bound else math.inf


def measure(
    record: Formula,
    dtype: str,
    engines: Sequence[Engine] = ("cpu", "reference", "lean"),
    count: int = 1000,
    **parameters: float,
) -> list[Row]:
    """Every row of one formula in one dtype; parameters that are not given have their defaults."""
    subjects_ = subjects(record, dtype, parameters)
    return [row for subject in subjects_ for row in _measure(subject, engines, count)]


def _measure(subject: Subject, engines: Sequence[Engine], count: int) -> Iterator[Row]:
    number, _ = _TYPES[subject.dtype]
    info = np.finfo(number)
    x = points(subject.record, subject.parameters, number, count)
    if subject.variable == "m":
        x = np.unique(np.concatenate([x, -x]))
    exactly = list(truths(subject, [float(v) for v in x]))
    rounded = _rounded_at_kinks(subject, x, number)
    for engine in engines:
        if engine == "cpu" and subject.record.family == "probability" and subject.variable == "u":
            continue  # kernels take logits; their u is already rounded
        measured = {"cpu": cpu, "reference": reference, "lean": lean, "numpy": numpy}[engine]
        results = measured(subject, x)
        for order, result in enumerate(results):
            worst = (-1.0, 0.0, 0.0, mp.mpf(0))
            for i, got in enumerate(result.tolist()):
                candidates = [exactly[i], *([rounded[i]] if i in rounded else [])]
                e, truth = min(
                    (
                        error(got, t[order], abs(t[order]) + abs(float(x[i]) * t[order + 1]), info),
                        t[order],
                    )
                    for t in candidates
                )
                if e > worst[0]:
                    worst = (e, float(x[i]), got, truth)
            yield Row(
                *(subject.record.name, subject.variable, subject.dtype, ORDERS[order], engine),
                *(len(x), worst[0], worst[1], worst[2], mp.nstr(worst[3], 12)),
            )


def _rounded_at_kinks(subject: Subject, x: Numbers, number: Any) -> dict[int, tuple[Any, ...]]:
    """Where r/s rounds onto or over a kink, the branch of the rounded quotient is right as well."""
    scale, _ = subject.scale
    if scale == 1.0 or subject.variable == "m":
        return {}
    edges = [k for k in kinks(subject.record, subject.parameters) if k]
    with np.errstate(over="ignore"):
        quotient = (x / number(scale)).astype(number)
    places = [
        i
        for i, q in enumerate(quotient)
        if any(abs(float(q) - k) <= 2 * np.finfo(number).eps * abs(k) for k in edges)
    ]
    with mp.workdps(60):
        exact_products = [mp.mpf(float(quotient[i])) * scale for i in places]
    exactly = truths(subject, exact_products)
    return dict(zip(places, exactly, strict=True))
