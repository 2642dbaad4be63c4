"""Data sets by name: those that ship with scikit-learn, so that nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets

from lossmith.lab.data.dataset import Dataset, Task, fingerprint

# name: (what it is, the loader)
SHIPPED: dict[str, tuple[str, Callable[[], Any]]] = {
    "digits": ("handwritten digits, 8 × 8 pixels", datasets.load_digits),
    "breast_cancer": ("breast cancer, malignant or benign", datasets.load_breast_cancer),
    "wine": ("wine, by cultivar", datasets.load_wine),
    "iris": ("iris flowers, by species", datasets.load_iris),
    "diabetes": ("progression of diabetes after one year", datasets.load_diabetes),
}


def load(name: str) -> Dataset:
    """Load a built-in data set."""
    title, loader = SHIPPED[name]
    bunch = loader()
    source: NDArray[Any] = np.asarray(bunch.data, np.float32)
    if name == "digits":
        source = source.reshape(-1, 1, 8, 8).astype(np.uint8)
    task: Task
    classes: tuple[str, ...] = ()
    target: NDArray[Any]
    if hasattr(bunch, "target_names"):
        classes = tuple(str(label) for label in bunch.target_names)
        task = "binary" if len(classes) == 2 else "classification"
        target = np.asarray(bunch.target, np.int64)
    else:
        task, target = "regression", np.asarray(bunch.target, np.float64)
    notes = (f"{name} is the data set that ships with scikit-learn: {title}.",)
    return Dataset(name, task, target, classes, notes, source, fingerprint(source, target, classes))
