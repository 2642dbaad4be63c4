"""What is to be predicted: each goal has the metric that its right answer minimises.

A number, a class, a probability or an order are different questions, and so are the mean and the
median of one target. A metric is consistent for a property of the distribution if no other answer
has a lower expected value (Gneiting 2011, Making and evaluating point forecasts, JASA 106:746):
squared error for the mean, absolute error for the median, pinball loss for a quantile, asymmetric
squares for an expectile; log-loss is proper for probabilities (Gneiting & Raftery 2007).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from lossmith.errors import InputError
from lossmith.lab.compare.candidates import BASELINES, CHOSEN, Candidate, number, parse
from lossmith.lab.compare.metrics import headline
from lossmith.lab.data.dataset import Dataset

# Share of zeros from which a target that is never below 0 is an amount or a count.
MANY_ZEROS = 0.05


@dataclass(frozen=True)
class Kind:
    """One kind of goal, as its words, its metrics and its losses."""

    words: str
    tasks: tuple[str, ...]
    metric: str = ""  # consistent for it; "" where the classes' sizes decide
    reason: str = ""
    metrics: tuple[str, ...] = ()  # all that are consistent
    baseline: str = ""  # "" for the one of the task
    chosen: tuple[str, ...] = ()  # () for those of the task

    @property
    def leveled(self) -> bool:
        """Whether it asks for a level, as quantile:0.9 does."""
        return "{level}" in self.baseline


_CLASSES = ("classification", "binary")
_NUMBERS = ("regression",)
KINDS: dict[str, Kind] = {
    "mean": Kind(
        "the mean", _NUMBERS, "rmse",
        "the root of the mean squared error, which the mean minimises", ("rmse",),
    ),
    "median": Kind(
        "the median", _NUMBERS, "mae",
        "the mean absolute error, which a few large errors do not decide", ("mae",),
    ),
    "quantile": Kind(
        "the {level}-quantile", _NUMBERS, "pinball",
        "the pinball loss at {level}, which the {level}-quantile minimises", ("pinball",),
        "pinball:tau={level}", ("expectile:tau={level}", "l1", "l2", "huber"),
    ),
    "expectile": Kind(
        "the {level}-expectile", _NUMBERS, "asymmetric_rmse",
        "the asymmetric squared error at {level}, which the {level}-expectile minimises",
        ("asymmetric_rmse",), "expectile:tau={level}", ("pinball:tau={level}", "l2", "l1", "huber"),
    ),
    "class": Kind("the class", _CLASSES, metrics=("accuracy", "balanced_accuracy", "macro_f1",
                  "worst_recall", "rare_recall")),
    "probability": Kind(
        "the probability of each class", _CLASSES, "log_loss",
        "the log-loss, which only the true probabilities minimise", ("log_loss", "brier"),
    ),
    "ranking": Kind(
        "the order of the rows", _CLASSES, "auc",
        "the area under the ROC curve, which depends on the order alone",
        ("auc", "average_precision"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Goal:
    """A kind, and the level of a quantile or an expectile."""

    kind: str
    level: float | None = None

    @property
    def text(self) -> str:
        """What asks for it on the command line."""
        return self.kind if self.level is None else f"{self.kind}:{number(self.level)}"

    @property
    def words(self) -> str:
        """`the 0.9-quantile`."""
        return self._fill(KINDS[self.kind].words)

    def baseline(self, task: str) -> str:
        """The loss that the others are held against."""
        return self._fill(KINDS[self.kind].baseline) or BASELINES[task]

    def chosen(self, task: str) -> list[Candidate]:
        """The baseline, and the losses that are tried when none is named."""
        asked = [self._fill(text) for text in KINDS[self.kind].chosen or CHOSEN[task]]
        found = parse(asked, task, baseline=self.baseline(task))
        if self.kind == "probability":
            found = [candidate for candidate in found if candidate.gives_probabilities]
        return found

    def metric(self, task: str, ratio: float) -> tuple[str, str]:
        """What decides, and why; `ratio` is of the largest class to the smallest."""
        kind = KINDS[self.kind]
        return (kind.metric, self._fill(kind.reason)) if kind.metric else headline(task, ratio)

    def doubt(self, metric: str) -> str:
        """A sentence where a metric that was asked for answers another question; else nothing."""
        if metric in KINDS[self.kind].metrics:
            return ""
        better = self.metric_names()
        return f"{metric} is not minimised by {self.words}, the goal: {better} would be consistent."

    def metric_names(self) -> str:
        """The metrics that are consistent for it."""
        return " or ".join(KINDS[self.kind].metrics)

    def _fill(self, text: str) -> str:
        return text.format(level="" if self.level is None else number(self.level))


def read(text: str, task: str | None = None) -> Goal:
    """The goal that a text asks for; refused if there is none such, or if it is of another task."""
    name, _, given = text.partition(":")
    if name not in KINDS:
        names = [f"{key}:LEVEL" if kind.leveled else key for key, kind in KINDS.items()]
        raise InputError(f"--goal is {', '.join(names)}, not {text!r}")
    kind = KINDS[name]
    if task is not None and task not in kind.tasks:
        there = [key for key, other in KINDS.items() if task in other.tasks]
        raise InputError(f"--goal {text}: the task is {task}, whose goals are {', '.join(there)}")
    if not kind.leveled:
        if given:
            raise InputError(f"--goal {name} takes no level, and {given!r} was given")
        return Goal(name)
    try:
        level = float(given)
    except ValueError:
        level = float("nan")
    if not (isfinite(level) and 0 < level < 1):
        raise InputError(f"--goal {name}:LEVEL needs a level between 0 and 1, such as {name}:0.9")
    return Goal(name, level)


def infer(dataset: Dataset, metric: str | None) -> tuple[Goal, str]:
    """The goal where none was said, and a sentence about why."""
    own = [
        key
        for key, kind in KINDS.items()
        if metric in kind.metrics and dataset.task in kind.tasks and not kind.leveled
    ]
    if own:
        goal = Goal(own[0])
        return goal, f"Goal: {goal.words}, as --metric {metric} asks for it."
    if dataset.task != "regression":
        more = "Say --goal probability or ranking if that is what you need."
        return Goal("class"), f"Goal: the class of a row. {more}"
    zeros = float((dataset.target == 0).mean())
    if zeros >= MANY_ZEROS and float(dataset.target.min()) == 0:
        return Goal("mean"), (
            f"Goal: the mean, as {100 * zeros:.0f} % of the targets are 0 and none is below: "
            f"the median would {'be 0' if zeros >= 0.5 else 'tell little'} "
            "for most rows. Say --goal median or quantile:LEVEL if you want that."
        )
    return Goal("median"), (
        "Goal: the median, which large errors do not decide. Say --goal mean if sums or averages "
        "matter, or quantile:LEVEL."
    )


def level_of(text: str | None) -> float | None:
    """The level that the goal of a comparison has."""
    return None if text is None else read(text).level
