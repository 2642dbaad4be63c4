"""What is known of a loss: its properties with their constants, and how they carry through."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

from lossmith.errors import InputError
from lossmith.formula.domain import Interval
from lossmith.formula.record import Family

Known = bool | None
NEVER = math.inf


@dataclass(frozen=True)
class Properties:
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

    @property
    def bounds_zero_one(self) -> Known:
        """Whether ψ itself, without a factor, is at least the 0-1 loss."""
        return None if self.zero_one_factor is None else self.zero_one_factor <= 1

    def scaled_by(self, c: float) -> Properties:
        """The properties of c·ψ; a negative factor turns the curve upside down.

        Parameters:
            c: any real number.

        Errors:
            InputError if c is not finite.
        """
        _need_finite(c)
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

    def of_affine(self, a: float, b: float = 0.0) -> Properties:
        """The properties of ψ(a·u + b).

        Parameters:
            a: any real number but 0.
            b (default 0): any real number.

        Errors:
            InputError if a is 0, or if a log-probability would leave u ≤ 0.
        """
        _need_finite(a, b)
        if a == 0:
            raise InputError("ψ(a·u + b) with a = 0 does not depend on u; give another a.")
        if self.family == "probability" and (a < 0 or b != 0):
            raise InputError(f"{a:g}·u + {b:g} leaves u ≤ 0; a log-probability takes a > 0, b = 0.")
        still = b == 0 and a > 0
        return replace(
            self,
            strong_convexity=times(a * a, self.strong_convexity),
            lipschitz=times(abs(a), self.lipschitz),
            smooth=times(a * a, self.smooth),
            symmetric=self.symmetric if b == 0 else None,
            kinks=tuple(sorted((k - b) / a for k in self.kinks)),
            minimiser=None if self.minimiser is None else _pulled(self.minimiser, a, b),
            # Mirrored, a calibrated loss prefers the wrong sign; shifted, it must be computed anew.
            calibrated=self.calibrated if still else False if b == 0 and self.calibrated else None,
            zero_one_factor=self.zero_one_factor if still else None,
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
        from lossmith.formula.sums import add

        return add(self, other)

    def rows(self) -> list[tuple[str, str]]:
        """Name and answer of every property that means something here, for printing."""
        margin = self.family == "margin"
        lines = [
            ("convex", _curved(self.convex, self.strictly_convex, self.strong_convexity)),
            ("concave", _curved(self.concave, self.strictly_concave, None)),
            ("Lipschitz", _constant(self.lipschitz)),
            ("smooth", _constant(self.smooth)),
            ("bounded", _bounds(self.lowest, self.highest)),
            ("symmetric", said(self.symmetric)) if self.family == "residual" else None,
            ("differentiable", _times(self.differentiable)),
            ("redescending", said(self.redescending)) if self.family == "residual" else None,
            ("bounds 0-1", _dominates(self.zero_one_factor)) if margin else None,
            ("calibrated", said(self.calibrated)) if margin else None,
            ("minimiser", place(self.minimiser)),
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


def _need_finite(*numbers: float) -> None:
    if not all(map(math.isfinite, numbers)):
        raise InputError(f"a factor or shift must be finite, got {', '.join(map(str, numbers))}.")


def times(k: float, x: float | None) -> float | None:
    """k·x, where 0·∞ is 0: a part that is left out counts for nothing."""
    return None if x is None else 0.0 if k == 0 else k * x


def _pulled(where: Interval, a: float, b: float) -> Interval:
    low, high = (where.low - b) / a, (where.high - b) / a
    if a > 0:
        return Interval(low, high, where.low_closed, where.high_closed)
    return Interval(high, low, where.high_closed, where.low_closed)


def number(x: float) -> str:
    """For reading: a simple fraction as one, otherwise six digits."""
    if math.isinf(x):
        return "∞" if x > 0 else "-∞"
    simple = Fraction(x).limit_denominator(64)
    if simple.denominator not in (1, 2, 5, 10) and abs(x - simple) < 1e-12 * abs(x):
        return str(simple)
    return f"{x:.6g}"


def said(known: Known) -> str:
    return "unknown" if known is None else "yes" if known else "no"


def _curved(plain: Known, strictly: Known, strength: float | None) -> str:
    if not plain:
        return said(plain)
    if strength:
        return f"yes, strongly: {number(strength)}"
    return "yes, strictly" if strictly else "yes"


def _constant(x: float | None) -> str:
    return "unknown" if x is None else "no" if math.isinf(x) else f"yes: {number(x)}"


def _bounds(lowest: float | None, highest: float | None) -> str:
    if lowest is None or highest is None:
        return "unknown"
    answer = "yes" if math.isfinite(lowest) and math.isfinite(highest) else "no"
    return f"{answer}: from {number(lowest)} to {number(highest)}"


def _times(order: float | None) -> str:
    if order is None:
        return "unknown"
    words = {-1: "no: the value jumps", 0: "no: the slope jumps", 1: "once", 2: "twice"}
    return words.get(int(order), f"{order:g} times") if math.isfinite(order) else "without end"


def _dominates(factor: float | None) -> str:
    if factor is None:
        return "unknown"
    if factor <= 1:
        return "yes" if factor == 1 else f"yes (even times {number(factor)})"
    if math.isinf(factor):
        return "no, whatever the factor"
    in_bits = math.isclose(factor, 1 / math.log(2))
    return "in bits: divided by log 2" if in_bits else f"times {number(factor)}"


def place(where: Interval | None) -> str:
    """The minimiser in words: u = 0, |u| ≤ 0.1, u ≥ 1, u → ∞."""
    if where is None:
        return "unknown"
    low, high = where.low, where.high
    if low == high:
        return f"u {'→' if math.isinf(low) else '='} {number(low)}"
    if math.isinf(low) and math.isinf(high):
        return "every u"
    if math.isinf(high):
        return f"u {'≥' if where.low_closed else '>'} {number(low)}"
    if math.isinf(low):
        return f"u {'≤' if where.high_closed else '<'} {number(high)}"
    left, right = "≤" if where.low_closed else "<", "≤" if where.high_closed else "<"
    if low == -high and where.low_closed == where.high_closed:
        return f"|u| {right} {number(high)}"
    return f"{number(low)} {left} u {right} {number(high)}"
