"""What a comparison keeps of every test row, so that it can be judged by any metric later.

A few numbers of single precision a row, whatever the number of classes, and of a large data set the
same evenly chosen rows for every loss: small classes whole, so that their recalls stay sharp.
"""

from __future__ import annotations

import base64
import binascii
import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from lossmith.lab.compare.influence import mean_order, placements, precisions
from lossmith.lab.compare.metrics import Judged
from lossmith.lab.data.dataset import Dataset

MOST = 20_000  # rows that are kept

Facts = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Rows:
    """Which rows are kept, and how many of the data each stands for: `weight` has the mean 1."""

    place: NDArray[np.int64]  # in the data, ascending
    weight: NDArray[np.float64]


@lru_cache(maxsize=1)
def chosen(dataset: Dataset) -> Rows:
    """The rows of a data set that are kept: all of them up to MOST."""
    if dataset.rows <= MOST:
        return Rows(np.arange(dataset.rows), np.ones(dataset.rows))
    if dataset.task == "regression":
        return Rows(_evenly(np.arange(dataset.rows), MOST), np.ones(MOST))
    counts = dataset.counts.tolist()
    share = _share(counts)
    place, weight = [], []
    for kind, there in enumerate(counts):
        part = _evenly(np.flatnonzero(dataset.target == kind), min(there, share))
        place.append(part)
        weight.append(np.full(len(part), there / max(len(part), 1)))
    order = np.concatenate(place).argsort()
    weights = np.concatenate(weight)[order]
    return Rows(np.concatenate(place)[order], weights / weights.mean())


def _share(counts: Sequence[int]) -> int:
    """The most rows of one class with which all classes together have no more than MOST."""
    low, high = 1, MOST
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _total(counts, middle) <= MOST else (low, middle - 1)
    return low


def _total(counts: Sequence[int], share: int) -> int:
    return sum(min(there, share) for there in counts)


def _evenly(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]


def facts(judged: Judged) -> Facts:
    """What is kept of these rows under one training."""
    if judged.task == "regression":
        numbers = {"error": judged.scores - judged.target}
        if judged.level is not None:
            numbers |= {"pinball": judged.pinball, "asymmetric": judged.asymmetric}
        return {name: values.astype(np.float32) for name, values in numbers.items()}
    found: Facts = {"said": judged.predicted.astype(np.int32)}
    if judged.task == "binary":
        found["score"] = judged.scores.astype(np.float32)
    else:
        for name, kernel in (("auc", placements), ("average_precision", precisions)):
            if (each := mean_order(judged.scores, judged.target, kernel)) is not None:
                found[name] = each.astype(np.float32)
    if judged.probabilities:
        found["surprise"] = _surprise(judged).astype(np.float32)
        found["top"] = judged.top.astype(np.float32)
        hit = judged.probability.argmax(1) == judged.target  # whatever the cut
        found["hit"] = hit.astype(np.int8)
        found["brier"] = judged.square.astype(np.float32)
    return found


def _surprise(judged: Judged) -> NDArray[np.float64]:
    """Minus the log of the probability that the truth was given, in nats, never clipped."""
    if judged.task == "binary":
        return np.asarray(np.logaddexp(0.0, -judged.scores * (2 * judged.target - 1)))
    logs = log_softmax(judged.scores, axis=1)
    return np.asarray(-logs[np.arange(len(judged.target)), judged.target])


def packed(rows: Mapping[str, NDArray[Any]]) -> str:
    """The arrays as text for a JSON file: NumPy's npz, in base64."""
    out = io.BytesIO()
    np.savez_compressed(out, allow_pickle=False, **rows)
    return base64.b64encode(out.getvalue()).decode("ascii")


def unpacked(text: object) -> Facts:
    """The arrays again; a ValueError where the text is not what `packed` gave."""
    if not isinstance(text, str):
        raise ValueError("no text")
    try:
        with np.load(io.BytesIO(base64.b64decode(text, validate=True)), allow_pickle=False) as made:
            return {name: made[name] for name in made.files}
    except (binascii.Error, zipfile.BadZipFile, zlib.error, OSError, KeyError, EOFError) as error:
        raise ValueError(str(error)) from None
