"""What the trials support: intervals, paired tests, and the set that cannot be told from the best.

Every loss meets the same folds, first weights and spoiled rows, so the trials of one fold are a
pair. Folds of one data set share most of their training rows, so their results are not
independent, and the plain paired t-test is far too sure. Nadeau & Bengio (2003, Inference for the
generalization error, Machine Learning 52, eq. 16) replace the variance s²/J of a mean over J folds
by (1/J + n_test/n_train)·s². An interval speaks about new draws of this kind of data, of this size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import nan, sqrt

import numpy as np
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


def interval(values: Sequence[float], overlap: float, finest: float = 0.0) -> Interval:
    """The mean over the folds with its corrected t-interval.

    `overlap` is n_test/n_train, the correction for folds that share their training rows.
    """
    if len(values) < 2:
        return Interval(float(np.mean(values)), nan)
    quantile = stats.t.ppf(0.5 + LEVEL / 2, len(values) - 1)
    return Interval(float(np.mean(values)), float(quantile * _error(values, overlap, finest)))


def paired_p(
    first: Sequence[float], second: Sequence[float], overlap: float, finest: float = 0.0
) -> float:
    """The p-value of the corrected paired t-test; 1 where there is nothing to test with."""
    gaps = np.subtract(first, second)
    if len(gaps) < 2 or not gaps.any():
        return 1.0
    error = _error(gaps.tolist(), overlap, finest)
    if error == 0:  # every fold shows the very same gap, in numbers that are not counts
        return 0.0
    return float(2 * stats.t.sf(abs(gaps.mean()) / error, len(gaps) - 1))


def _error(values: Sequence[float], overlap: float, finest: float) -> float:
    """The corrected standard error, no finer than the measure.

    An accuracy is a count of rows. Two folds with the same gap are then a coincidence, not a
    proof, so the spread is never taken to be less than `finest`, one row.
    """
    return max(float(np.std(values, ddof=1)), finest) * sqrt(1 / len(values) + overlap)


def all_pairs(
    values: Mapping[str, Sequence[float]], overlap: float, finest: float = 0.0
) -> dict[frozenset[str], float]:
    """Holm's adjusted p-values of every pair.

    All pairs, because the best is picked after looking: a test against the best alone would
    count too few comparisons.
    """
    pairs = list(combinations(values, 2))
    if not pairs:
        return {}
    found = [paired_p(values[a], values[b], overlap, finest) for a, b in pairs]
    adjusted = multipletests(found, method="holm")[1]
    return {frozenset(pair): float(p) for pair, p in zip(pairs, adjusted, strict=True)}


def among_best(
    values: Mapping[str, Sequence[float]],
    pairs: Mapping[frozenset[str], float],
    higher_is_better: bool = True,
) -> list[str]:
    """The best mean first, then each that cannot be told from it, from better to worse."""
    sign = -1.0 if higher_is_better else 1.0
    ranked = sorted(values, key=lambda name: sign * float(np.mean(values[name])))
    return [
        name
        for name in ranked
        if name == ranked[0] or pairs[frozenset((name, ranked[0]))] > 1 - LEVEL
    ]
