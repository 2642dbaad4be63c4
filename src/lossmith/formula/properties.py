"""Properties of a record at given parameters, computed from its formula, constants included."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from functools import lru_cache
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from lossmith.formula.algebra import Properties as Properties
from lossmith.formula.calculus import base, polish
from lossmith.formula.domain import Interval
from lossmith.formula.exact import function
from lossmith.formula.extremes import Array, fast, highest, samples, size
from lossmith.formula.kinks import Kink, found, smoothness, stated_at
from lossmith.formula.pieces import DIGITS, Piece, bound, concrete, pieces
from lossmith.formula.primitives import hold
from lossmith.formula.record import Formula
from lossmith.formula.traits import OF_SLOPES

Real = Any
SIGN = mp.mpf(10) ** -20  # below this, relative to its largest, a curvature counts as 0
CHANCES = (1e-3, 0.01, 0.1, 0.25, 0.4, 0.49, 0.5)  # by how much a class is likelier than not
CLEAR = 1e-10  # a gap in float64 that rounding cannot make


def of(formula: Formula, **parameters: float) -> Properties:
    """The properties of a loss at these parameters.

    Parameters:
        formula: a record.
        parameters: those of the record; defaults where left out.

    Errors:
        ParameterError for a parameter that is unknown or outside its domain.
    """
    return _of(formula, bound(formula, parameters))


@lru_cache(maxsize=512)
def _of(formula: Formula, values: tuple[float, ...]) -> Properties:
    parts = pieces(formula, values)
    corners = found(formula, values)
    order = smoothness(formula, values)
    with mp.workdps(DIGITS):
        convex, bend = _convex(parts, corners, 1)
        concave, _ = _convex(parts, corners, -1)
        curved = all(p.constant(2) is None or p.constant(2) != 0 for p in parts)
        stated = [k.value for k in corners]
        minimiser = _minimiser(formula, values, parts)
        properties = Properties(
            family=formula.family,
            convex=convex,
            # A piece is analytic: its curvature, not the constant 0, has isolated zeros only.
            strictly_convex=convex and curved,
            concave=concave,
            strictly_concave=concave and curved,
            strong_convexity=plain(bend) if convex and bend > 0 else 0.0,
            lipschitz=plain(size(parts, 1)) if order >= 0 else math.inf,
            smooth=plain(size(parts, 2)) if order >= 1 else math.inf,
            lowest=min(plain(-highest(parts, 0, -1).height), *stated, math.inf),
            highest=max(plain(highest(parts, 0).height), *stated, -math.inf),
            symmetric=_symmetric(formula, values, parts),
            differentiable=order,
            kinks=tuple(k.u for k in corners),
            minimiser=minimiser,
            redescending=_redescending(parts) if formula.family == "residual" else None,
            calibrated=_calibrated(formula, values, convex) if formula.family == "margin" else None,
            zero_one_factor=_factor(formula, values) if formula.family == "margin" else None,
        )
    if base(formula).has(hold):  # the slope that is followed is not that of ψ
        unknown: dict[str, Any] = dict.fromkeys(OF_SLOPES)
        properties = replace(properties, **unknown)
    return properties


def plain(x: Real) -> float:
    """As a float, to the twelve digits that the search is sure of."""
    if mp.isinf(x):
        return math.inf if x > 0 else -math.inf
    return 0.0 if abs(x) < mp.mpf(10) ** -25 else float(f"{float(x):.12g}")


def _convex(parts: tuple[Piece, ...], corners: tuple[Kink, ...], sign: int) -> tuple[bool, Real]:
    """Whether sign · ψ is convex, and its least curvature.

    Convex: the curvature is never below 0, and at a kink the value holds and the slope rises.
    """
    least = -highest(parts, 2, -sign).height
    largest = size(parts, 2)
    zero = SIGN * (1 + (largest if mp.isfinite(largest) else 0))
    rises = all(
        k.order >= 1 or (k.order == 0 and sign * (k.slopes[1] - k.slopes[0]) >= 0) for k in corners
    )
    return bool(rises and least >= -zero), least if least > zero else mp.mpf(0)


def _symmetric(
    formula: Formula, values: tuple[float, ...], parts: tuple[Piece, ...]
) -> bool | None:
    if formula.family == "probability":
        return None
    run = function(polish(concrete(formula, values)), ("u",))
    places = sorted({abs(e) for p in parts for e in p.ends if math.isfinite(e)} | {0.0})
    points = [places[-1] + t * 1.1 for t in (0.001, 0.09, 0.37, 1.0, 2.3, 17.0, 400.0)]
    # Between two cuts, of either sign, both sides are analytic: equal at a few points, or not.
    gaps = itertools.pairwise(places)
    points += places[1:] + [a + t * (b - a) for a, b in gaps for t in (0.003, 0.21, 0.5, 0.83)]
    # And where the two sides differ most on a grid, for a bump that is flat elsewhere.
    grid = np.unique(np.abs(np.concatenate([samples(p) for p in parts])))
    gap = np.abs(along(parts, grid) - along(parts, -grid))
    points.append(float(grid[np.argmax(np.where(np.isfinite(gap), gap, -1.0))]))
    pairs = ((run(mp.mpf(u)), run(-mp.mpf(u))) for u in points)
    return all(abs(a - b) <= mp.mpf(10) ** -25 * (1 + abs(a)) for a, b in pairs)


def _redescending(parts: tuple[Piece, ...]) -> bool:
    tails = (parts[0].limit(1, right=False), parts[-1].limit(1, right=True))
    heights = {p.constant(0) for p in parts}
    flat = len(heights) == 1 and None not in heights
    # A slope like |u|^-0.001 has not quite vanished even at 10^8192.
    return not flat and all(abs(t) < 1e-6 * (1 + size(parts, 1)) for t in tails)


def _minimiser(
    formula: Formula, values: tuple[float, ...], parts: tuple[Piece, ...]
) -> Interval | None:
    """Where ψ is least: points, or whole pieces with or without their ends, as one interval."""
    whole = concrete(formula, values)
    ends = [p.low for p in parts if p.low.is_finite]
    ends += [parts[-1].high] if parts[-1].high.is_finite else []
    here = {e: stated_at(whole, e)[0] for e in ends}
    peaks = [highest((p,), 0, -1) for p in parts]
    least = min([-peak.height for peak in peaks] + [v for v in here.values() if not mp.isnan(v)])
    if mp.isinf(least):
        where = next(peak.at for peak in peaks if -peak.height == least)
        return Interval(float(where), float(where))
    near = SIGN * (1 + abs(least))
    low: list[tuple[float, bool]] = []  # where an interval begins, and whether it holds its end
    high: list[tuple[float, bool]] = []
    for e, value in here.items():
        if abs(value - least) <= near:
            low.append((float(e), True))
            high.append((float(e), True))
    for piece, peak in zip(parts, peaks, strict=True):
        fixed = piece.constant(0)
        if fixed is not None and abs(-peak.height - least) <= near:
            low.append((piece.ends[0], False))
            high.append((piece.ends[1], False))
        elif peak.reached and -peak.height < least + near and not _tail(peaks, least):
            low.append((plain(peak.at), True))
            high.append((plain(peak.at), True))
    if low:
        first = min(low, key=lambda end: (end[0], not end[1]))
        last = max(high, key=lambda end: (end[0], end[1]))
        return Interval(first[0], last[0], first[1], last[1])
    tail = next((p.at for p in peaks if not p.reached and -p.height <= least + near), None)
    return None if tail is None else Interval(float(tail), float(tail))


def _tail(peaks: list[Any], least: Real) -> bool:
    """Whether the infimum is the limit of a tail; a point far out then only rounds to it."""
    return any(not p.reached and mp.isinf(p.at) and -p.height <= least for p in peaks)


def _factor(formula: Formula, values: tuple[float, ...]) -> float:
    """1 / inf of ψ over u ≤ 0, if ψ is nowhere negative: times this, ψ is at least the 0-1 loss."""
    parts = pieces(formula, values)
    wrong = [p for p in parts if p.ends[1] <= 0]
    with mp.workdps(DIGITS):
        stated = stated_at(concrete(formula, values), wrong[-1].high)[0]
        least = min(-highest(wrong, 0, -1).height, stated)
        negative = -highest(parts, 0, -1).height < -SIGN
    return math.inf if negative or least <= 0 else plain(1 / least)


def _calibrated(formula: Formula, values: tuple[float, ...], convex: bool) -> bool:
    """Bartlett, Jordan & McAuliffe 2006: theorem 2 for convex ψ, else definition 1 on a grid."""
    parts = pieces(formula, values)
    if convex:
        before, after = (p.limit(1, right) for p, right in _around_zero(parts))
        return bool(abs(after - before) <= SIGN and before < 0)
    at_zero = float(stated_at(concrete(formula, values), sp.Integer(0))[0])
    steps = np.geomspace(1e-9, 1e9, 4000)
    places = [abs(e) for p in parts for e in p.ends if math.isfinite(e) and e]
    near = [e * np.array([1 - 1e-9, 1, 1 + 1e-9]) for e in places]
    u = np.unique(np.concatenate([steps, *near]))
    right, wrong = along(parts, u), along(parts, -u)
    for more in CHANCES:
        p, q = 0.5 + more, 0.5 - more
        # 0 · ∞: at q = 0 the other class is not there.
        best = p * right + (q * wrong if q else 0.0)
        worse = p * wrong + (q * right if q else 0.0)
        against = min(np.nanmin(worse), (p + q) * at_zero)
        if not against > np.nanmin(best) + CLEAR:
            return False
    return True


def _around_zero(parts: tuple[Piece, ...]) -> tuple[tuple[Piece, bool], tuple[Piece, bool]]:
    left = next(p for p in parts if p.ends[1] == 0)
    right = next(p for p in parts if p.ends[0] == 0)
    return (left, True), (right, False)


def along(parts: tuple[Piece, ...], u: Array) -> Array:
    """ψ in float64 over an array; at a cut the value of the piece to its left."""
    result = np.full(u.shape, np.nan)
    for piece in parts:
        inside = (u > piece.ends[0]) & (u <= piece.ends[1])
        result[inside] = fast(piece, 0)(u[inside])
    return result
