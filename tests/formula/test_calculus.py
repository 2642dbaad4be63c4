"""Slope, curvature and ∂parameter of every record against mpmath's own differentiation."""

import random
from typing import Any

import mpmath as mp
import pytest

from lossmith.formula.calculus import base, derivative, polish
from lossmith.formula.exact import function
from lossmith.formula.kinks import kinks
from lossmith.formula.ledger import LEDGER
from lossmith.formula.record import Formula

DIGITS = 50
CLOSE = mp.mpf(10) ** -20
FORMS = (lambda e: e, polish)  # what is derived, and what is written into programs


def settings(record: Formula) -> list[dict[str, float]]:
    samples = {p.name: p.domain.samples() for p in record.shape}
    middle = {name: s[1] for name, s in samples.items()}
    first = {name: s[0] for name, s in samples.items()}
    return [{p.name: p.default for p in record.shape}, middle, first] if samples else [{}]


def cuts(record: Formula, values: dict[str, float]) -> list[float]:
    """Kinks of ψ₀ (the scale at 1), and 0, where |u| has its own."""
    scale = {record.scale.name: 1.0} if record.scale else {}
    return [0.0, *(k.u for k in kinks(record, **values, **scale))]


def points(record: Formula, values: dict[str, float]) -> list[Any]:
    draw = random.Random(record.name)
    found = [draw.choice((-1, 1)) * 10 ** draw.uniform(-3, 1.3) for _ in range(6)]
    found += [c + side * 0.01 for c in cuts(record, values) for side in (-1, 1)]
    if record.family == "probability":
        found = [-abs(u) for u in found]
    return [mp.mpf(u) for u in found if min(abs(u - c) for c in cuts(record, values)) > 1e-4]


def evaluator(expression: Any, values: dict[str, float]) -> Any:
    """The expression as a function of u and the parameters."""
    return function(expression, ("u", *values))


@pytest.mark.parametrize("name", LEDGER)
def test_slope_and_curvature(name: str) -> None:
    record = LEDGER[name]
    for values in settings(record):
        with mp.workdps(DIGITS):
            given = [mp.mpf(v) for v in values.values()]
            psi = evaluator(base(record), values)
            for u in points(record, values):
                expression = base(record)
                for order in (1, 2):
                    expression = derivative(expression, "u")
                    truth = partial_diff(psi, [u, *given], 0, order)
                    for form in FORMS:
                        found = evaluator(form(expression), values)(u, *given)
                        assert abs(found - truth) <= CLOSE * (1 + abs(truth)), (order, u, form)


def partial_diff(f: Any, at: list[Any], place: int, order: int) -> Any:
    """∂^order f by one argument, by mpmath's finite differences at more digits."""
    return mp.diff(lambda x: f(*at[:place], x, *at[place + 1 :]), at[place], order)


@pytest.mark.parametrize("name", [n for n, r in LEDGER.items() if r.shape])
def test_derivatives_by_parameters(name: str) -> None:
    """∂ψ/∂θ and ∂²ψ/∂u∂θ, which a learned parameter needs."""
    record = LEDGER[name]
    for values in settings(record):
        with mp.workdps(DIGITS):
            given = [mp.mpf(v) for v in values.values()]
            for place, parameter in enumerate(values, 1):
                for order, expression in enumerate((base(record), derivative(base(record), "u"))):
                    formula = evaluator(derivative(expression, parameter), values)
                    plain = evaluator(expression, values)
                    for u in points(record, values):
                        truth = partial_diff(plain, [u, *given], place, 1)
                        found = formula(u, *given)
                        assert abs(found - truth) <= CLOSE * (1 + abs(truth)), (order, u, parameter)


@pytest.mark.parametrize("name", LEDGER)
def test_the_program_agrees_with_the_expression_at_zero(name: str) -> None:
    """`polish` may not lose a value, and finds those that the expression has no word for."""
    record = LEDGER[name]
    values = {p.name: p.default for p in record.shape}
    names = ("u", *values)
    expression = base(record)
    with mp.workdps(DIGITS):
        for _ in range(3):
            found = function(polish(expression), names)(mp.mpf(0), *map(mp.mpf, values.values()))
            assert mp.isfinite(found)
            expression = derivative(expression, "u")


@pytest.mark.parametrize("gamma", [1.0, 1.5, 2.0, 5.0])
def test_focal_is_certain_at_zero(gamma: float) -> None:
    """A target that is certain costs nothing, pulls nothing, and bends by a finite amount."""
    u, given = mp.mpf(0), mp.mpf(gamma)
    expression, truths = base(LEDGER["focal"]), (0, 0, 2 if gamma == 1 else 0)
    with mp.workdps(DIGITS):
        for truth in truths:
            assert function(polish(expression), ("u", "gamma"))(u, given) == truth
            expression = derivative(expression, "u")


# What the records say about their own kinks; for most, torch's twin says the same.
STATED = {
    "l1": {0.0: 0.0},
    "huber": {-1.0: -1.0, 1.0: 1.0},
    "smooth_l1": {-1.0: -1.0, 1.0: 1.0},
    "pinball": {0.0: -0.5},
    "epsilon_insensitive": {-0.1: 0.0, 0.1: 0.0},
    "hinge": {1.0: 0.0},
    "ramp": {-1.0: -1.0, 1.0: 0.0},
    "perceptron": {0.0: 0.0},
    "modified_huber": {-1.0: -4.0, 1.0: 0.0},
    "zero_one": {0.0: 0.0},
}


@pytest.mark.parametrize("name", STATED)
def test_the_slope_at_a_kink_is_the_stated_one(name: str) -> None:
    assert {k.u: k.slope for k in kinks(LEDGER[name])} == STATED[name]
