"""Where a formula stops being smooth: the points, and value, slope and curvature there."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mpmath as mp
import sympy as sp

from lossmith.formula.calculus import U, derivative, polish
from lossmith.formula.exact import function
from lossmith.formula.pieces import DIGITS, Piece, bound, concrete, exactly, pieces, real
from lossmith.formula.record import Formula

NEAR, NEAR_ROUNDED = mp.mpf(10) ** -20, mp.mpf(10) ** -13  # how far apart two sides may be
_WHOLE = 15  # digits that tell a rounded float from a decimal
HIGHEST = 8  # derivatives that agree so far are taken to agree for ever
Pair = tuple[float, float]


@dataclass(frozen=True)
class Kink:
    """One point at which a derivative of some order jumps.

    `value`, `slope` and `curvature` are what the formula states at the point itself; the pairs are
    the limits from the left and from the right. `order` counts the derivatives that are continuous
    there: -1 the value jumps, 0 the slope jumps, 1 the curvature jumps, ...
    """

    u: float
    order: int
    value: float
    slope: float
    curvature: float
    values: Pair
    slopes: Pair
    curvatures: Pair


def kinks(formula: Formula, **parameters: float) -> tuple[Kink, ...]:
    """The kinks at these parameters, from left to right.

    Parameters:
        formula: a record.
        parameters: those of the record; defaults where left out.

    Errors:
        ParameterError for a parameter that is unknown or outside its domain.
    """
    return found(formula, bound(formula, parameters))


@lru_cache(maxsize=512)
def found(formula: Formula, values: tuple[float, ...]) -> tuple[Kink, ...]:
    whole = concrete(formula, values)
    corners: list[Kink] = []
    for left, right in itertools.pairwise(pieces(formula, values)):
        with mp.workdps(DIGITS):
            stated = stated_at(whole, left.high)
            order = _order(left, right, stated[0])
            if order < math.inf:
                value, slope, curvature = map(_plain, stated)
                sides = [_sides(left, right, k) for k in range(3)]
                corners.append(Kink(float(left.high), int(order), value, slope, curvature, *sides))
    return tuple(corners)


def stated_at(whole: Any, u: Any) -> list[Any]:
    """Value, slope and curvature that the formula itself gives at a point."""
    results, expression = [], whole
    for _ in range(3):
        try:
            results.append(function(polish(expression), ("u",))(real(u)))
        except (ZeroDivisionError, ValueError, TypeError):
            results.append(mp.nan)
        expression = derivative(expression, "u") if U in expression.free_symbols else sp.Integer(0)
    return results


def _sides(left: Piece, right: Piece, order: int) -> Pair:
    return _plain(left.limit(order, right=True)), _plain(right.limit(order, right=False))


def _plain(x: Any) -> float:
    """As a float, without the last digits' debris around 0."""
    return 0.0 if abs(x) < mp.mpf(10) ** -25 else float(x)


def _order(left: Piece, right: Piece, value: Any) -> float:
    """How many derivatives are continuous between two pieces, -1 if not even the value."""
    near = NEAR_ROUNDED if _rounded(left, right) else NEAR
    if not _same(value, left.limit(0, right=True), near):
        return -1
    if left.expression == right.expression and _regular(left):
        return math.inf
    for order in range(HIGHEST + 1):
        a, b = left.limit(order, right=True), right.limit(order, right=False)
        if not _same(a, b, near):
            return order - 1
        if left.derivative(order) == right.derivative(order):
            return math.inf
    return math.inf


def _regular(piece: Piece) -> bool:
    """One expression on both sides can still fail at the point: u^(1/3), log(u²)."""
    return all(mp.isfinite(piece.limit(order, right=True)) for order in range(3))


def _rounded(left: Piece, right: Piece) -> bool:
    """Whether a float that was rounded stands in the pieces or at their cut.

    Two pieces that meet on paper then only nearly do: 7.5/8.5 is not 0.8823529411764706.
    """
    numbers = left.expression.atoms(sp.Number) | right.expression.atoms(sp.Number) | {left.high}
    return any(
        len(repr(float(n)).partition("e")[0].replace(".", "").strip("-0")) >= _WHOLE
        and (n.is_Float or exactly(float(n)) == n)
        for n in numbers
        if n.is_finite
    )


def _same(a: Any, b: Any, near: Any) -> bool:
    if not (mp.isfinite(a) and mp.isfinite(b)):
        return False
    return bool(abs(a - b) <= near * (1 + abs(a) + abs(b)))


def smoothness(formula: Formula, values: tuple[float, ...]) -> float:
    """How often the formula can be differentiated, the closed end of its domain included."""
    orders: list[float] = [k.order for k in found(formula, values)]
    last = pieces(formula, values)[-1]
    if last.high.is_finite:
        steps = (last.limit(order, right=True) for order in range(4))
        broken = next((n for n, v in enumerate(steps) if not mp.isfinite(v)), None)
        orders += [] if broken is None else [broken - 1]
    return min(orders, default=math.inf)
