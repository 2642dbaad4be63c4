"""Where a score is cut into classes, and what makes it a probability: both from validation rows.

A loss trains scores. Where they are cut is a second choice, which a loss makes in passing: under a
rare class most cut far from where the balanced accuracy is best, though they order the rows alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from lossmith.lab.compare.metrics import IMBALANCED, METRICS, Judged

Array = NDArray[np.float64]
DECISIONS = ("accuracy", "balanced_accuracy", "macro_f1", "worst_recall", "rare_recall")
PROBABILITIES = ("log_loss", "brier", "calibration_error")
CUTS = 256  # thresholds that are tried, at even shares of the rows
STRENGTHS = np.linspace(-1, 2, 31)  # of the offsets of the classes; 0 is as trained
_REACH = 7.0  # log of the largest temperature, and minus that of the smallest


def deciding(metric: str, counts: NDArray[np.int64]) -> str:
    """The metric that a cut is chosen by: the one that decides, if it is one of decisions."""
    if metric in DECISIONS:
        return metric
    return "balanced_accuracy" if counts.max() > IMBALANCED * counts.min() else "accuracy"


def temperature(judged: Judged) -> float:
    """The T > 0 for which the softmax of scores / T has the least log-loss (Guo et al. 2017)."""

    def loss(log: float) -> float:
        wide = judged.scores / np.exp(log)
        if judged.task == "binary":
            sign = np.where(judged.target == 1, -1.0, 1.0)
            return float(np.logaddexp(0.0, sign * wide).mean())
        own = wide[np.arange(len(wide)), judged.target]
        return float((np.logaddexp.reduce(wide, axis=1) - own).mean())

    found = minimize_scalar(loss, bounds=(-_REACH, _REACH), method="bounded")
    return float(np.exp(found.x))


def best(judged: Judged, metric: str, weight: Array, at: float) -> Array:
    """What to add to the scores so that the metric is best on these rows; of equals the least.

    With two classes any threshold is tried. With more, the classes are offset by -s·T·log π, π
    being their shares among the training rows and T the temperature (Menon et al. 2021,
    arXiv:2007.07314, eq. 9): one number s, since an offset for each class would fit these few rows.
    """
    if judged.task == "binary":
        ordered = np.unique(judged.scores)
        between = (ordered[1:] + ordered[:-1]) / 2
        some = np.unique(np.linspace(0, len(between) - 1, min(CUTS, len(between))).astype(int))
        tried: Iterable[Any] = [0.0, *(-between[some])] if len(between) else [0.0]
    else:
        offsets = at * (np.log(weight) - np.log(weight).mean())  # weight is 1/π up to a factor
        tried = [strength * offsets for strength in STRENGTHS]
    sign = 1.0 if METRICS[metric].higher else -1.0

    def rank(shift: Any) -> tuple[float, float]:
        value = METRICS[metric].value(replace(judged, scores=judged.scores + shift))
        return sign * (value or 0.0), -float(np.abs(shift).max())

    return np.asarray(max(tried, key=rank), np.float64)


def judge(validation: Judged, test: Judged, metric: str, weight: Array) -> dict[str, Any]:
    """The metrics of the test rows with the cut and the temperature of the validation rows.

    The probabilities of a margin loss are none until a temperature makes them so.
    """
    name = deciding(metric, np.bincount(validation.target, minlength=validation.classes))
    warm = temperature(validation)
    shift = best(validation, name, weight, warm)
    cut = replace(test, scores=test.scores + shift)
    calm = replace(test, scores=test.scores / warm)
    return {
        "cut": {
            "metric": name,
            "shift": np.round(shift, 6).tolist(),
            "metrics": {key: METRICS[key].value(cut) for key in DECISIONS},
        },
        "temperature": {
            "value": float(f"{warm:.6g}"),
            "metrics": {key: METRICS[key].value(calm) for key in PROBABILITIES},
        },
    }
