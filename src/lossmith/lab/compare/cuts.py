"""Where a score is cut into classes, and what makes it a probability: both from validation rows.

A loss trains scores. Where they are cut is a second choice, which a loss makes in passing: under a
rare class most cut far from where the balanced accuracy is best, though they order the rows alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from lossmith.lab.compare.metrics import IMBALANCED, METRICS, Judged, Metric

Array = NDArray[np.float64]
PROBABILITIES = ("log_loss", "brier", "calibration_error")
FEWEST = 8  # rows of a class from which every threshold is tried
MOST = 5000  # rows that offsets and temperatures are fitted to
STRENGTHS = np.linspace(-1, 2, 31)  # of the offsets of the classes; 0 is as trained
_REACH = 7.0  # log of the largest temperature, and minus that of the smallest


def _f1(right: Array, meant: float, said: Array) -> Array:
    return np.divide(2 * right, meant + said, out=np.zeros_like(said), where=meant + said > 0)


# Each metric of decisions between two classes, from the recalls of class 0 and 1 and the members
# of each, for many cuts at once.
_SWEPT: dict[str, Callable[[Array, Array, float, float, int], Array]] = {
    "accuracy": lambda r0, r1, n0, n1, rarest: (n0 * r0 + n1 * r1) / (n0 + n1),
    "balanced_accuracy": lambda r0, r1, n0, n1, rarest: (r0 + r1) / 2,
    "macro_f1": lambda r0, r1, n0, n1, rarest: (
        _f1(n0 * r0, n0, n0 * r0 + n1 * (1 - r1)) + _f1(n1 * r1, n1, n1 * r1 + n0 * (1 - r0))
    ) / 2,
    "worst_recall": lambda r0, r1, n0, n1, rarest: np.minimum(r0, r1),
    "rare_recall": lambda r0, r1, n0, n1, rarest: r1 if rarest else r0,
}  # fmt: skip
DECISIONS = tuple(_SWEPT)


def chosen_by(metric: str, counts: NDArray[np.int64]) -> str:
    """The metric that a cut is chosen by: the one that decides, if it is one of decisions."""
    if metric in DECISIONS:
        return metric
    return "balanced_accuracy" if counts.max() > IMBALANCED * counts.min() else "accuracy"


def temperature(judged: Judged) -> float:
    """The T > 0 for which the softmax of scores / T has the least log-loss (Guo et al. 2017)."""
    judged = _some(judged)

    def loss(log: float) -> float:
        wide = judged.scores / np.exp(log)
        if judged.task == "binary":
            sign = np.where(judged.target == 1, -1.0, 1.0)
            return float(np.logaddexp(0.0, sign * wide).mean())
        own = wide[np.arange(len(wide)), judged.target]
        return float((np.logaddexp.reduce(wide, axis=1) - own).mean())

    found = minimize_scalar(loss, bounds=(-_REACH, _REACH), method="bounded")
    return float(np.exp(found.x))


def best(judged: Judged, name: str) -> Any:
    """What to add to the scores so that the metric is best on these rows; of equals the least."""
    return _threshold(judged, name) if judged.task == "binary" else _offsets(judged, METRICS[name])


def _threshold(judged: Judged, name: str) -> float:
    """Of two classes, minus the best of all thresholds."""
    members = [float((judged.target == kind).sum()) for kind in (0, 1)]
    if not all(members):
        return 0.0
    if min(members) < FEWEST:
        return _halfway(judged, METRICS[name])
    order = np.argsort(judged.scores, kind="stable")
    scores, ones = judged.scores[order], judged.target[order] == 1
    # Before the first row, and after each that is not followed by its equal.
    after = np.append(np.flatnonzero(scores[1:] > scores[:-1]) + 1, len(scores))
    below = np.concatenate([[0], np.cumsum(ones)[after - 1]])
    place = np.concatenate([[0], after])
    r0, r1 = (place - below) / members[0], 1 - below / members[1]
    value = _SWEPT[name](r0, r1, members[0], members[1], judged.rarest)
    low = np.concatenate([[scores[0] - 1.0], scores[after - 1]])
    high = np.append(low[1:], scores[-1] + 1.0)
    high[0] = scores[0]
    high[1:-1] = scores[after[:-1]]
    # A row is of class 1 above the cut, so low itself would do; 0, as trained, where that lies so.
    cut = np.where((low <= 0) & (high > 0), 0.0, (low + high) / 2)
    top = np.flatnonzero(value >= value.max() - 1e-12)
    return -float(cut[top[np.abs(cut[top]).argmin()]])


def _halfway(judged: Judged, metric: Metric) -> float:
    """As trained, or halfway between the classes: where one has so few rows, their gaps are luck.

    A rule picked after looking at one data set, breast cancer at 1:100 with two such rows to choose
    by: under cross-entropy the best of all thresholds reached 0.81 balanced accuracy there, halfway
    0.87. On other data it is untested, and these figures are no evidence for it.
    """
    low, high = (float(np.median(judged.scores[judged.target == kind])) for kind in (0, 1))
    sign = 1.0 if metric.higher else -1.0
    tried = (0.0, -(low + high) / 2)
    return max(tried, key=lambda shift: sign * (metric.value(replace(judged, shift=shift)) or 0.0))


def _offsets(judged: Judged, metric: Metric) -> Array:
    """Of more classes, -s·T·log π: π their shares of these rows, T the temperature.

    One number s (Menon et al. 2021, arXiv:2007.07314, eq. 9, where it is 1), because a free offset
    for each class would fit these few rows and no others.
    """
    judged = _some(judged)
    counts = np.bincount(judged.target, minlength=judged.classes) + 1.0
    offsets = temperature(judged) * (np.log(counts).mean() - np.log(counts))

    def rank(strength: float) -> tuple[float, float]:
        value = metric.value(replace(judged, shift=strength * offsets)) or 0.0
        return round(value if metric.higher else -value, 12), -abs(strength)

    return np.asarray(max(STRENGTHS.tolist(), key=rank) * offsets)


def _some(judged: Judged) -> Judged:
    if len(judged.target) <= MOST:
        return judged
    some = np.linspace(0, len(judged.target) - 1, MOST).astype(int)
    return replace(judged, scores=judged.scores[some], target=judged.target[some])


def judge(validation: Judged, test: Judged, metric: str) -> dict[str, Any]:
    """The metrics of the test rows as trained, with the cut, and with the temperature.

    A margin loss gives no probabilities until a temperature makes its scores some.
    """
    name = chosen_by(metric, np.bincount(validation.target, minlength=validation.classes))
    shift = best(validation, name)
    warm = temperature(validation)
    trained, cut = replace(test, shift=0.0), replace(test, shift=shift)
    calm = replace(test, scores=test.scores / warm)
    return {
        "cut": {
            "metric": name,
            "decides": METRICS[metric].cut,
            "shift": np.round(shift, 6).tolist(),
            "as_trained": {key: METRICS[key].value(trained) for key in DECISIONS},
            "with_cut": {key: METRICS[key].value(cut) for key in DECISIONS},
        },
        "temperature": {
            "value": float(f"{warm:.6g}"),
            "metrics": {key: METRICS[key].value(calm) for key in PROBABILITIES},
        },
    }
