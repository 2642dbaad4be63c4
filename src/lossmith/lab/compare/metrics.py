"""What a model is judged by, and by what it is stopped and tuned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from lossmith.lab.compare import influence

Array = NDArray[np.float64]
BINS = 15  # of the calibration error, as in Guo et al. 2017, On calibration of modern networks
# Beyond this ratio of the largest class to the smallest, accuracy mostly counts the largest.
IMBALANCED = 4.0


@dataclass(frozen=True, eq=False)
class Judged:
    """Scores beside the truth. `rarest` is the rarest class of all data."""

    task: str
    scores: Array  # (N, C) for more than two classes, else (N,); in the target's unit for numbers
    target: NDArray[Any]
    classes: int = 0
    rarest: int = 0
    probabilities: bool = False
    level: float | None = None  # of the quantile or expectile that is to be predicted
    shift: Any = 0.0  # added to the scores before they are cut into classes, and only there

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The predicted classes; a score of 0 goes to class 0, as argmax does with equal scores."""
        if self.task == "binary":
            return (self.scores + self.shift > 0).astype(np.int64)
        return (self.scores + self.shift).argmax(1).astype(np.int64)

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """How many rows of each class (down) were taken for each class (across)."""
        flat = self.target * self.classes + self.predicted
        counts = np.bincount(flat, minlength=self.classes**2)
        return counts.reshape(self.classes, self.classes).astype(np.int64)

    @cached_property
    def recalls(self) -> Array:
        """The share of each class that was recognised, of the classes that occur."""
        rows = self.confusion.sum(1)
        return self.confusion.diagonal()[rows > 0] / rows[rows > 0]

    @cached_property
    def probability(self) -> Array:
        """The probability of each class, (N, C)."""
        if self.task == "binary":
            return np.stack((expit(-self.scores), expit(self.scores)), 1)
        return np.asarray(softmax(self.scores, axis=1))

    @cached_property
    def square(self) -> Array:
        """Of each row the squared distance of its probabilities from the truth (Brier 1950)."""
        own = self.probability[np.arange(len(self.target)), self.target]
        return np.asarray((self.probability**2).sum(1) - 2 * own + 1)

    @cached_property
    def top(self) -> Array:
        """The probability of the class that is said, as it is kept: a bin's edge is met alike."""
        return self.probability.max(1).astype(np.float32).astype(np.float64)

    @cached_property
    def errors(self) -> Array:
        """Absolute residuals."""
        return np.abs(self.scores - self.target)

    @cached_property
    def slant(self) -> Array:
        """What a residual weighs when a level is to be predicted: more on the side it names."""
        level = 0.5 if self.level is None else self.level
        return np.where(self.target >= self.scores, level, 1 - level)

    @cached_property
    def pinball(self) -> Array:
        """The pinball loss of each row."""
        return self.slant * self.errors

    @cached_property
    def asymmetric(self) -> Array:
        """Twice the asymmetric square of each row."""
        return 2 * self.slant * self.errors**2


@dataclass(frozen=True)
class Metric:
    """A number that judges: what it is called, which way is better, and how it is written."""

    label: str
    unit: str  # "percent", "nats", "square" of a probability, or "target": that of the target
    tasks: tuple[str, ...]
    value: Callable[[Judged], float | None]  # of some rows under one training
    rows: influence.ByRow  # of every row of a comparison: its mean over the rows is the metric
    higher: bool = True
    probabilities: bool = False  # only where scores are meant as probabilities
    cut: bool = False  # each loss is judged at its own best cut, chosen on validation rows
    counts: bool = False  # rows that are right or wrong: one row is its finest step


def _macro_f1(judged: Judged) -> float:
    right = judged.confusion.diagonal()
    meant, said = judged.confusion.sum(1), judged.confusion.sum(0)
    there = meant + said > 0
    return float((2 * right[there] / (meant + said)[there]).mean())


def _rare_recall(judged: Judged) -> float | None:
    rows = judged.confusion[judged.rarest]
    return float(rows[judged.rarest] / rows.sum()) if rows.sum() else None


def _log_loss(judged: Judged) -> float:
    labels = np.arange(judged.classes)
    return float(log_loss(judged.target, judged.probability, labels=labels))


def _ranked(judged: Judged, measure: Callable[[Any, Array], float]) -> float | None:
    """A measure of the order of the rows; with more classes the mean of each against the others."""
    orders = influence.orders(judged.scores, judged.target)
    found = [float(measure(true, score)) for true, score in orders]
    return float(np.mean(found)) if found else None


def _brier(judged: Judged) -> float:
    """The squared distance of the probabilities from the truth, over all classes."""
    return float(judged.square.mean())


def _pinball(judged: Judged) -> float | None:
    return None if judged.level is None else float(judged.pinball.mean())


def _asymmetric(judged: Judged) -> float | None:
    """The root of twice the asymmetric squares: at level 0.5 the RMSE."""
    return None if judged.level is None else float(judged.asymmetric.mean() ** 0.5)


def calibration(judged: Judged) -> list[list[float]]:
    """For each bin of the top probability: rows, mean probability, and the share that was right."""
    top = judged.top
    right = judged.probability.argmax(1) == judged.target
    place = np.minimum((top * BINS).astype(np.int64), BINS - 1)
    rows = np.bincount(place, minlength=BINS)
    there = np.maximum(rows, 1)
    said = np.bincount(place, weights=top, minlength=BINS) / there
    true = np.bincount(place, weights=right, minlength=BINS) / there
    return [[int(n), round(float(s), 6), round(float(t), 6)]
            for n, s, t in zip(rows, said, true, strict=True)]  # fmt: skip


def _calibration_error(judged: Judged) -> float:
    top = judged.top
    right = judged.probability.argmax(1) == judged.target
    place = np.minimum((top * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(place, weights=top - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(top))


_CLASSES = ("classification", "binary")
_NUMBERS = ("regression",)
METRICS: dict[str, Metric] = {
    "accuracy": Metric(
        "accuracy", "percent", _CLASSES,
        lambda j: float((j.predicted == j.target).mean()), influence.accuracy, counts=True,
    ),
    "balanced_accuracy": Metric(
        "balanced accuracy", "percent", _CLASSES,
        lambda j: float(j.recalls.mean()), influence.balanced_accuracy, cut=True, counts=True,
    ),
    "macro_f1": Metric("macro-F1", "percent", _CLASSES, _macro_f1, influence.macro_f1, cut=True),
    "worst_recall": Metric(
        "worst class recall", "percent", _CLASSES,
        lambda j: float(j.recalls.min()), influence.recall_of(influence.worst),
        cut=True, counts=True,
    ),
    "rare_recall": Metric(
        "rarest class recall", "percent", _CLASSES,
        _rare_recall, influence.recall_of(lambda said: said.rarest), cut=True, counts=True,
    ),
    "auc": Metric(
        "AUC", "percent", _CLASSES, lambda j: _ranked(j, roc_auc_score),
        influence.ranked("auc", influence.placements),
    ),
    "average_precision": Metric(
        "average precision", "percent", _CLASSES, lambda j: _ranked(j, average_precision_score),
        influence.ranked("average_precision", influence.precisions),
    ),
    "log_loss": Metric(
        "log-loss", "nats", _CLASSES,
        _log_loss, influence.mean_of("surprise"), higher=False, probabilities=True,
    ),
    "brier": Metric(
        "Brier score", "square", _CLASSES,
        _brier, influence.mean_of("brier"), higher=False, probabilities=True,
    ),
    "calibration_error": Metric(
        "calibration error", "percent", _CLASSES,
        _calibration_error, influence.calibration_error(BINS), higher=False, probabilities=True,
    ),
    "mae": Metric(
        "MAE", "target", _NUMBERS,
        lambda j: float(j.errors.mean()), influence.absolute, higher=False,
    ),
    "rmse": Metric(
        "RMSE", "target", _NUMBERS,
        lambda j: float((j.errors**2).mean() ** 0.5), influence.root_mean_square, higher=False,
    ),
    "median_error": Metric(
        "median error", "target", _NUMBERS,
        lambda j: float(np.median(j.errors)), influence.quantile_of_errors(0.5), higher=False,
    ),
    "p95_error": Metric(
        "95th percentile of errors", "target", _NUMBERS,
        lambda j: float(np.quantile(j.errors, 0.95)), influence.quantile_of_errors(0.95),
        higher=False,
    ),
    "pinball": Metric(
        "pinball loss", "target", _NUMBERS, _pinball, influence.mean_of("pinball"), higher=False
    ),
    "asymmetric_rmse": Metric(
        "asymmetric RMSE", "target", _NUMBERS, _asymmetric,
        influence.root_mean_of("asymmetric"), higher=False,
    ),
}  # fmt: skip


def judge(judged: Judged) -> dict[str, float | None]:
    """Every metric of the task; None where it has no meaning."""
    return {
        name: metric.value(judged) if judged.probabilities or not metric.probabilities else None
        for name, metric in METRICS.items()
        if judged.task in metric.tasks
    }


def headline(task: str, ratio: float) -> tuple[str, str]:
    """The metric that decides unless --metric names one, and why.

    `ratio` is that of the largest class to the smallest among the training rows.
    """
    if task == "regression":
        return "mae", "the mean absolute error, which a few large errors do not decide"
    if ratio > IMBALANCED:
        return "balanced_accuracy", (
            f"the mean recall of the classes, because the largest class has more than "
            f"{IMBALANCED:g} times the training rows of the smallest"
        )
    return "accuracy", (
        f"because no class has more than {IMBALANCED:g} times the training rows of another"
    )
