"""Data sets, their splits, and the spoiling of training labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from lossmith.errors import InputError

Labels = NDArray[np.int64]

# Streams of random numbers that must not depend on each other get a number each.
NOISE_STREAM = 1


@dataclass(frozen=True)
class Dataset:
    """A table of numbers and the class of each row."""

    name: str
    title: str
    features: NDArray[np.float64]
    labels: Labels

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return int(self.labels.max()) + 1


@dataclass(frozen=True)
class Split:
    """What one run sees: spoiled labels to train on, true ones to be judged by."""

    train_features: torch.Tensor
    train_labels: torch.Tensor
    test_features: torch.Tensor
    test_labels: torch.Tensor
    classes: int


# Each of these ships with scikit-learn: nothing is downloaded.
SHIPPED: dict[str, tuple[str, Callable[..., tuple[NDArray[np.float64], Labels]]]] = {
    "digits": ("handwritten digits", datasets.load_digits),
    "breast_cancer": ("breast cancer", datasets.load_breast_cancer),
    "iris": ("iris flowers", datasets.load_iris),
    "wine": ("wine", datasets.load_wine),
}


def load(name: str) -> Dataset:
    """Load a data set by name."""
    key = name.replace("-", "_")
    if key not in SHIPPED:
        close = get_close_matches(key, SHIPPED, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise InputError(f"no data set named {name!r}: there are {', '.join(SHIPPED)}{hint}")
    title, loader = SHIPPED[key]
    features, labels = loader(return_X_y=True)
    return Dataset(key, title, np.asarray(features, np.float64), np.asarray(labels, np.int64))


def split(dataset: Dataset, seed: int, label_noise: float, test_share: float) -> Split:
    """Part the rows by class, scale by the training part, and spoil the training labels.

    The parts depend on the seed alone, so every loss and every share of noise meets the same rows.
    """
    train, test, train_labels, test_labels = train_test_split(
        dataset.features,
        dataset.labels,
        test_size=test_share,
        stratify=dataset.labels,
        random_state=seed,
    )
    scaler = StandardScaler().fit(train)
    return Split(
        train_features=torch.tensor(scaler.transform(train), dtype=torch.float32),
        train_labels=torch.tensor(spoil(train_labels, label_noise, dataset.classes, seed)),
        test_features=torch.tensor(scaler.transform(test), dtype=torch.float32),
        test_labels=torch.tensor(test_labels),
        classes=dataset.classes,
    )


def spoil(labels: Labels, share: float, classes: int, seed: int) -> Labels:
    """Give that share of the rows, rounded to whole rows, another class drawn evenly.

    The rows spoiled at a smaller share are spoiled at a larger one too.
    """
    stream = np.random.default_rng([seed, NOISE_STREAM])
    order = stream.permutation(len(labels))
    shift = stream.integers(1, classes, size=len(labels))
    rows = order[: round(share * len(labels))]
    spoiled = labels.copy()
    spoiled[rows] = (labels[rows] + shift[rows]) % classes
    return spoiled
