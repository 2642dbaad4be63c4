"""Products that are 0·∞ where their factors meet a zero, though the function has a limit there.

Differentiation makes them: of |x|^a it makes a·|x|^a·sign(x)/|x|, which at 0 is 0·0/0.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from lossmith.formula.symbols import moving

Expr = Any


class _Size(sp.Function):
    """|x| while it is differentiated: SymPy's own has no rule for an x that it cannot call real."""

    nargs = 1

    def _eval_is_nonnegative(self) -> bool:
        return True

    def fdiff(self, argindex: int = 1) -> Expr:
        return _Side(self.args[0])


class _Side(sp.Function):
    """The sign of x; its slope is 0 but at the jump, which is left out."""

    nargs = 1

    def _eval_is_real(self) -> bool:
        return True

    def fdiff(self, argindex: int = 1) -> Expr:
        return sp.Integer(0)


def differentiate(expression: Expr, variable: Expr) -> Expr:
    """∂/∂variable almost everywhere, without a product that is 0·∞ where |x|^a has a slope."""
    if not expression.has(sp.Abs, sp.sign):
        raw = sp.diff(expression, variable)
    else:
        smooth = expression.replace(sp.Abs, _Size).replace(sp.sign, _Side)
        raw = sp.diff(smooth, variable).replace(_Size, sp.Abs).replace(_Side, sp.sign)
    return raw.replace(lambda e: e.is_Mul, joined)


def joined(product: Expr) -> Expr:
    """Each base once: SymPy leaves x^k / x alone. And sign² as 1, so that |x|^a bends at 0 too."""
    met = _met(product)
    if not met.is_Mul:
        return met
    product = met
    coefficient, rest = product.as_coeff_Mul()
    powers: dict[Expr, Expr] = {}
    twice = False
    for factor in sp.Mul.make_args(rest):
        base, exponent = factor.as_base_exp()
        base_is_side = isinstance(base, sp.sign) and exponent.is_Integer
        # What is never 0 may stay apart: x^3 is quicker than x^(c + 3).
        twice |= (base in powers and not base.is_positive) or (base_is_side and exponent != 1)
        exponent = powers.get(base, sp.Integer(0)) + exponent
        powers[base] = exponent % 2 if base_is_side else exponent
    if not twice:
        return product
    return sp.Mul(coefficient, *(base**exponent for base, exponent in powers.items()))


def _met(product: Expr) -> Expr:
    """sign·(a + b·sign) as a·sign + b: at 0, where sign is 0, b is still there."""
    factors = sp.Mul.make_args(product)
    for side in (f for f in factors if isinstance(f, sp.sign)):
        for total in (f for f in factors if f.is_Add):
            terms = [sp.Mul.make_args(term) for term in total.args]
            if any(side in term for term in terms):
                turned = [
                    sp.Mul(*(f for f in term if f != side)) if side in term else sp.Mul(side, *term)
                    for term in terms
                ]
                others = (f for f in factors if f not in (side, total))
                return _met(sp.Mul(sp.Add(*turned), *others))
    return product


def squared(product: Expr) -> Expr:
    """(a + b·sign)·(c + d·sign) as a·c + b·d where the sign is 0: so it is on average beside it.

    Of curvature the square of a slope is such a product, where |x| stands inside a formula.
    """
    factors: list[Expr] = []
    for factor in sp.Mul.make_args(product):
        twice = factor.is_Pow and factor.exp == 2 and factor.base.is_Add
        factors += [factor.base, factor.base] if twice else [factor]
    sums = [f for f in factors if f.is_Add]
    terms = [sp.Mul.make_args(term) for total in sums for term in total.args]
    for side in {f for term in terms for f in term if isinstance(f, sp.sign)}:
        halves = [s for s in sums if any(side in sp.Mul.make_args(term) for term in s.args)]
        if len(halves) == 2:
            (a, b), (c, d) = (_halved(total, side) for total in halves)
            there = sp.Mul(a * c + b * d, *(f for f in factors if f not in halves))
            return sp.Piecewise((there, _zero(side.args[0])), (product, True), evaluate=False)
    return product


def _halved(total: Expr, side: Expr) -> tuple[Expr, Expr]:
    """The terms without a sign, and the factors of those with it."""
    terms = [sp.Mul.make_args(term) for term in total.args]
    without = [sp.Mul(*term) for term in terms if side not in term]
    beside = [sp.Mul(*(f for f in term if f != side)) for term in terms if side in term]
    return sp.Add(*without), sp.Add(*beside)


def settled(product: Expr) -> Expr:
    """0 where one factor is 0 and stays the stronger, whatever another becomes there.

    Three factors are: a coefficient made of parameters, for it is 0 everywhere; sign(x) beside a
    power of |x|, for what is odd has no other value at 0; and x^a, a > 0, beside log x.
    """
    factors = sp.Mul.make_args(product.as_coeff_Mul()[1])
    powers = dict(factor.as_base_exp() for factor in factors)
    numbers = [f for f in factors if f.free_symbols and not moving(f)]
    when: list[Expr] = []
    for base, exponent in powers.items():
        if sp.log(base) in powers and exponent.is_positive is not False:
            positive = [] if exponent.is_positive else [sp.Gt(exponent, 0)]
            when.append(sp.And(_zero(base), *positive))
        endless = exponent.free_symbols or exponent.is_negative
        if not endless or base.is_positive or not moving(base):
            continue
        if isinstance(base, sp.Abs) and sp.sign(base.args[0]) in powers:
            when.append(_zero(base.args[0]))
        when += [_zero(f) for f in numbers if f.is_zero is None]
    if not when:
        return product
    return sp.Piecewise((sp.Integer(0), sp.Or(*when)), (product, True), evaluate=False)


def touching(product: Expr) -> Expr:
    """0 where b^(a - 1)·b' has a base that touches 0 and so has no slope there.

    Only where b' stands in the product, whose power was differentiated then: a quotient that a
    person wrote has a limit of its own.
    """
    powers = dict(factor.as_base_exp() for factor in sp.Mul.make_args(product))
    when = []
    for base, exponent in powers.items():
        endless = exponent.free_symbols or exponent.is_negative
        if not endless or exponent.is_Integer or base.is_positive or isinstance(base, sp.Abs):
            continue
        for variable in sorted(moving(base), key=sp.default_sort_key):
            slope = differentiate(base, variable).as_coeff_Mul()[1]
            needed = dict(factor.as_base_exp() for factor in sp.Mul.make_args(slope))
            if slope.is_zero is None and all(
                b.is_positive or (powers.get(b, sp.Integer(0)) - e).is_nonnegative
                for b, e in needed.items()
            ):
                when.append(sp.And(_zero(base), _zero(slope)))
    if not when:
        return product
    return sp.Piecewise((sp.Integer(0), sp.Or(*when)), (product, True), evaluate=False)


def _zero(e: Expr) -> Expr:
    return sp.Eq(e, 0, evaluate=False)
