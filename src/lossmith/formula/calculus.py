"""From a record to expressions: ψ₀ itself, its derivatives in u and in each parameter."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import sympy as sp
from sympy.core.function import ArgumentIndexError

from lossmith.errors import FormulaError
from lossmith.formula import admit
from lossmith.formula.primitives import (
    bernoulli,
    complement,
    hold,
    logistic_density,
    sigmoid,
    tanh,
)
from lossmith.formula.record import Formula
from lossmith.formula.symbols import U as U
from lossmith.formula.symbols import moving
from lossmith.formula.symbols import symbols as symbols
from lossmith.formula.vanishing import differentiate, settled, squared, touching

Expr = Any
FOLDED = 16  # branches that a sum of pieces may have when it is written as one


@lru_cache(maxsize=512)
def base(formula: Formula, fixed: tuple[tuple[str, int], ...] = ()) -> Expr:
    """ψ₀(u; shape parameters), checked and tidied.

    `fixed` puts whole numbers in the place of parameters before anything else is done, so that
    (1 - p)^gamma with gamma = 2 is a square in every derivative.
    """
    return tidy(admit.expression(formula, fixed))


@lru_cache(maxsize=4096)
def derivative(expression: Expr, wrt: str) -> Expr:
    """∂/∂wrt almost everywhere: what a jump of a slope adds at one point is left out."""
    variable = next((s for s in expression.free_symbols if s.name == wrt), None)
    if variable is None:
        return sp.Integer(0)
    try:
        raw = differentiate(expression, variable)
    except ArgumentIndexError as err:
        raise FormulaError(f"∂/∂{wrt} of {expression} is not offered: {err}") from err
    if raw.has(sp.Derivative, sp.Subs):
        raise FormulaError(f"∂/∂{wrt} of {expression} cannot be derived; use known functions only.")
    return tidy(raw)


@lru_cache(maxsize=4096)
def partial(formula: Formula, *variables: str) -> Expr:
    """∂ψ by these variables, whatever their order."""
    names = [v.name for v in formula.variables]
    expression = base(formula)
    for name in sorted(variables, key=names.index):
        expression = derivative(expression, name)
    return expression


def slope(formula: Formula) -> Expr:
    return derivative(base(formula), "u")


def curvature(formula: Formula) -> Expr:
    return derivative(slope(formula), "u")


def tidy(expression: Expr) -> Expr:
    """Factor polynomial pieces: (1 - u²)² keeps its zeros, u⁴ - 2u² + 1 loses their digits."""
    if isinstance(expression, sp.Piecewise):
        return sp.Piecewise(*((tidy(e), c) for e, c in expression.args), evaluate=False)
    if expression.has(sp.Piecewise):
        # Folding multiplies the branches; a sum of many pieces stays a sum.
        if branch_count(expression) > FOLDED:
            return expression
        folded = sp.piecewise_fold(expression)
        return tidy(folded) if isinstance(folded, sp.Piecewise) else expression
    if (of := moving(expression)) and expression.is_polynomial(*of):
        return sp.factor(expression)
    return expression


def branch_count(expression: Expr) -> int:
    """How many branches an expression has once its pieces are multiplied out."""
    return math.prod(len(p.args) for p in expression.atoms(sp.Piecewise))


@lru_cache(maxsize=4096)
def polish(expression: Expr) -> Expr:
    """The last rewriting before a program is written; its result is not differentiated again.

    u·(1 - e^u)^k becomes -bernoulli(u)·(1 - e^u)^(k+1): no 0·∞ as u → 0. Then the lowest power of
    1 - e^u is taken out of a sum, so that no two of its terms are infinite there, one up, one down.
    And tanh(x/2) = σ(x) - σ(-x) joins the σ beside it, where the two would nearly cancel. Last,
    products that would be 0·∞ become 0 where they are. What is held is no longer held: no slope is
    taken any more, so that no engine needs to know of it.
    """
    if expression.has(hold):
        expression = expression.replace(hold, lambda x: x)
    expression = expression.replace(lambda e: e.is_Mul, touching)
    expression = expression.replace(lambda e: e.is_Mul or (e.is_Pow and e.exp == 2), squared)
    if expression.has(tanh):
        expression = expression.replace(lambda e: e.is_Add, _share_density)
    if expression.has(complement):
        joined = sp.expand_mul(expression).replace(lambda e: e.is_Mul, _join_complement)
        expression = joined.replace(lambda e: e.is_Add, _share_complement)
    return expression.replace(lambda e: e.is_Mul, settled)


def _share_density(total: Expr) -> Expr:
    """σ(x)σ(-x)·(c₀ + c₁·tanh(x/2) + c₂·σ(x) + c₃·σ(-x)) as σ(x)σ(-x)·(a·σ(x) + b·σ(-x))."""
    for density in total.atoms(logistic_density):
        x = density.x
        found = {sp.S.One: sp.S.Zero, tanh(x / 2): sp.S.Zero, sigmoid(x): sp.S.Zero}
        found[sigmoid(-x)] = sp.S.Zero
        for term in total.args:
            factors = list(sp.Mul.make_args(term))
            if density not in factors:
                break
            factors.remove(density)
            kind = next((f for f in factors if f in found), sp.S.One)
            share = sp.Mul(*(f for f in factors if f != kind))
            if moving(share):
                break
            found[kind] += share
        else:
            whole, tilt, up, down = found.values()
            a, b = sp.factor(whole + tilt + up), sp.factor(whole - tilt + down)
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
