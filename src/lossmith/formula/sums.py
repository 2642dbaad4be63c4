"""What is sure of a sum, from what is known of its two terms; the rest is unknown."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TypeVar

from lossmith.formula.domain import Interval
from lossmith.formula.traits import Known, Traits

Some = TypeVar("Some", bound=Traits)


def add(a: Some, b: Some) -> Some:
    """The properties of ψ₁ + ψ₂ of one family."""
    shared = _overlap(a.minimiser, b.minimiser)
    convex, concave = both(a.convex, b.convex), both(a.concave, b.concave)
    return replace(
        a,
        convex=convex,
        strictly_convex=_strict(convex, a.strictly_convex, b.strictly_convex),
        concave=concave,
        strictly_concave=_strict(concave, a.strictly_concave, b.strictly_concave),
        strong_convexity=_plus(a.strong_convexity, b.strong_convexity) if convex else None,
        lipschitz=_size(a.lipschitz, b.lipschitz),
        smooth=_size(a.smooth, b.smooth),
        lowest=_lowest(a, b),
        highest=_highest(a, b),
        symmetric=_same_or_differ(a.symmetric, b.symmetric),
        differentiable=_order(a.differentiable, b.differentiable),
        kinks=tuple(sorted({*a.kinks, *b.kinks})),
        minimiser=shared,
        redescending=_redescending(a, b),
        calibrated=True if convex and a.calibrated and b.calibrated else None,
        zero_one_factor=_factor(a, b),
        exact=False,
    )


def both(a: Known, b: Known) -> Known:
    """Yes if both are; one that is not may be outweighed by the other."""
    return True if a and b else None


def _strict(plain: Known, a: Known, b: Known) -> Known:
    """One strict term is enough, as long as the other does not bend the wrong way."""
    return True if plain and (a or b) else None


def _plus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a + b


def _size(a: float | None, b: float | None) -> float | None:
    """|x + y| ≤ |x| + |y|. Infinite plus finite is infinite; two infinite ones may cancel."""
    if a is None or b is None or (math.isinf(a) and math.isinf(b)):
        return None
    return a + b


def _lowest(a: Traits, b: Traits) -> float | None:
    x, y = a.lowest, b.lowest
    if x is None or y is None:
        return None
    if math.isfinite(x) and math.isfinite(y):
        return x + y
    other = b.highest if math.isinf(x) else a.highest
    # Unbounded below stays so only next to a term that is bounded above.
    return -math.inf if other is not None and math.isfinite(other) else None


def _highest(a: Traits, b: Traits) -> float | None:
    x, y = a.highest, b.highest
    if x is None or y is None:
        return None
    if math.isfinite(x) and math.isfinite(y):
        return x + y
    other = b.lowest if math.isinf(x) else a.lowest
    return math.inf if other is not None and math.isfinite(other) else None


def _same_or_differ(a: Known, b: Known) -> Known:
    """Symmetric plus symmetric is; symmetric plus not is not; two that are not may be."""
    if a is None or b is None:
        return None
    return True if a and b else False if a or b else None


def _order(a: float | None, b: float | None) -> float | None:
    """At least so often: the kinks of two terms at one point may cancel."""
    return None if a is None or b is None else min(a, b)


def _redescending(a: Traits, b: Traits) -> Known:
    if a.redescending is None or b.redescending is None:
        return None
    if a.redescending and b.redescending:
        # Not constant: outside the one place where both are least, the sum is larger.
        return True if a.minimiser is not None and a.minimiser == b.minimiser else None
    if a.redescending or b.redescending:
        pulls = b if a.redescending else a
        # The other slope must be known to stay away from 0 somewhere far out.
        return False if pulls.convex and not pulls.concave else None
    return None


def _factor(a: Traits, b: Traits) -> float | None:
    """1/k is the least value on u ≤ 0, and least values add, as long as no term goes below 0."""
    factors = (a.zero_one_factor, b.zero_one_factor)
    if any(k is None for k in factors) or not all((p.lowest or 0) >= 0 for p in (a, b)):
        return None
    if a.lowest is None or b.lowest is None:
        return None
    rates = sum(0.0 if math.isinf(k) else 1 / k for k in factors if k is not None)
    return 1 / rates if rates > 0 else None


def _overlap(a: Interval | None, b: Interval | None) -> Interval | None:
    """Where both terms are least, the sum is; if nowhere, its minimiser is not known from here."""
    if a is None or b is None:
        return None
    if math.isinf(a.low) and a.low == a.high:
        return a if b.low == a.low or b.high == a.low else None
    if math.isinf(b.low) and b.low == b.high:
        return _overlap(b, a)
    low, high = max(a.low, b.low), min(a.high, b.high)
    low_closed = all(i.low_closed for i in (a, b) if i.low == low)
    high_closed = all(i.high_closed for i in (a, b) if i.high == high)
    if low > high or (low == high and not (low_closed and high_closed)):
        return None
    return Interval(low, high, low_closed, high_closed)
