"""Suprema of a formula and its derivatives over the pieces on which it is smooth.

Ends and tails by their limits; inside, a fine grid in float64 finds the neighbourhood of a peak,
and a golden-section search at many digits its height.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np
import sympy as sp
from numpy.typing import NDArray

from lossmith.formula.calculus import polish
from lossmith.formula.exact import certain
from lossmith.formula.lowering import make
from lossmith.formula.numpy_math import function
from lossmith.formula.pieces import DIGITS, Piece, real

Real = Any
Array = NDArray[np.float64]
PER_PIECE = 1200
CANDIDATES = 4
FEWER = 400  # points of a grid where each takes many digits
ENOUGH = 400  # digits inside a piece, at most
_GOLDEN = (5**0.5 - 1) / 2


class Peak(NamedTuple):
    """The least upper bound, where it lies, and whether it is reached there or only approached."""

    height: Real
    at: Real
    reached: bool


def highest(parts: Iterable[Piece], order: int, sign: int = 1) -> Peak:
    """The supremum of sign · ψ^(order) over some pieces, the kinks between them left out."""
    return max(
        (_highest(p, order, sign) for p in parts), key=lambda peak: (peak.height, peak.reached)
    )


def size(parts: Iterable[Piece], order: int) -> Real:
    """The supremum of |ψ^(order)|."""
    parts = tuple(parts)
    return max(highest(parts, order).height, highest(parts, order, -1).height)


@lru_cache(maxsize=8192)
def _highest(piece: Piece, order: int, sign: int) -> Peak:
    with mp.workdps(DIGITS):
        fixed = piece.constant(order)
        if fixed is not None:
            return Peak(sign * mp.mpf(sp.N(fixed, DIGITS)), _middle(piece), True)
        peaks = [
            Peak(
                sign * piece.limit(order, right), real(end) if end.is_finite else _far(right), False
            )
            for right, end in ((False, piece.low), (True, piece.high))
        ]
        if not any(peak.height == mp.inf for peak in peaks):
            peaks += _inner(piece, order, sign)
        # An end that ties with the inside is a limit that some inner point only rounds to.
        return max(peaks, key=lambda peak: (peak.height, not peak.reached))


def _far(right: bool) -> Real:
    return mp.inf if right else -mp.inf


def _middle(piece: Piece) -> Real:
    low, high = piece.ends
    if np.isfinite(low) and np.isfinite(high):
        return mp.mpf((low + high) / 2)
    return mp.mpf(low + 1 if np.isfinite(low) else high - 1)


def _inner(piece: Piece, order: int, sign: int) -> list[Peak]:
    grid = samples(piece)
    heights = sign * fast(piece, order)(grid)
    tops = _tops(heights)

    def height(u: Real) -> Real:
        return sign * piece.exact(order, u)

    if any(_noise(heights[i], height(mp.mpf(grid[i]))) for i in tops):
        # Of terms that cancel, float64 sees their rounding alone, and it hides every peak.
        expression = polish(piece.derivative(order))

        def height(u: Real) -> Real:
            return sign * certain(expression, u, ENOUGH)

        grid = grid[:: max(1, len(grid) // FEWER)]
        heights = np.array([float(height(mp.mpf(u))) for u in grid])
        tops = _tops(heights)
    last = len(grid) - 1
    ends = [(mp.mpf(grid[max(i - 1, 0)]), mp.mpf(grid[min(i + 1, last)])) for i in tops]
    return [_climb(height, low, high) for low, high in ends]


def _tops(heights: Array) -> NDArray[np.intp]:
    """Where the highest points are that none beside them is above."""
    heights[~np.isfinite(heights)] = -np.inf
    tops = np.flatnonzero(
        (heights >= np.append(-np.inf, heights[:-1])) & (heights >= np.append(heights[1:], -np.inf))
    )
    return tops[np.argsort(heights[tops])[-CANDIDATES:]]


def _noise(seen: float, true: Real) -> bool:
    """Whether a number in float64 is not the one that it should be, by far more than it rounds."""
    far = abs(seen - true) > 1e-3 * max(abs(seen), abs(true)) + 1e-12
    return bool(np.isfinite(seen) and far)


def _climb(f: Callable[[Real], Real], low: Real, high: Real) -> Peak:
    """Golden section. Where f is flat to rounding the middle of the bracket is as good as any."""
    a, b = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    fa, fb = f(a), f(b)
    for _ in range(80):
        if fa < fb:
            low, a, fa = a, b, fb
            b = low + _GOLDEN * (high - low)
            fb = f(b)
        else:
            high, b, fb = b, a, fa
            a = high - _GOLDEN * (high - low)
            fa = f(a)
    return Peak(fa, a, True) if fa > fb else Peak(fb, b, True)


@lru_cache(maxsize=8192)
def fast(piece: Piece, order: int) -> Callable[[Array], Array]:
    """A derivative on the piece over float64 arrays; overflow is inf or NaN, without a warning."""
    run = function(make((piece.derivative(order),), ("u",)))
    return lambda u: run(u)[0]


@lru_cache(maxsize=8192)
def samples(piece: Piece) -> Array:
    """Points inside a piece: evenly spread and crowded towards both ends.

    And around every number that stands in the expression, for a bump that sits there.
    """
    low, high = piece.ends
    steps = np.geomspace(1e-9, 1e9, PER_PIECE)
    places = {0.0, low, high, *(float(abs(n)) for n in piece.expression.atoms(sp.Number))}
    finite = [p for p in places if np.isfinite(p)]
    spread = [s * p + t * steps for p in finite for s in (-1, 1) for t in (-1, 1)]
    if np.isfinite(low) and np.isfinite(high):
        spread.append(np.linspace(low, high, PER_PIECE))
    points = np.unique(np.concatenate(spread))
    return points[(points > low) & (points < high)]
