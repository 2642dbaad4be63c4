"""What the runs support: intervals, paired tests, and the set that cannot be told from the best.

A seed draws the split, the first weights and the spoiled labels, and every loss meets the same
draw. So the runs of one seed are a pair, and an interval speaks about a new draw from this data
set; it does not speak about other data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import nan

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean and how far a t-interval reaches to each side; one value alone reaches nowhere."""

    mean: float
    half_width: float

    @property
    def low(self) -> float:
        """The lower end."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """The upper end."""
        return self.mean + self.half_width


def interval(values: Sequence[float], finest: float = 0.0) -> Interval:
    """The mean over the seeds with its t-interval; the half width of one value is NaN."""
    if len(values) < 2:
        return Interval(float(np.mean(values)), nan)
    quantile = stats.t.ppf(0.5 + LEVEL / 2, len(values) - 1)
    return Interval(float(np.mean(values)), float(quantile * _error(values, finest)))


def paired_p(first: Sequence[float], second: Sequence[float], finest: float = 0.0) -> float:
    """The p-value of the paired t-test; 1 where there is nothing to test with."""
    gaps = np.subtract(first, second)
    if len(gaps) < 2 or not gaps.any():
        return 1.0
    return float(2 * stats.t.sf(abs(gaps.mean()) / _error(gaps, finest), len(gaps) - 1))


def _error(values: Sequence[float] | NDArray[np.float64], finest: float) -> float:
    """The standard error, no finer than the measure.

    An accuracy is a count of rows. Two seeds with the same gap are then a coincidence, not a
    proof, so the spread is never taken to be less than `finest`, one row.
    """
    return max(float(np.std(values, ddof=1)), finest) / len(values) ** 0.5


def all_pairs(
    values: Mapping[str, Sequence[float]], finest: float = 0.0
) -> dict[frozenset[str], float]:
    """Holm's adjusted p-values of every pair.

    All pairs, because the best is picked after looking: a test against the best alone would
    count too few comparisons.
    """
    pairs = list(combinations(values, 2))
    if not pairs:
        return {}
    found = [paired_p(values[a], values[b], finest) for a, b in pairs]
    adjusted = multipletests(found, method="holm")[1]
    return {frozenset(pair): float(p) for pair, p in zip(pairs, adjusted, strict=True)}


def among_best(
    values: Mapping[str, Sequence[float]], pairs: Mapping[frozenset[str], float]
) -> list[str]:
    """The highest mean first, then each that cannot be told from it, by falling mean."""
    ranked = sorted(values, key=lambda name: -float(np.mean(values[name])))
    return [
        name
        for name in ranked
        if name == ranked[0] or pairs[frozenset((name, ranked[0]))] > 1 - LEVEL
    ]
