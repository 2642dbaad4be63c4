"""What is known of a loss as a function of its prediction: of one loss, whatever its target."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lossmith.formula import phrases
from lossmith.formula.traits import Known

if TYPE_CHECKING:
    from lossmith.formula.algebra import Properties


@dataclass(frozen=True)
class Reach:
    """Properties of one loss in all the scores that it sees.

    None means unknown, ∞ that there is no such constant.

    Attributes:
        convex: in all scores together.
        lipschitz: sup of the gradient's length, ‖∇‖₂: what a change of the scores by a distance
            of 1 can do at most.
        lipschitz_sup: the same for a change of every score by at most 1, sup of ‖∇‖₁.
        smooth: sup of the largest |eigenvalue| of the Hessian, the Lipschitz constant of the
            gradient in the 2-norm; ∞ where the gradient jumps.
        lowest, highest: bounds of the value.
    """

    convex: Known
    lipschitz: float | None
    lipschitz_sup: float | None
    smooth: float | None
    lowest: float | None
    highest: float | None

    def scaled(self, most: float) -> Reach:
        """The same where each part of the loss is multiplied by something from 0 to `most`."""
        return replace(
            self,
            lipschitz=times(most, self.lipschitz),
            lipschitz_sup=times(most, self.lipschitz_sup),
            smooth=times(most, self.smooth),
            lowest=None if self.lowest is None else min(0.0, most * self.lowest),
            highest=None if self.highest is None else max(0.0, most * self.highest),
        )

    def rows(self) -> list[tuple[str, str]]:
        """Name and answer of every property, for printing."""
        return [
            ("convex", phrases.said(self.convex)),
            ("Lipschitz (2-norm)", phrases.constant(self.lipschitz)),
            ("smooth (2-norm)", phrases.constant(self.smooth)),
            ("bounded", phrases.bounds(self.lowest, self.highest)),
        ]


def times(k: float, x: float | None) -> float | None:
    """k·x, where 0·∞ is 0."""
    return None if x is None else 0.0 if k == 0 else k * x


def falls(curve: Properties) -> bool:
    """Whether a convex ψ of a margin never rises: it is least at the right end."""
    where = curve.minimiser
    return curve.lipschitz == 0 or (where is not None and where.high == math.inf)
