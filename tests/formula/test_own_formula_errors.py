"""Whatever can be wrong with a person's formula is said in words that name the fix."""

import math
from typing import Annotated, Any

import pytest
import sympy as sp

import lossmith
from lossmith import FormulaError, Positive, Real
from lossmith import primitives as w

Expr = Any
Bounded = Annotated[float, lossmith.Interval(low=0.0, high=1.0)]


def unknown_function(u: Expr) -> Expr:
    return sp.sin(u)


def free_symbol(u: Expr) -> Expr:
    return sp.Symbol("delta") * u**2


def root_of_u(u: Expr) -> Expr:
    return w.sqrt(u)


def logarithm_of_u(u: Expr) -> Expr:
    return w.log(u)


def imaginary(u: Expr) -> Expr:
    return sp.I * u


def division_by_zero(u: Expr) -> Expr:
    return u + sp.Integer(1) / sp.Integer(0)


def branch(u: Expr) -> Expr:
    if u > 0:
        return u
    return -u


def built_in_max(u: Expr) -> Expr:
    return max(0, 1 - u)


def plain_math(u: Expr) -> Expr:
    return math.exp(u)


def constant(u: Expr) -> Expr:
    return 3.0


def truth(u: Expr) -> Expr:
    return u > 0


def python_truth(u: Expr) -> Expr:
    return True


def text(u: Expr) -> Expr:
    return "u**2"


def nothing(u: Expr) -> Expr:
    return None


def pair(u: Expr) -> Expr:
    return (u, u**2)


def no_domain(u: Expr, c: float = 1.0) -> Expr:
    return c * u**2


def no_annotation(u: Expr, c=1.0) -> Expr:  # type: ignore[no-untyped-def]
    return c * u**2


def no_default(u: Expr, c: Positive) -> Expr:
    return c * u**2


def no_variable() -> Expr:
    return sp.Integer(1)


def unread_annotation(u: Expr, c: "Missing" = 1.0) -> Expr:  # type: ignore[name-defined] # noqa: F821
    return c * u**2


WRONG: list[tuple[Any, list[str]]] = [
    (unknown_function, ["unknown function sin", "Functions known here", "softplus"]),
    (free_symbol, ["free symbol delta", "def free_symbol(u, delta: lossmith.Positive = 1.0)"]),
    (root_of_u, ["not a real number", "where()"]),
    (logarithm_of_u, ["not a real number", "where()"]),
    (imaginary, ["not a real number"]),
    (division_by_zero, ["not a real number"]),
    (branch, ["where()", "instead of if"]),
    (built_in_max, ["maximum()", "instead of if, max()"]),
    (plain_math, ["lossmith.primitives instead of math"]),
    (constant, ["does not depend on u"]),
    (truth, ["not a number", "where()"]),
    (python_truth, ["not a number"]),
    (text, ["returned str", "return an expression of u"]),
    (nothing, ["returned NoneType", "return an expression of u"]),
    (pair, ["not a number"]),
    (no_domain, ["'c' has no domain", "c: lossmith.Positive = 1.0"]),
    (no_annotation, ["'c' has no domain"]),
    (no_default, ["'c' has no default", "(0, ∞)"]),
    (no_variable, ["a function of u first", "def no_variable(u, ...)"]),
    (unread_annotation, ["annotation cannot be read"]),
]


@pytest.mark.parametrize(("formula", "says"), WRONG, ids=[f.__name__ for f, _ in WRONG])
@pytest.mark.parametrize("family", ["residual", "margin", "probability"])
def test_the_error_names_the_loss_and_the_fix(family: str, formula: Any, says: list[str]) -> None:
    with pytest.raises(FormulaError) as caught:
        getattr(lossmith, family)(formula)
    message = str(caught.value)
    for part in (formula.__name__, *says):
        assert part in message
    assert "\n" not in message


def test_a_default_outside_its_domain() -> None:
    def outside(u: Expr, s: Bounded = 1.5) -> Expr:
        return s * u**2

    with pytest.raises(lossmith.ParameterError, match=r"s = 1.5 is outside \(0, 1\)"):
        lossmith.residual(outside)


def test_a_real_formula_of_a_restricted_u_is_taken() -> None:
    """Real on the branches that are taken is real enough."""

    @lossmith.residual
    def restricted(u: Expr, c: Real = 1.0) -> Expr:
        return w.where(u > 1, w.log(abs(u)), c * (u - 1))

    assert float(lossmith.curve(restricted, [math.e])[0]) == pytest.approx(1.0)
