"""The rows of one fold as tensors: to train on, to validate with, and to be judged by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import median_abs_deviation
from sklearn.model_selection import KFold, StratifiedKFold

from lossmith.lab.compare import goals, robust
from lossmith.lab.compare.conditions import Condition
from lossmith.lab.compare.metrics import Judged
from lossmith.lab.compare.settings import GROUPS, Settings
from lossmith.lab.compare.spoil import Rows, spoil
from lossmith.lab.compare.train import SHOWN, Part
from lossmith.lab.data.dataset import Dataset


@dataclass(frozen=True)
class Place:
    """Which rows: a fold of a repeat under a condition, and an inner split of its training rows."""

    condition: Condition
    repeat: int
    fold: int
    group: int = 0


@dataclass(frozen=True, eq=False)
class Rowset:
    """The arrays of one place. Numbers are standardised: target = origin + unit · number."""

    rows: torch.Tensor
    target: torch.Tensor  # as spoiled, for the loss: codes, or standardised numbers
    parts: dict[str, Part]  # "validation" whole; "train" and "test" cut to what a picture needs
    test: torch.Tensor
    place: NDArray[np.int64]  # of the test rows in the data
    truth: NDArray[Any]  # the target of the test rows, in its own unit
    rarest: int
    origin: float
    unit: float
    class_weight: NDArray[np.float64] | None
    residual_unit: float = 1.0  # of the numbers: the robust spread that a first fit leaves over

    def judged_for(self, probabilities: bool) -> dict[str, Part]:
        """The parts, for a loss whose scores are meant as probabilities or not."""
        return {
            name: Part(part.rows, replace(part.template, probabilities=probabilities))
            for name, part in self.parts.items()
        }


_LAST: dict[Any, Rowset] = {}  # one place: the candidates of a fold follow each other


def rowset(dataset: Dataset, settings: Settings, place: Place) -> Rowset:
    """The arrays of a place, made once for all the losses that meet it."""
    key = (dataset.fingerprint, settings.seed, settings.folds, place)
    if key not in _LAST:
        _LAST.clear()  # before the next are made, so that only one lies in memory
        _LAST[key] = _make(dataset, settings, place)
    return _LAST[key]


def outer(dataset: Dataset, settings: Settings, repeat: int, fold: int) -> tuple[Rows, Rows]:
    """Training and test rows of a fold: stratified by class, shuffled anew in each repeat."""
    kind = KFold if dataset.task == "regression" else StratifiedKFold
    splitter = kind(settings.folds, shuffle=True, random_state=settings.seed + repeat)
    rows = np.zeros((dataset.rows, 1), np.int8)
    for place, (train, test) in enumerate(splitter.split(rows, dataset.target)):
        if place == fold:
            return train, test
    raise IndexError(fold)


def groups(target: NDArray[Any], classes: int, seed: tuple[int, ...]) -> NDArray[np.int64]:
    """Deal the training rows into GROUPS parts, each class by itself.

    Any class of two rows or more has one in group 0 and one outside; scikit-learn's splitters
    promise that only for classes of at least as many rows as there are parts.
    """
    stream = np.random.default_rng([*seed, 4])
    found = np.empty(len(target), np.int64)
    kinds = [np.flatnonzero(target == place) for place in range(classes)] or [
        np.arange(len(target))
    ]
    for own in kinds:
        dealt = np.arange(len(own)) % GROUPS
        found[stream.permutation(own)] = dealt if len(own) > 1 else GROUPS
    return found


def batch_size(settings: Settings, rows: int) -> int:
    """What was asked for, else a power of two that gives about 40 steps an epoch, 16 … 4096."""
    if settings.batch_size:
        return settings.batch_size
    return int(2 ** np.clip(round(np.log2(max(rows, 1) / 40)), 4, 12))


def class_ratio(dataset: Dataset, settings: Settings, condition: Condition) -> float:
    """The largest class over the smallest among the training rows of the first fold."""
    if dataset.task == "regression":
        return 1.0
    train, _ = outer(dataset, settings, 0, 0)
    classes = len(dataset.classes)
    seed = (settings.seed, 0, 0)
    if condition.kind == "label_noise":  # noise hides the sizes of the classes, not the question
        condition = Condition("clean")
    kept = spoil(train, dataset.target, condition, classes, seed).target
    counts = np.bincount(kept, minlength=classes)
    return float(counts.max() / max(counts.min(), 1))


def _make(dataset: Dataset, settings: Settings, place: Place) -> Rowset:
    classes = len(dataset.classes)
    seed = (settings.seed, place.repeat, place.fold)
    train, test = outer(dataset, settings, place.repeat, place.fold)
    spoiled = spoil(train, dataset.target, place.condition, classes, seed)
    apart = groups(spoiled.target, classes, seed) == place.group
    fitted, held = spoiled.rows[~apart], spoiled.rows[apart]
    arrays = dataset.arrays(fitted, held, test)
    spoiled.move(arrays[0], fitted)
    spoiled.move(arrays[1], held)
    rows, validation, judged = (torch.from_numpy(array) for array in arrays)

    target, wanted = spoiled.target[~apart], spoiled.target[apart]
    truth = dataset.target[test]
    origin, unit, rarest = 0.0, 1.0, 0
    weight, residual_unit = None, 1.0
    if dataset.task == "regression":
        origin, unit = _scale(target)
        target, wanted, true = ((part - origin) / unit for part in (target, wanted, truth))
        residual_unit = robust.unit(arrays[0], target)
    else:
        true = truth
        rarest = int(dataset.counts.argmin())
        counts = np.bincount(target, minlength=classes)
        weight = len(target) / (classes * np.maximum(counts, 1.0))

    def part(of: torch.Tensor, against: NDArray[Any], most: int) -> Part:
        some = np.unique(np.linspace(0, len(against) - 1, min(most, len(against))).astype(int))
        level = goals.level_of(settings.goal)
        template = Judged(dataset.task, np.empty(0), against[some], classes, rarest, level=level)
        return Part(of if len(some) == len(against) else of[torch.from_numpy(some)], template)

    dtype = torch.float32 if dataset.task == "regression" else torch.int64
    return Rowset(
        rows,
        torch.as_tensor(target, dtype=dtype),
        {
            "validation": part(validation, wanted, len(wanted)),
            "train": part(rows, target, SHOWN),
            "test": part(judged, true, SHOWN),
        },
        judged,
        test,
        truth,
        rarest,
        origin,
        unit,
        weight,
        residual_unit,
    )


def _scale(target: NDArray[np.float64]) -> tuple[float, float]:
    """Median, and the median absolute deviation as a standard deviation: outliers move neither."""
    unit = float(median_abs_deviation(target, scale="normal")) or float(target.std()) or 1.0
    return float(np.median(target)), unit
