"""Where a parameter may lie: an object that makes both the error message and the test inputs."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Annotated, Any


@dataclass(frozen=True)
class Interval:
    """A real interval with open or closed ends."""

    low: float = -math.inf
    high: float = math.inf
    low_closed: bool = False
    high_closed: bool = False

    def __contains__(self, x: float) -> bool:
        above = x >= self.low if self.low_closed else x > self.low
        below = x <= self.high if self.high_closed else x < self.high
        return bool(above and below)

    def __str__(self) -> str:
        left = "[" if self.low_closed else "("
        right = "]" if self.high_closed else ")"
        return f"{left}{self._end(self.low)}, {self._end(self.high)}{right}"

    @staticmethod
    def _end(x: float) -> str:
        return f"{x:g}".replace("inf", "∞")

    def samples(self) -> tuple[float, ...]:
        """A few inner points, spread over the interval: what tests draw their parameters from."""
        if math.isfinite(self.low) and math.isfinite(self.high):
            return tuple(self.low + f * (self.high - self.low) for f in (0.1, 0.5, 0.9))
        if math.isfinite(self.low):
            return tuple(self.low + d for d in (0.25, 1.0, 3.0))
        if math.isfinite(self.high):
            return tuple(self.high - d for d in (0.25, 1.0, 3.0))
        return (-1.0, 0.5, 1.0)


def as_number(value: Any) -> float | None:
    """A real number as Python's float, NumPy's included; None for what is none, True among it."""
    if isinstance(value, float):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    try:
        return float(value)
    except OverflowError:  # a whole number beyond the floats
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]


# The annotations that a formula's parameters carry. They are plain floats to a type checker.
Real = Annotated[float, Interval()]
Positive = Annotated[float, Interval(low=0.0)]
NonNegative = Annotated[float, Interval(low=0.0, low_closed=True)]
Fraction = Annotated[float, Interval(low=0.0, high=1.0)]
