"""From a record to expressions: ψ₀ itself, its derivatives in u and in each parameter.

Whatever can be wrong with a person's formula is found here, and said in words that name the fix.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import mpmath as mp
import sympy as sp
from sympy.core.function import ArgumentIndexError

from lossmith.errors import FormulaError
from lossmith.formula.exact import function
from lossmith.formula.primitives import (
    PRIMITIVES,
    bernoulli,
    complement,
    logistic_density,
    sigmoid,
    tanh,
)
from lossmith.formula.record import Formula

Expr = Any
U = sp.Symbol("u", real=True)
_KNOWN = (sp.exp, sp.log, sp.Abs, sp.sign, sp.Piecewise, *PRIMITIVES.values())


def symbol(name: str, positive: bool) -> Expr:
    return sp.Symbol(name, real=True, positive=positive or None)


def symbols(formula: Formula) -> dict[str, Expr]:
    """The symbols of every parameter, scale included."""
    return {
        p.name: symbol(p.name, p.domain.low >= 0 and 0 not in p.domain) for p in formula.parameters
    }


@lru_cache(maxsize=512)
def base(formula: Formula, fixed: tuple[tuple[str, int], ...] = ()) -> Expr:
    """ψ₀(u; shape parameters), checked and tidied.

    `fixed` puts whole numbers in the place of parameters before anything else is done, so that
    (1 - p)^gamma with gamma = 2 is a square in every derivative.
    """
    names = symbols(formula) | {name: sp.Integer(value) for name, value in fixed}
    arguments = [names[p.name] for p in formula.shape]
    try:
        raw = formula.function(U, *arguments)
    except FormulaError:
        raise
    except TypeError as err:
        raise FormulaError(
            f"{formula.name}: the formula could not be evaluated on symbols ({err}). Use where(), "
            "maximum(), minimum() instead of if, max(), min(), and the functions of "
            "lossmith.primitives instead of math, numpy or torch."
        ) from err
    try:
        expression = sp.sympify(raw, strict=True)
    except sp.SympifyError as err:
        raise FormulaError(
            f"{formula.name}: the formula returned {type(raw).__name__}; return an expression of u."
        ) from err
    _check(formula, expression, set(arguments))
    if not formula.builtin:  # ours are tested
        _check_real(formula, expression)
    return tidy(expression)


def _check(formula: Formula, expression: Expr, arguments: set[Expr]) -> None:
    name = formula.name
    if not isinstance(expression, sp.Expr):
        raise FormulaError(
            f"{name}: the formula is {expression!s}, not a number; compare with where()."
        )
    free = expression.free_symbols - arguments - {U}
    if free:
        listed = ", ".join(sorted(map(str, free)))
        raise FormulaError(
            f"{name}: free symbol {listed}. Make it a parameter: "
            f"def {name}(u, {listed.split(',')[0]}: lossmith.Positive = 1.0)."
        )
    unknown = {f.func for f in expression.atoms(sp.Function) if not isinstance(f, _KNOWN)}
    if unknown:
        listed = ", ".join(sorted(getattr(f, "__name__", str(f)) for f in unknown))
        offer = ", ".join(sorted(["exp", "log", "sqrt", "abs", "sign", "where", *PRIMITIVES]))
        raise FormulaError(f"{name}: unknown function {listed}. Functions known here: {offer}.")
    if expression.has(sp.I) or expression.is_real is False or expression.has(sp.zoo, sp.nan, sp.oo):
        raise FormulaError(
            f"{name}: the formula is not a real number ({expression}). Restrict it with where() to "
            "the values of u on which it is real and finite."
        )
    if U not in expression.free_symbols:
        raise FormulaError(f"{name}: the formula does not depend on u, so nothing can be learned.")


def _check_real(formula: Formula, expression: Expr) -> None:
    """√u and log u are real for some u only, which no symbol tells: try a few."""
    run = function(expression, ("u", *(p.name for p in formula.shape)))
    sizes = (0.001, 0.3, 1.7, 30.0)
    right = () if formula.family == "probability" else sizes
    for u in (*(-size for size in sizes), *right):
        try:
            run(mp.mpf(u), *(mp.mpf(p.default) for p in formula.shape))
        except (TypeError, ValueError, ZeroDivisionError):
            raise FormulaError(
                f"{formula.name}: the formula is not a real number at u = {u:g} ({expression}). "
                "Restrict it with where() to the values of u on which it is real and finite."
            ) from None


@lru_cache(maxsize=4096)
def derivative(expression: Expr, wrt: str) -> Expr:
    """∂/∂wrt almost everywhere: what a jump of a slope adds at one point is left out."""
    variable = next((s for s in expression.free_symbols if s.name == wrt), None)
    if variable is None:
        return sp.Integer(0)
    try:
        raw = sp.diff(expression, variable)
    except ArgumentIndexError as err:
        raise FormulaError(f"∂/∂{wrt} of {expression} is not offered: {err}") from err
    raw = raw.replace(sp.DiracDelta, lambda *_: sp.Integer(0))
    if raw.has(sp.Derivative, sp.Subs):
        raise FormulaError(f"∂/∂{wrt} of {expression} cannot be derived; use known functions only.")
    return tidy(raw)


def slope(formula: Formula) -> Expr:
    return derivative(base(formula), "u")


def curvature(formula: Formula) -> Expr:
    return derivative(slope(formula), "u")


def tidy(expression: Expr) -> Expr:
    """Factor polynomial pieces: (1 - u²)² keeps its zeros, u⁴ - 2u² + 1 loses their digits."""
    if isinstance(expression, sp.Piecewise):
        return sp.Piecewise(*((tidy(e), c) for e, c in expression.args), evaluate=False)
    if expression.has(sp.Piecewise):
        folded = sp.piecewise_fold(expression)
        return tidy(folded) if isinstance(folded, sp.Piecewise) else expression
    if expression.is_polynomial(U) and U in expression.free_symbols:
        return sp.factor(expression)
    return expression


def polish(expression: Expr) -> Expr:
    """The last rewriting before a program is written; its result is not differentiated again.

    u·(1 - e^u)^k becomes -bernoulli(u)·(1 - e^u)^(k+1): no 0·∞ as u → 0. Then the lowest power of
    1 - e^u is taken out of a sum, so that no two of its terms are infinite there, one up, one down.
    And tanh(x/2) = σ(x) - σ(-x) joins the σ beside it, where the two would nearly cancel.
    """
    if expression.has(tanh):
        expression = expression.replace(lambda e: e.is_Add, _share_density)
    if not expression.has(complement):
        return expression
    joined = sp.expand_mul(expression).replace(lambda e: e.is_Mul, _join_complement)
    return joined.replace(lambda e: e.is_Add, _share_complement)


def _share_density(total: Expr) -> Expr:
    """σ(x)σ(-x)·(c₀ + c₁·tanh(x/2) + c₂·σ(x) + c₃·σ(-x)) as σ(x)σ(-x)·(a·σ(x) + b·σ(-x))."""
    for density in total.atoms(logistic_density):
        x = density.x
        whole, up, down = sp.Dummy(positive=True), sp.Dummy(positive=True), sp.Dummy(positive=True)
        names = {density: whole, tanh(x / 2): up - down, sigmoid(x): up, sigmoid(-x): down}
        bare = total.xreplace(names)
        if not bare.is_polynomial(whole, up, down):
            continue
        terms = sp.Poly(bare, whole, up, down).terms()
        if any(powers[0] != 1 or sum(powers) > 2 for powers, _ in terms):
            continue
        a, b = (
            sp.factor(sum(c for powers, c in terms if powers in ((1, 0, 0), own)))
            for own in ((1, 1, 0), (1, 0, 1))
        )
        same = a * sigmoid(x) + b * sigmoid(-x)
        if (a * b).is_nonnegative:
            return density * same
        # Of opposite signs they would cancel near 0, where tanh does not.
        apart = sp.expand(a + b) * sigmoid(x) - b * tanh(x / 2)
        return density * sp.Piecewise((same, a * b >= 0), (apart, True))
    return total


def _join_complement(product: Expr) -> Expr:
    powers = dict(product.as_powers_dict())
    for factor in [f for f in powers if isinstance(f, complement)]:
        u = factor.args[0]
        if powers.get(u, 0) == 1:
            del powers[u]
            powers[factor] += 1
            powers[-bernoulli(u)] = sp.Integer(1)
    # As one power each: SymPy leaves x^k / x alone, which is 0 / 0 at 0.
    return sp.Mul(*(base**exponent for base, exponent in powers.items()))


def _share_complement(total: Expr) -> Expr:
    terms = [dict(term.as_powers_dict()) for term in total.args]
    shared = set.intersection(*({f for f in t if isinstance(f, complement)} for t in terms))
    for factor in shared:
        steps = [sp.expand(t[factor] - terms[0][factor]) for t in terms]
        if all(step.is_Integer for step in steps):
            lowest = terms[0][factor] + min(steps)
            rests = (sp.Mul(*(b**e for b, e in t.items() if b != factor)) for t in terms)
            return factor**lowest * sp.Add(
                *(
                    rest * factor ** (step - min(steps))
                    for rest, step in zip(rests, steps, strict=True)
                )
            )
    return total
