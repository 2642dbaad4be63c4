"""Properties of a loss, and how they carry through factors and sums."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from lossmith.errors import InputError
from lossmith.formula import phrases
from lossmith.formula.domain import Interval
from lossmith.formula.record import Family
from lossmith.formula.sums import add
from lossmith.formula.traits import NEVER, Traits


@dataclass(frozen=True)
class Properties(Traits):
    """The traits of one loss, with their algebra; the fields are those of `Traits`."""

    def scaled_by(self, c: float) -> Properties:
        """The properties of c·ψ; a negative factor turns the curve upside down.

        Parameters:
            c: any real number.

        Errors:
            InputError if c is not finite.
        """
        if not math.isfinite(c):
            raise InputError(f"a factor must be finite, got {c}.")
        k = abs(c)
        same = replace(
            self,
            strong_convexity=times(k, self.strong_convexity),
            lipschitz=times(k, self.lipschitz),
            smooth=times(k, self.smooth),
            lowest=times(k, self.lowest),
            highest=times(k, self.highest),
            zero_one_factor=times(1 / k, self.zero_one_factor) if k else None,
        )
        if c > 0:
            return same
        if c == 0:
            return _zero(self.family)
        flat = self.convex and self.concave
        return replace(
            same,
            convex=self.concave,
            strictly_convex=self.strictly_concave,
            concave=self.convex,
            strictly_concave=self.strictly_convex,
            strong_convexity=0.0 if flat or self.concave is False else None,
            lowest=times(-k, self.highest),
            highest=times(-k, self.lowest),
            minimiser=None,
            # Upside down, a convex one falls without end on the wrong side.
            calibrated=False if self.calibrated and self.convex else None,
            zero_one_factor=None,
        )

    def plus(self, other: Properties) -> Properties:
        """What is sure of the sum of two losses of the same u.

        Parameters:
            other: properties of the other loss.

        Errors:
            InputError if the other loss is of another family.
        """
        if other.family != self.family:
            raise InputError(
                f"a loss of a {self.family} and one of a {other.family} have no common u; "
                "add losses of one family."
            )
        return add(self, other)

    def rows(self) -> list[tuple[str, str]]:
        """Name and answer of every property that means something here, for printing."""
        margin = self.family == "margin"
        lines = [
            ("convex", phrases.curved(self.convex, self.strictly_convex, self.strong_convexity)),
            ("concave", phrases.curved(self.concave, self.strictly_concave, None)),
            ("Lipschitz", phrases.constant(self.lipschitz)),
            ("smooth", phrases.constant(self.smooth)),
            ("bounded", phrases.bounds(self.lowest, self.highest)),
            ("symmetric", phrases.said(self.symmetric)) if self.family == "residual" else None,
            ("differentiable", phrases.times(self.differentiable)),
            ("redescending", phrases.said(self.redescending))
            if self.family == "residual"
            else None,
            ("bounds 0-1", phrases.dominates(self.zero_one_factor)) if margin else None,
            ("calibrated", phrases.said(self.calibrated)) if margin else None,
            ("minimiser", phrases.place(self.minimiser)),
        ]
        return [line for line in lines if line is not None]


def _zero(family: Family) -> Properties:
    everywhere = Interval(high=0.0, high_closed=True) if family == "probability" else Interval()
    margin = family == "margin"
    return Properties(
        family, True, False, True, False, 0.0, 0.0, 0.0, 0.0, 0.0, True, NEVER, (), everywhere,
        redescending=False if family == "residual" else None,
        calibrated=False if margin else None,
        zero_one_factor=NEVER if margin else None,
    )  # fmt: skip


def times(k: float, x: float | None) -> float | None:
    """k·x, where 0·∞ is 0: a part that is left out counts for nothing."""
    return None if x is None else 0.0 if k == 0 else k * x
