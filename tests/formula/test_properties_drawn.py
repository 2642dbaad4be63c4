"""The net: properties of drawn formulas against a dense grid of their values at many digits."""

import dataclasses
import math
from functools import cache
from typing import Any

import pytest

import lossmith
from formula.refute import WORDS, refute, text, written
from lossmith.errors import FormulaError
from lossmith.formula import properties
from lossmith.formula.algebra import Properties
from seeded import commit

# Each was once claimed to be what it is not.
CAUGHT = (
    "u**4/(1 + u**4)",  # Lipschitz: the slope's terms cancel far out, and their rounding "diverged"
    "u**4/(1 + u**2) - u**2",  # highest, 0 for the same reason
    "0.5*(minimum(abs(u), 7.5)/(1 + minimum(abs(u), 7.5)))",  # a jump of the size of a rounding
    "where(abs(u) < 1.1, u**2/(1.3 + u**2), 1.1**2/(1.3 + 1.1**2))",
    "maximum((u + 2)**4, 0.5)",  # no cut at all: its roots are not rational, and SymPy not sure
    "u**6/(1 + u**2) - u**4 + u**2",  # convex: the grid saw nothing but rounding
    "sqrt(1 + (u - 3)**4) - (u - 3)**2",  # highest, likewise
    "minimum((u + 7.5)**4, 3)",  # symmetric: no point that was tried lay in the dip
    "1 - exp(-((u + 7.5)**4))",  # likewise, without a cut
    "where(u < 0.3, 0, 1)",  # redescending, as defined: no slope far out, and not constant
)


@cache
def claimed(formula: str) -> Properties:
    scope: dict[str, Any] = {name: getattr(lossmith.primitives, name) for name in WORDS}
    exec(f"def drawn(u): return {formula}", scope | {"__name__": "drawn"}, scope)
    return properties.of(lossmith.residual(scope["drawn"]).formula)


@pytest.mark.parametrize("formula", CAUGHT)
def test_what_was_once_claimed(formula: str) -> None:
    assert refute(claimed(formula), written(formula)) == []


@pytest.mark.parametrize("number", range(3))
def test_claims_of_drawn_formulas(number: int) -> None:
    formula = text(f"{commit()} {number}")
    try:
        found = claimed(formula)
    except FormulaError as error:  # maximum(1 - exp(-u**2), 1) is 1
        if "does not depend on u" not in str(error):
            raise
        return
    assert refute(found, written(formula)) == [], formula


# One formula that is smooth and bounded, one with a corner, and what is not so of them.
FALSE: list[tuple[str, dict[str, Any]]] = [
    ("u**2/(2*(3 + u**2))", {"lipschitz": math.inf}),
    ("u**2/(2*(3 + u**2))", {"lipschitz": 0.1874}),
    ("u**2/(2*(3 + u**2))", {"lipschitz": 0.2}),
    ("u**2/(2*(3 + u**2))", {"smooth": math.inf}),
    ("u**2/(2*(3 + u**2))", {"highest": math.inf}),
    ("u**2/(2*(3 + u**2))", {"highest": 0.49}),
    ("u**2/(2*(3 + u**2))", {"convex": True}),
    ("u**2/(2*(3 + u**2))", {"redescending": False}),
    ("u**2/(2*(3 + u**2))", {"symmetric": False}),
    ("u**2/(2*(3 + u**2))", {"differentiable": 0}),
    ("maximum(u, -2*u)", {"differentiable": 1}),
    ("maximum(u, -2*u)", {"differentiable": -1}),
    ("maximum(u, -2*u)", {"convex": False}),
    ("maximum(u, -2*u)", {"highest": 1e5}),
    ("maximum(u, -2*u)", {"lipschitz": 1.0}),
    ("maximum(u, -2*u)", {"symmetric": True}),
    ("abs(u)**1.5", {"lipschitz": 150.0}),
    ("abs(u)**1.5", {"smooth": 75.0}),
    ("where(u < 0.3, 0, 1)", {"differentiable": 0}),
]


@pytest.mark.parametrize(("formula", "claim"), FALSE)
def test_a_false_claim_is_refuted(formula: str, claim: dict[str, Any]) -> None:
    assert refute(dataclasses.replace(claimed(formula), **claim), written(formula))


@pytest.mark.parametrize("formula", sorted({formula for formula, _ in FALSE}))
def test_the_truth_is_not(formula: str) -> None:
    assert refute(claimed(formula), written(formula)) == []
