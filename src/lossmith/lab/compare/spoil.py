"""Training rows made worse on purpose. Nothing that a model is judged by passes through here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossmith.lab.compare.conditions import Condition

Rows = NDArray[np.intp]
NEAREST, FARTHEST = 5.0, 10.0  # how many standard deviations an outlier is moved by
FEWEST = 2  # rows of a class that thinning leaves: one to train on, one to validate with


@dataclass(frozen=True)
class Spoiled:
    """Which training rows are kept, their target, and which of them have outlying features."""

    rows: Rows
    target: NDArray[Any]
    moved: Rows  # row numbers, sorted
    seed: tuple[int, ...]

    def move(self, features: NDArray[np.float32], rows: Rows) -> None:
        """Move the features of the outlying rows, in place; `rows` says which these are."""
        if not len(self.moved):
            return
        stream = np.random.default_rng([*self.seed, 2])
        size = (len(self.moved), *features.shape[1:])
        shift = stream.choice(np.array([-1.0, 1.0], np.float32), size)
        reach = stream.uniform(NEAREST, FARTHEST, len(self.moved)).astype(np.float32)
        shift *= reach.reshape(-1, *[1] * (features.ndim - 1))
        place = np.minimum(np.searchsorted(self.moved, rows), len(self.moved) - 1)
        here = self.moved[place] == rows
        features[here] += shift[place[here]]


def spoil(
    rows: Rows, target: NDArray[Any], condition: Condition, classes: int, seed: tuple[int, ...]
) -> Spoiled:
    """Spoil these training rows; `target` is the target of all rows, and stays as it is.

    Label noise gives a share of the rows another class, drawn evenly. Outliers move a share of
    the targets of a regression up by 5 to 10 standard deviations; with classes they move the
    features of the rows instead, each column up or down by 5 to 10 standard deviations.
    Imbalance thins out the rarer half of the classes (with two, the rarer one).
    """
    kept, own = rows, target[rows]
    nobody = np.empty(0, np.intp)
    if condition.kind == "label_noise":
        return Spoiled(rows, wrong_labels(own, condition.amount, classes, seed), nobody, seed)
    if condition.kind == "imbalance":
        chosen = thinned(own, condition.amount, classes, seed)
        return Spoiled(kept[chosen], own[chosen], nobody, seed)
    if condition.kind == "outliers":
        stream = np.random.default_rng([*seed, 1])
        hit = stream.permutation(len(rows))[: round(condition.amount * len(rows))]
        if classes:
            return Spoiled(rows, own, np.sort(rows[hit]), seed)
        moved = own.copy()
        moved[hit] += stream.uniform(NEAREST, FARTHEST, len(hit)) * own.std()
        return Spoiled(rows, moved, nobody, seed)
    return Spoiled(rows, own, nobody, seed)


def wrong_labels(
    labels: NDArray[np.int64], share: float, classes: int, seed: tuple[int, ...]
) -> NDArray[np.int64]:
    """Give that share of the labels, rounded to whole rows, another class drawn evenly.

    The labels that are wrong at a smaller share are wrong at a larger one too.
    """
    stream = np.random.default_rng([*seed, 0])
    order = stream.permutation(len(labels))
    shift = stream.integers(1, classes, size=len(labels))
    hit = order[: round(share * len(labels))]
    spoiled = labels.copy()
    spoiled[hit] = (labels[hit] + shift[hit]) % classes
    return spoiled


def thinned(
    labels: NDArray[np.int64], ratio: float, classes: int, seed: tuple[int, ...]
) -> NDArray[np.intp]:
    """Places that stay when the rarer half of the classes shrinks to 1 : ratio of the largest."""
    stream = np.random.default_rng([*seed, 3])
    counts = np.bincount(labels, minlength=classes)
    most = max(FEWEST, round(counts.max() / ratio))
    rarer = np.argsort(counts, kind="stable")[: classes // 2]
    keep = np.ones(len(labels), bool)
    for place in rarer:
        own = np.flatnonzero(labels == place)
        keep[stream.permutation(own)[most:]] = False
    return np.flatnonzero(keep)
