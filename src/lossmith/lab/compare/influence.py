"""Row by row: what each row adds to a metric, so that every metric is a mean of one number a row.

Accuracy and log-loss are such means as they stand. The others are not, and each row gets its
influence on them: the derivative of the metric by the row's weight, around the metric of all rows
of a repeat together. So one covariance serves every metric, and no metric is a mean of folds, which
small counts bias: a calibration error of 0.8 % reads as 1.9 % when every fold is judged alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Said:
    """What the trainings of one loss said of the kept rows: `facts` of (repeats, rows)."""

    facts: Mapping[str, NDArray[Any]]
    fold: NDArray[np.integer]  # (repeats, rows)
    target: NDArray[Any]
    weight: Array  # of each row, with the mean 1
    classes: int = 0
    rarest: int = 0

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the predicted class is the true one."""
        return np.asarray(self.facts["said"] == self.target)

    @property
    def members(self) -> Array:
        """How many kept rows each class has."""
        return np.bincount(self.target, minlength=self.classes).astype(np.float64)

    @cached_property
    def recalls(self) -> Array:
        """The share of each class that is right, for each repeat."""
        hits = [np.bincount(self.target, right, self.classes) for right in self.right]
        return np.stack(hits) / np.maximum(self.members, 1)


# From what was said to a number for each repeat and row; None where the loss trains no such thing.
ByRow = Callable[[Said], Array | None]


def mean_of(name: str) -> ByRow:
    """The plain mean of what is kept under a name."""

    def rows(said: Said) -> Array | None:
        return said.weight * said.facts[name] if name in said.facts else None

    return rows


def accuracy(said: Said) -> Array:
    """Rows that are right."""
    return said.weight * said.right


def balanced_accuracy(said: Said) -> Array:
    """The mean recall: a row moves that of its class by (right − recall) / members."""
    members = said.members
    there = members > 0
    scale = len(said.target) / (there.sum() * np.maximum(members, 1))
    recalls = said.recalls
    own = (said.right - recalls[:, said.target]) * scale[said.target]
    return np.asarray(recalls[:, there].mean(1, keepdims=True) + own)


def recall_of(which: Callable[[Said], int]) -> ByRow:
    """The recall of one class, which only its own rows move."""

    def rows(said: Said) -> Array:
        kind = which(said)
        own = said.target == kind
        recall = said.recalls[:, [kind]]
        return np.asarray(recall + (said.right - recall) * own * (len(own) / max(own.sum(), 1)))

    return rows


def worst(said: Said) -> int:
    """The class with the lowest recall over all repeats."""
    return int(np.where(said.members > 0, said.recalls.mean(0), np.inf).argmin())


def macro_f1(said: Said) -> Array:
    """F1 is 2t / (m + s): a row adds to what is meant, to what is said, and to what is right."""
    found = np.empty(said.facts["said"].shape)
    meant = np.bincount(said.target, said.weight, said.classes)
    for repeat, taken in enumerate(said.facts["said"]):
        both = meant + np.bincount(taken, said.weight, said.classes)
        right = taken == said.target
        hits = np.bincount(said.target, said.weight * right, said.classes)
        there = both > 0
        scale = 1 / np.where(there, both, np.inf)
        score = 2 * hits * scale
        own = 2 * right * scale[said.target] - (score * scale)[said.target] - (score * scale)[taken]
        found[repeat] = score[there].mean() + len(taken) * said.weight * own / there.sum()
    return found


# From scores of one training and which rows are of the class: what each row adds to a measure.
Kernel = Callable[[Array, NDArray[np.bool_]], Array]


def orders(scores: Array, target: NDArray[Any]) -> list[tuple[NDArray[np.bool_], Array]]:
    """Which rows are of a class, and their scores for it: of each class that can be judged so.

    With two classes there is one. With more, a class is ordered by its score minus the largest of
    the others, which needs no softmax.
    """
    if scores.ndim == 1:
        found = [(target == 1, scores)]
    else:
        found = [
            (target == kind, scores[:, kind] - np.delete(scores, kind, axis=1).max(1))
            for kind in np.unique(target)
        ]
    return [(true, score) for true, score in found if 0 < true.sum() < len(true)]


def mean_order(scores: Array, target: NDArray[Any], kernel: Kernel) -> Array | None:
    """What each row adds, over all the orders of one training; None where there is no order."""
    found = [kernel(score, true) for true, score in orders(scores, target)]
    return np.mean(found, axis=0) if found else None


def ranked(name: str, kernel: Kernel) -> ByRow:
    """A measure of order. Scores of two trainings have no common scale: each fold is by itself.

    With more than two classes it was worked out where all the scores were, and kept under `name`.
    """

    def rows(said: Said) -> Array | None:
        if "score" not in said.facts:
            return said.facts[name].astype(np.float64) if name in said.facts else None
        found = np.full(said.fold.shape, np.nan)
        for repeat, fold in enumerate(said.fold):
            for part in np.unique(fold):
                here = fold == part
                made = mean_order(said.facts["score"][repeat, here], said.target[here], kernel)
                found[repeat, here] = np.nan if made is None else made
        if np.isnan(found).all():
            return None
        return np.where(np.isnan(found), np.nanmean(found), found)

    return rows


def placements(score: Array, true: NDArray[np.bool_]) -> Array:
    """DeLong's: the share of rows of the other kind that a row is apart of, around the AUC."""
    ones, zeros = int(true.sum()), int((~true).sum())
    ranks, apart = rankdata(score), np.empty(len(score))
    apart[true] = (ranks[true] - rankdata(score[true])) / zeros
    apart[~true] = 1 - (ranks[~true] - rankdata(score[~true])) / ones
    area = float(apart[true].mean())
    return area + (apart - area) * np.where(true, len(true) / ones, len(true) / zeros)


def precisions(score: Array, true: NDArray[np.bool_]) -> Array:
    """Average precision: a row changes its own share, and the precision at each row it is above."""
    order = np.argsort(-score, kind="stable")
    last = np.searchsorted(-score[order], -score, side="right")  # rows at or above each row
    above = np.cumsum(true[order])[last - 1]
    precision = above / last
    mean = float(precision[true].mean())
    # Sums over the true rows at or below a row, of what it adds there if true, takes if not.
    drop = np.where(true, 1 / last, 0.0)[order]
    rest = np.where(true, precision / last, 0.0)[order]
    first = np.searchsorted(-score[order], -score, side="left")
    below = [np.append(np.cumsum(part[::-1])[::-1], 0.0)[first] for part in (drop, rest)]
    slope = np.where(true, precision - mean + below[0] - below[1], -below[1]) / true.sum()
    return mean + len(true) * slope


def calibration_error(bins: int) -> ByRow:
    """Confidence minus right, with the sign of its bin over all repeats."""

    def rows(said: Said) -> Array | None:
        if "top" not in said.facts:
            return None
        top = said.facts["top"].astype(np.float64)
        gap = said.weight * (top - said.facts.get("hit", said.right))
        place = np.minimum((top * bins).astype(np.int64), bins - 1)
        sums = np.bincount(place.ravel(), gap.ravel(), bins)
        return gap * np.where(sums < 0, -1.0, 1.0)[place]

    return rows


def absolute(said: Said) -> Array:
    """Absolute errors."""
    return np.abs(said.facts["error"].astype(np.float64))


def root_mean_square(said: Said) -> Array:
    """The root of the mean of the squared errors."""
    return _root(said.facts["error"].astype(np.float64) ** 2)


def root_mean_of(name: str) -> ByRow:
    """The root of the mean of what is kept under a name."""

    def rows(said: Said) -> Array | None:
        return _root(said.facts[name].astype(np.float64)) if name in said.facts else None

    return rows


def _root(square: Array) -> Array:
    """The root of a mean, by its slope there."""
    mean = square.mean(1, keepdims=True)
    root = np.sqrt(mean)
    return root + np.divide(square - mean, 2 * root, out=np.zeros_like(square), where=root > 0)


def quantile_of_errors(level: float) -> ByRow:
    """A quantile moves by (level − [row below it]) over the density there (Bofinger's window)."""

    def rows(said: Said) -> Array:
        found = absolute(said)
        count = found.shape[1]
        at = norm.ppf(level)
        wide = (4.5 * norm.pdf(at) ** 4 / ((2 * at**2 + 1) ** 2 * count)) ** 0.2
        low, high = max(level - wide, 0.0), min(level + wide, 1.0)
        for repeat, error in enumerate(found):
            middle, left, right = np.quantile(error, [level, low, high])
            below = error <= middle
            found[repeat] = middle + (below.mean() - below) * (right - left) / (high - low)
        return found

    return rows
