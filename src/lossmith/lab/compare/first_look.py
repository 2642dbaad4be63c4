"""A look at the data before any training: what is seen, in a line each, and what that suggests."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import median_abs_deviation, rankdata
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import HuberRegressor
from sklearn.model_selection import KFold, cross_val_predict
from statsmodels.stats.diagnostic import het_breuschpagan
from threadpoolctl import threadpool_limits

from lossmith.lab.compare import suspects
from lossmith.lab.compare.metrics import IMBALANCED
from lossmith.lab.data.dataset import Dataset
from lossmith.lab.data.files import quote
from lossmith.lab.data.text import NUMBER

Array = NDArray[np.float64]
ZEROS = 0.05  # share of the targets that are 0
WRONG = 0.03  # share of labels that look wrong
TWINS = 0.005  # share of rows with a twin of another class
FAR, TAIL = 4.0, 0.01  # a tail is heavy if more than TAIL lies FAR robust deviations out
SKEWED = 0.25  # Hinkley's measure: of the way from the middle to the ends, at 5 and 95 %
SPREAD = 1.5  # the residuals of the upper third over those of the lower
SURE = 1e-3  # p-value of Breusch and Pagan's test
FEW_ERRORS, NEIGHBOURS = 30, 0.75  # of an order: errors to judge by; their distance over chance
FEWEST = 60  # rows to judge residuals by
NAMED = 10  # rows that are named


@dataclass(frozen=True)
class Finding:
    """What was seen, what it suggests, and the numbers behind it."""

    kind: str
    says: str
    suggests: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Both sentences."""
        return f"{self.says} {self.suggests}".rstrip()


def look(dataset: Dataset) -> tuple[Finding, ...]:
    """All that is seen, from the target to the columns."""
    own = _numbers(dataset) if dataset.task == "regression" else _classes(dataset)
    return tuple([*_noted(dataset, "Task", "task"), *own, *_giveaways(dataset),
                  *_noted(dataset, "Dropped", "left out")])  # fmt: skip


def as_data(findings: tuple[Finding, ...]) -> list[dict[str, Any]]:
    """For the record."""
    return [asdict(finding) for finding in findings]


def _numbers(dataset: Dataset) -> Iterator[Finding]:
    target = dataset.target
    zeros, least = float((target == 0).mean()), float(target.min())
    whole = bool((target == np.floor(target)).all())
    if least == 0 and zeros >= ZEROS:
        what = "counts" if whole else "amounts"
        facts = {"zeros": zeros, "whole": whole, "mean": float(target.mean()),
                 "variance": float(target.var())}  # fmt: skip
        spread = facts["variance"] / max(facts["mean"], 1e-300)
        over = f"; their variance is {spread:.3g} times their mean" if whole else ""
        yield Finding(
            "zeros",
            f"The target looks like {what}: {100 * zeros:.0f} % are 0, none is below{over}.",
            "A loss of the median says 0 for nearly every row; squared error predicts the mean."
            if zeros >= 0.5
            else "Mean and median are different questions here.",
            facts,
        )
    rows = suspects.some_rows(dataset)
    if len(rows) >= FEWEST and zeros < 0.5:  # else most residuals are those of the zeros
        yield from _residuals(target[rows], suspects.features(dataset, rows))


def _residuals(target: Array, flat: Array) -> Iterator[Finding]:
    """Tails, skew and spread of what a linear fit (Huber's) leaves over."""
    unit = float(target.std())
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        parts = KFold(suspects.PARTS, shuffle=True, random_state=0)
        try:
            fitted = cross_val_predict(HuberRegressor(max_iter=50), flat, target / unit, cv=parts)
        except ValueError:  # its solver gave up
            return
    left = target / unit - fitted
    scale = float(median_abs_deviation(left, scale="normal"))
    if not scale:
        return
    far = float((np.abs(left - np.median(left)) > FAR * scale).mean())
    if far >= TAIL:
        yield Finding(
            "tails",
            f"Heavy tails: {100 * far:.1f} % of the residuals of a linear fit lie more than "
            f"{FAR:g} robust deviations out, where a normal distribution has 0.01 %.",
            "Losses with a bounded pull (Huber, L1, Cauchy, Tukey) should resist them.",
            {"share": far},
        )
    low, middle, high = np.quantile(left, [0.05, 0.5, 0.95])
    skew = float((high + low - 2 * middle) / (high - low))
    if abs(skew) >= SKEWED:
        yield Finding(
            "skew",
            f"The residuals of a linear fit are skewed to {'high' if skew > 0 else 'low'} values.",
            "Mean and median differ then: say which by --goal.",
            {"skew": skew},
        )
    lagrange = het_breuschpagan(left, np.column_stack([np.ones(len(left)), fitted]))
    order = np.argsort(fitted, kind="stable")
    third = len(order) // 3
    lower, upper = (float(np.abs(left[part]).mean()) for part in (order[:third], order[-third:]))
    ratio = upper / lower if lower else 1.0
    if lagrange[1] < SURE and max(ratio, 1 / ratio) >= SPREAD:
        yield Finding(
            "spread",
            f"Errors {'grow' if ratio > 1 else 'shrink'} with the prediction: in the upper third "
            f"they are {ratio:.2g} times those of the lower.",
            "One number does not tell how sure it is: --goal quantile:0.9 asks for a bound.",
            {"ratio": ratio, "p_value": float(lagrange[1])},
        )


def _classes(dataset: Dataset) -> Iterator[Finding]:
    counts = dataset.counts
    most, least = int(counts.argmax()), int(counts.argmin())
    ratio = counts[most] / max(int(counts[least]), 1)
    if ratio > IMBALANCED:
        share = 100 * counts[least] / dataset.rows
        yield Finding(
            "imbalance",
            f"Classes are uneven: {quote(dataset.classes[least])} has {share:.2g} % of the rows.",
            "The order of the rows (AUC) and the cut are judged apart; the cut is yours to set.",
            {"ratio": float(ratio), "rarest": dataset.classes[least]},
        )
    apart, reachable = suspects.contradictions(dataset)
    if apart >= TWINS:
        yield Finding(
            "twins",
            f"{100 * apart:.1f} % of the rows have a twin, the same in every column, of another "
            f"class: no model is right on more than {100 * reachable:.1f} % of all.",
            "Look at them first: they are duplicates with wrong labels, or a column is missing.",
            {"share": apart, "reachable": reachable},
        )
    seen = suspects.guess(dataset)
    if seen is None:
        return
    order = list(_order(dataset, seen))
    yield from order
    share, rows = suspects.wrong_labels(seen)
    if share >= WRONG and not order:  # neighbours of an order overlap, and no label need be wrong
        named = ", ".join(map(str, dataset.origin.rows(rows[:5].tolist())))
        yield Finding(
            "labels",
            f"About {100 * share:.0f} % of the labels look wrong to a linear fit, or the classes "
            f"overlap; look at rows {named} first.",
            "Bounded losses (generalized cross-entropy, ramp, savage) resist wrong labels.",
            {"share": share, "rows": [int(row) for row in rows[:NAMED]]},
        )


def _order(dataset: Dataset, seen: suspects.Guess) -> Iterator[Finding]:
    """Whole numbers as classes whose errors fall on neighbours: an order that the classes hide."""
    names = [dataset.classes[kind] for kind in seen.classes]
    if len(names) < 3 or not all(NUMBER.fullmatch(name) for name in names):
        return
    rank = rankdata([float(name) for name in names])
    said = seen.probability.argmax(1)
    wrong = np.flatnonzero(said != seen.target)
    if len(wrong) < FEW_ERRORS:
        return
    gap = np.abs(rank[said[wrong]] - rank[seen.target[wrong]]).mean()
    shares = np.bincount(seen.target, minlength=len(names)) / len(seen.target)
    # Wrong answers drawn by the sizes of the classes, for the same rows.
    far = np.abs(rank[:, None] - rank[None, :])
    chance = shares * (1 - np.eye(len(names)))
    expected = ((far * chance).sum(1) / chance.sum(1))[seen.target[wrong]].mean()
    if gap <= NEIGHBOURS * expected:
        yield Finding(
            "order",
            f"The classes look like an order: wrong answers are {gap:.2g} steps off, by chance "
            f"they would be {expected:.2g}.",
            "--task regression uses the order; a loss of classes treats every error alike.",
            {"distance": float(gap), "chance": float(expected)},
        )


def _giveaways(dataset: Dataset) -> Iterator[Finding]:
    found = suspects.giveaways(dataset)
    if found:
        names = ", ".join(quote(name) for name, _ in found[:NAMED])
        yield Finding(
            "leak",
            f"Nearly the whole answer stands in one column: {names}.",
            "Check that it is known before the target is; leave it out if not.",
            {"columns": [name for name, _ in found], "reached": [value for _, value in found]},
        )


def _noted(dataset: Dataset, begins: str, kind: str) -> Iterator[Finding]:
    """What was noted already while the data were read."""
    for note in dataset.notes:
        if note.startswith(begins):
            yield Finding(kind, note)
