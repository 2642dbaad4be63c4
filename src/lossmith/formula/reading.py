"""The form in which a formula is read: elementary functions, like terms joined, u on the left.

A program is written in primitives because they stay accurate; a reader knows their definitions
better. Nothing here is evaluated.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

import sympy as sp
from sympy.core.relational import Relational

from lossmith.formula import primitives as p
from lossmith.formula.calculus import (
    FOLDED,
    U,
    base,
    branch_count,
    derivative,
    partial,
    symbols,
)
from lossmith.formula.printers import line
from lossmith.formula.record import Formula

Expr = Any
Order = int | tuple[str, ...]


class sigma(sp.Function):  # noqa: N801
    """The logistic function, with no rules of its own, so that σ(-u)^γ stays as it is."""

    nargs = 1


class log_cosh(sp.Function):  # noqa: N801
    """log cosh, one word."""

    nargs = 1


def _half_boxcox_da(x: Expr, a: Expr) -> Expr:
    power, t = (1 + x**2) ** a, sp.log(1 + x**2)
    return (power * t / a - (power - 1) / a**2) / 2


# What each primitive means, in the words of a paper.
MEANING: dict[str, Callable[..., Expr]] = {
    "sigmoid": sigma,
    "logistic_density": lambda x: sigma(x) * sigma(-x),
    "softplus": lambda x: sp.log(1 + sp.exp(x)),
    "expm1": lambda x: sp.exp(x) - 1,
    "exp_excess": lambda x: sp.exp(x) - 1 - x,
    "exp_rise": lambda x, a: (sp.exp(a * x) - 1) / a,
    "exp_rise_da": lambda x, a: (x * sp.exp(a * x) - (sp.exp(a * x) - 1) / a) / a,
    "log1p": lambda x: sp.log(1 + x),
    "log_cosh": log_cosh,
    "tanh": sp.tanh,
    "abs_minus_log1p": lambda x: abs(x) - sp.log(1 + abs(x)),
    "softsign": lambda x: x / (1 + abs(x)),
    "hypot1m1": lambda x: sp.sqrt(1 + x**2) - 1,
    "unit": lambda x: x / sp.sqrt(1 + x**2),
    "rhypot": lambda x: 1 / sp.sqrt(1 + x**2),
    "log1p_square": lambda x: sp.log(1 + x**2),
    "half_boxcox1p": lambda x, a: ((1 + x**2) ** a - 1) / (2 * a),
    "half_boxcox1p_da": _half_boxcox_da,
    "gauss_rise": lambda x: 1 - sp.exp(-(x**2)),
    "gauss_moment": lambda x, n: x**n * sp.exp(-(x**2)),
    "complement": lambda u: 1 - sp.exp(u),
    "bernoulli": lambda u: u / (sp.exp(u) - 1),
    "hold": p.hold,
}


@lru_cache(maxsize=256)
def readable(formula: Formula, order: Order = 0) -> Expr:
    """ψ or a derivative of a record, scale included, to be printed and not to be computed with.

    `order`: how many derivatives in u; or the variables to differentiate by, by name.
    """
    if formula.several:
        return _read_whole(partial(formula, *(() if isinstance(order, int) else order)))
    expression, times = base(formula), order if isinstance(order, int) else len(order)
    for _ in range(times):
        expression = derivative(expression, "u")
    if formula.scale is None:
        return read(sp.piecewise_fold(expression))
    s = symbols(formula)[formula.scale.name]
    return read(
        sp.piecewise_fold(s ** (formula.scale.power - times) * expression.subs(U, U / s)), s
    )


def _read_whole(expression: Expr) -> Expr:
    """Branches outside, where there are few; many pieces inside a formula are left as they are."""
    few = branch_count(expression) <= FOLDED
    return read(sp.piecewise_fold(expression)) if few else _elementary(expression)


def read(e: Expr, scale: Expr = sp.S.One) -> Expr:
    """An expression as people write it."""
    if isinstance(e, sp.Piecewise):
        branches = ((_shortest(_elementary(v)), _condition(c, scale)) for v, c in e.args)
        return sp.Piecewise(*branches, evaluate=False)
    return _shortest(_elementary(e))


def _elementary(e: Expr) -> Expr:
    if isinstance(e, sp.Float):
        simple = Fraction(float(e)).limit_denominator(1000)
        return sp.Rational(simple) if float(simple) == float(e) else e
    if isinstance(e, sp.exp) and e.args[0].has(p.softplus):
        # e^(-a·softplus(y)) was σ(-y)^a before it was made safe.
        rest, (soft, *more) = _split(e.args[0])
        if not more:
            return sigma(-_elementary(soft.x)) ** _elementary(-rest)
    if not e.args:
        return e
    arguments = [_elementary(a) for a in e.args]
    return MEANING.get(type(e).__name__, e.func)(*arguments)


def _split(e: Expr) -> tuple[Expr, list[Expr]]:
    """A product without its softplus factors, and those; a sum is no such product."""
    factors = sp.Mul.make_args(e)
    found = [f for f in factors if isinstance(f, p.softplus)]
    if len(found) != 1:
        return e, [None, None]
    return sp.Mul(*(f for f in factors if f is not found[0])), found


def _condition(c: Expr, scale: Expr) -> Expr:
    """|u|/s ≤ 1 as |u| ≤ s (both sides times s > 0), and u on the left."""
    if isinstance(c, Relational):
        scale = scale if c.has(U) else sp.Integer(1)
        left, right = (_elementary(sp.expand(side * scale)) for side in (c.lhs, c.rhs))
        if U not in left.free_symbols and U in right.free_symbols:
            return c.reversed.func(right, left, evaluate=False)
        return c.func(left, right, evaluate=False)
    return c.func(*(_condition(a, scale) for a in c.args)) if c.args else c


def _shortest(e: Expr) -> Expr:
    """Of several ways to write the same, the one with least to read: short, no symbol often."""
    forms = [e, _powers_joined(e)]
    for rewrite in (sp.expand, sp.factor, sp.factor_terms, sp.together, sp.cancel):
        try:
            forms.append(_signs_joined(rewrite(e)))
        except (sp.PolynomialError, NotImplementedError):
            continue
    forms += [_conjugates_joined(f) for f in forms]

    def effort(form: Expr) -> int:
        text = line(form)
        repeated = sum(form.count(s) for s in form.free_symbols)
        return len(text) + text.count("(-") + repeated + 2 * form.count(U)

    return min(forms, key=effort)


def _powers_joined(e: Expr) -> Expr:
    return sp.Add(*(sp.powsimp(t) for t in sp.Add.make_args(sp.expand(e))))


def _signs_joined(e: Expr) -> Expr:
    """-(a - b) as (b - a), and (-a - b)·c as -(a + b)·c."""

    def join(product: Expr) -> Expr:
        coefficient, rest = product.as_coeff_Mul()
        sums = [f for f in sp.Mul.make_args(rest) if isinstance(f, sp.Add)]
        negative = sums and all(t.could_extract_minus_sign() for t in sums[0].args)
        if not sums or (coefficient >= 0 and not negative):
            return product
        others = [f for f in sp.Mul.make_args(rest) if f is not sums[0]]
        return sp.Mul(-coefficient, -sums[0], *others, evaluate=coefficient == -1)

    return e.replace(lambda x: x.is_Mul, join)


def _conjugates_joined(e: Expr) -> Expr:
    """(c - u)²·(c + u)² as (c² - u²)²."""

    def join(product: Expr) -> Expr:
        powers = dict(product.as_powers_dict())
        for one in list(powers):
            for other in list(powers):
                if one == other or one not in powers or other not in powers:
                    continue
                joined = sp.expand(one * other)
                same = powers[one] == powers[other] and len(sp.Add.make_args(joined)) == 2
                if same and isinstance(one, sp.Add) and isinstance(other, sp.Add):
                    power = powers.pop(one)
                    del powers[other]
                    below = joined.coeff(U, 0).could_extract_minus_sign()
                    powers[-joined if power.is_even and below else joined] = power
        return sp.Mul(*(b**x for b, x in powers.items()))

    return e.replace(lambda x: x.is_Mul, join)
