"""A number with its interval, and how it is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import numpy as np
from scipy import stats

LEVEL = 0.95
SHARES = "%"  # the one unit that is stored as a share and written in hundredths


@dataclass(frozen=True)
class Measure:
    """A mean over the seeds and the ends of its 95 % interval.

    A number that no seed can change, such as a constant of a formula, has both ends at the mean.
    """

    label: str
    mean: float
    low: float
    high: float
    unit: str = ""
    values: tuple[float, ...] = ()

    def __str__(self) -> str:
        middle = written(self.mean, self.unit)
        if self.low == self.high:
            return re.sub(r"\.0+(?!\d)", "", middle)  # 1, not 1.00
        return f"{middle} [{written(self.low, self.unit)}, {written(self.high, self.unit)}]"

    def as_data(self) -> dict[str, Any]:
        """For JSON, which knows no infinity."""
        numbers = {"mean": self.mean, "low": self.low, "high": self.high}
        finite = {key: value if isfinite(value) else None for key, value in numbers.items()}
        values = [value if isfinite(value) else None for value in self.values]
        return {"label": self.label, **finite, "unit": self.unit, "values": values}


def over_seeds(
    label: str, values: Sequence[float], unit: str = "", overlap: float = 0.0
) -> Measure:
    """The mean with its t-interval.

    Parameters:
        label: what was measured.
        values: one number for each seed.
        unit (default ""): "%" writes a share in hundredths.
        overlap (default 0): test rows / training rows where every seed splits the same data anew.
            Such seeds share most of their rows, so their spread alone promises too much; the
            variance is taken 1/n + overlap times, not 1/n (Nadeau & Bengio 2003,
            doi:10.1023/A:1024068626366).
    """
    numbers = tuple(float(value) for value in values)
    mean, count = float(np.mean(numbers)), len(numbers)
    if count < 2 or not isfinite(mean):
        return Measure(label, mean, -inf, inf, unit, numbers)
    error = float(np.std(numbers, ddof=1)) * (1 / count + overlap) ** 0.5
    reach = float(stats.t.ppf(0.5 + LEVEL / 2, count - 1)) * error
    return Measure(label, mean, mean - reach, mean + reach, unit, numbers)


def exact(label: str, value: float, unit: str = "") -> Measure:
    """A number without spread: a constant of a formula, or the worst of many cases."""
    return Measure(label, float(value), float(value), float(value), unit)


def written(value: float, unit: str = "") -> str:
    """With three digits that mean something, and a true minus sign."""
    if not isfinite(value):
        text = "∞" if value > 0 else "−∞" if value < 0 else "not a number"
        return text
    number = 100 * value if unit == SHARES else value
    size = abs(number)
    if number == 0 or (unit == SHARES and size < 1e-9):  # sums of shares leave dust
        text = "0"
    elif size < 1e-3 or size >= 1e6:
        text = f"{number:.1e}"
    else:
        text = f"{number:.{3 if size < 0.1 else 2 if size < 10 else 1 if size < 1000 else 0}f}"
    return text.replace("-", "−") + (f" {unit}" if unit else "")
