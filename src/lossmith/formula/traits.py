"""What can be known of a loss: every property, and the constant that goes with it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lossmith.formula.domain import Interval
from lossmith.formula.record import Family

Known = bool | None
NEVER = math.inf
# What speaks of slopes. Where a formula holds a part of itself (`hold`), the slope that is followed
# is not that of ψ, and these are unknown.
OF_SLOPES = (
    *("convex", "strictly_convex", "concave", "strictly_concave", "strong_convexity"),
    *("lipschitz", "smooth", "differentiable", "redescending", "calibrated"),
)


@dataclass(frozen=True)
class Traits:
    """Properties of ψ as a function of u, over every u that its family allows.

    None means unknown (or, for a property of another family, without meaning), ∞ that there is
    no such constant. Computed ones (`exact`) are the best possible constants; after `plus` they
    are bounds that hold, and perhaps better ones do too.

    Attributes:
        family: what u is: residual, margin, or log-probability (u ≤ 0).
        convex: no chord lies below the curve.
        strictly_convex: every chord lies above it.
        concave: -ψ is convex.
        strictly_concave: -ψ is strictly convex.
        strong_convexity: the largest m such that ψ - m·u²/2 is convex; 0 if there is none.
        lipschitz: sup of |ψ'|; ∞ where the value jumps.
        smooth: Lipschitz constant of the slope, the sup of |ψ''|; ∞ where value or slope jumps.
        lowest: inf of ψ; -∞ if unbounded.
        highest: sup of ψ, its bound; ∞ if unbounded.
        symmetric: ψ(-u) = ψ(u) for every u.
        differentiable: how many derivatives are continuous: -1 not even the value, 0 the value,
            1 the slope, ... ∞ all.
        kinks: where it is not differentiable without end.
        minimiser: where ψ equals `lowest`; (∞, ∞) or (-∞, -∞) if it is only approached there.
        redescending: residuals: the slope goes to 0 on both sides, and ψ is not constant.
        calibrated: margins: minimising the risk of ψ minimises the share of errors too
            (Bartlett, Jordan & McAuliffe 2006, doi:10.1198/016214505000000907).
        zero_one_factor: margins: the smallest k with k·ψ(u) ≥ the 0-1 loss (1 for u ≤ 0, else 0);
            1 or less if ψ bounds it as it stands, ∞ if no multiple does.
        exact: whether the constants are the best possible, or only valid.
    """

    family: Family
    convex: Known
    strictly_convex: Known
    concave: Known
    strictly_concave: Known
    strong_convexity: float | None
    lipschitz: float | None
    smooth: float | None
    lowest: float | None
    highest: float | None
    symmetric: Known
    differentiable: float | None
    kinks: tuple[float, ...]
    minimiser: Interval | None
    redescending: Known
    calibrated: Known
    zero_one_factor: float | None
    exact: bool = True

    @property
    def bounded(self) -> Known:
        """Whether ψ stays between two numbers."""
        if self.highest is None or self.lowest is None:
            return None
        return math.isfinite(self.highest) and math.isfinite(self.lowest)
