"""Real data that ships with scikit-learn, split anew by every seed, and spoiled on request."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

TEST_SHARE = 0.25
OVERLAP = TEST_SHARE / (1 - TEST_SHARE)  # test rows / training rows, for `measure.over_seeds`
# Streams of random numbers that must not depend on each other get a number each.
FLIPS, OUTLIERS, PICKS, STARTS, NOISE = range(1, 6)


@dataclass(frozen=True)
class Split:
    """Rows to train on and rows to judge by; columns are scaled by the training rows."""

    x: Array
    y: NDArray[np.float64]
    x_test: Array
    y_test: NDArray[np.float64]

    @property
    def labels(self) -> Labels:
        """Training targets as class indices."""
        return self.y.astype(np.int64)

    @property
    def test_labels(self) -> Labels:
        """Test targets as class indices."""
        return self.y_test.astype(np.int64)


def classes(name: str, seed: int, only: tuple[int, int] | None = None) -> Split:
    """A classification set: digits, breast_cancer, wine or iris.

    Parameters:
        name: the set.
        seed: draws the split; classes keep their shares.
        only (default None): two classes to keep, which become 0 and 1.
    """
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    if only is not None:
        kept = np.isin(y, only)
        x, y = x[kept], (y[kept] == only[1]).astype(np.int64)
    return _scaled(x, y, seed, y)


def diabetes(seed: int, raw_target: bool = False) -> Split:
    """442 patients, ten columns; the target is the disease's progress after one year.

    The target is scaled too, unless `raw_target` asks for 25 to 346 as they are.
    """
    x, y = datasets.load_diabetes(return_X_y=True, scaled=False)
    found = _scaled(x, y, seed, None)
    if raw_target:
        return found
    middle, spread = found.y.mean(), found.y.std()
    return Split(
        found.x, (found.y - middle) / spread, found.x_test, (found.y_test - middle) / spread
    )


def _scaled(x: Array, y: Array, seed: int, strata: Array | None) -> Split:
    x, x_test, y, y_test = train_test_split(
        x, y, test_size=TEST_SHARE, stratify=strata, random_state=seed
    )
    scaler = StandardScaler().fit(x)
    return Split(
        scaler.transform(x), y.astype(float), scaler.transform(x_test), y_test.astype(float)
    )


def flipped(labels: Labels, share: float, count: int, seed: int) -> Labels:
    """Give that share of the rows another class, drawn evenly."""
    stream = np.random.default_rng([seed, FLIPS])
    rows = stream.permutation(len(labels))[: round(share * len(labels))]
    shift = stream.integers(1, count, size=len(rows))
    spoiled = labels.copy()
    spoiled[rows] = (labels[rows] + shift) % count
    return spoiled


def with_outliers(y: Array, share: float, seed: int, size: float = 10.0) -> Array:
    """Move that share of the targets up by `size` of their standard deviations."""
    stream = np.random.default_rng([seed, OUTLIERS])
    rows = stream.permutation(len(y))[: round(share * len(y))]
    spoiled = y.copy()
    spoiled[rows] += size * y.std()
    return spoiled
