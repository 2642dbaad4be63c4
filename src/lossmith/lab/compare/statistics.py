"""What the trainings support: one covariance for rows and trainings, and the sets built on it.

Row i is judged in repeat r by a training, that of its fold. What it adds to the metric of loss l is

    z[r, i, l]  =  mean of l  +  share of the row  +  share of the training  +  the rest,

and the mean over new rows and new trainings is what is asked for. Rows and trainings cross, so both
count (Cameron, Gelbach & Miller 2011; Owen 2007):

    V  =  S_rows / n  +  S_folds / (R·K)

S_rows is the covariance over the rows of their means over the repeats, S_folds that of the R·K fold
means. What is left of a single cell is in both, so V errs on the safe side.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]

LEVEL = 0.95  # of the intervals
DRAWS = 5000  # of equal losses, against which a gap is held
_TINY = 1e-300


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


@dataclass(frozen=True, eq=False)
class Table:
    """Row values of one metric, lower is better: z[repeat, row, loss] and fold[repeat, row]."""

    z: Array
    fold: NDArray[np.integer]
    finest: float = 0.0  # how much one row can change a mean, where the values are counts

    def some(self, repeats: int, losses: list[int]) -> Table:
        """The first repeats of some of the losses."""
        return Table(self.z[:repeats, :, losses], self.fold[:repeats], self.finest)


@dataclass(frozen=True, eq=False)
class Estimate:
    """The means, and the two parts of the covariance of their errors."""

    mean: Array
    rows: Array  # S_rows / n: what no further repeat takes away
    trainings: Array  # S_folds / (R·K)
    count: int  # rows
    folds: int  # R·K

    @cached_property
    def gaps(self) -> Array:
        """How much worse each loss (down) is than each other (across)."""
        return self.mean[:, None] - self.mean[None, :]

    @cached_property
    def floor(self) -> Array:
        """The error of each gap that would be left after endless repeats."""
        return np.sqrt(_pairs(self.rows))

    @cached_property
    def errors(self) -> Array:
        """The error of each gap."""
        return np.sqrt(_pairs(self.rows) + _pairs(self.trainings))

    @cached_property
    def freedom(self) -> Array:
        """Satterthwaite's degrees of freedom of each error, no more than of all pairs at once.

        A pair whose trainings agree by chance would seem surer than it is, and be picked for it:
        with twelve equal losses that alone makes 5 % into 7.
        """
        rows, trainings = _pairs(self.rows), _pairs(self.trainings)
        pooled = self._freedom(rows.mean(), trainings.mean())
        return np.minimum(self._freedom(rows, trainings), pooled)

    @cached_property
    def scores(self) -> Array:
        """The gaps as normal scores, so that pairs with other degrees of freedom can be compared.

        Losses that predict the same in every row have neither gap nor error: their score is 0.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(self.gaps == 0, 0.0, self.gaps / self.errors)
        tail = np.clip(stats.t.sf(np.abs(t), self.freedom), _TINY, 0.5)
        return np.asarray(np.sign(t) * stats.norm.isf(tail))

    @cached_property
    def luck(self) -> Array:
        """Draws of the normal score of each pair, without sign, were all losses equal."""
        values, vectors = np.linalg.eigh(self.rows + self.trainings)
        steps = np.random.default_rng(0).standard_normal((DRAWS, len(self.mean)))
        drawn = steps @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
        first, second = np.triu_indices(len(self.mean), 1)
        error = self.errors[first, second]
        return np.abs(drawn[:, first] - drawn[:, second]) / np.where(error > 0, error, np.inf)

    def interval(self, loss: int) -> Interval:
        """The mean of one loss with its interval; of an estimate that was not centred."""
        rows, trainings = self.rows[loss, loss], self.trainings[loss, loss]
        return self._interval(self.mean[loss], rows, trainings)

    def gap(self, loss: int, other: int) -> Interval:
        """How much worse a loss is than another."""
        rows, trainings = _pairs(self.rows)[loss, other], _pairs(self.trainings)[loss, other]
        return self._interval(self.gaps[loss, other], rows, trainings)

    def _interval(self, mean: float, rows: float, trainings: float) -> Interval:
        if self.folds < 2 or self.count < 2:
            return Interval(float(mean), nan)
        freedom = self._freedom(rows, trainings)
        reach = stats.t.ppf(0.5 + LEVEL / 2, freedom) * np.sqrt(rows + trainings)
        return Interval(float(mean), float(reach))

    def _freedom(self, rows: Any, trainings: Any) -> Any:
        parts = rows**2 / (self.count - 1) + trainings**2 / (self.folds - 1)
        found = (rows + trainings + _TINY) ** 2 / (parts + _TINY)
        return np.clip(found, self.folds - 1, max(self.count, self.folds) - 1)


def estimate(table: Table, centred: bool = True, trainings: bool = True) -> Estimate:
    """Means and covariance. Centred, only differences between the losses count.

    `trainings=False` takes the trainings for granted, as a test over rows alone does. It is wrong,
    and here so that the self-check can show that it would find such a fault.
    """
    repeats, count, losses = table.z.shape
    mean = table.z.mean((0, 1))
    z = table.z - table.z.mean(2, keepdims=True) if centred else table.z
    by_row = _covariance(z.mean(0)) / count
    # Two losses that differ in a handful of rows: one more pair of rows (Agresti & Min 2005).
    by_row += 0.5 * table.finest**2 * np.eye(losses)
    folds = int(table.fold.max()) + 1
    means = np.stack(
        [z[r][table.fold[r] == f].mean(0) for r in range(repeats) for f in range(folds)]
    )
    by_fold = _covariance(means) / len(means)
    return Estimate(mean, by_row, by_fold if trainings else 0 * by_fold, count, len(means))


def _covariance(values: Array) -> Array:
    """Over the first axis; one value alone has none."""
    if len(values) < 2:
        return np.zeros((values.shape[1], values.shape[1]))
    return np.atleast_2d(np.cov(values.T))


def _pairs(covariance: Array) -> Array:
    own = np.diag(covariance)
    return np.maximum(own[:, None] + own[None, :] - 2 * covariance, 0.0)


def model_confidence_set(e: Estimate) -> Array:
    """The p-value of each loss (Hansen, Lunde & Nason 2011, range statistic): in if above alpha.

    While the largest gap is improbable among equal losses, its worse end is put out. With
    probability 1 − alpha every loss that is as good as the best stays in.
    """
    losses = len(e.mean)
    first, second = np.triu_indices(losses, 1)
    there, p, running = np.ones(losses, bool), np.ones(losses), 0.0
    while there.sum() > 1:
        own = there[first] & there[second]
        worst = np.where(there[:, None] & there[None, :], e.scores, -np.inf).max(1)
        out = int(worst.argmax())
        as_large = e.luck[:, own].max(1) >= worst[out] - 1e-12
        running = max(running, float(as_large.mean()))
        p[out] = running
        there[out] = False
    return p


def behind(e: Estimate, alpha: float) -> Array:
    """For all losses at once: by how much each is behind the best of the others at most."""
    if len(e.mean) < 2:
        return np.zeros(len(e.mean))
    cut = np.quantile(e.luck.max(1), 1 - alpha)
    reach = stats.t.isf(stats.norm.sf(cut), e.freedom) * e.errors
    bound = e.gaps + reach
    np.fill_diagonal(bound, 0.0)
    return np.asarray(np.maximum(bound.max(1), 0.0))
