"""A data set as the laboratory holds it: raw columns, a target, and what was done to them.

Preprocessing is fitted when rows are asked for, on the training rows alone, so nothing that a
model is judged by ever reaches it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossmith.errors import InputError
from lossmith.lab.data import prepare
from lossmith.lab.data.files import quote

Task = Literal["classification", "binary", "regression"]
TASKS: tuple[Task, ...] = ("classification", "binary", "regression")

# A table of raw columns, numbers (N, D), or images (N, C, H, W).
Source: TypeAlias = pd.DataFrame | NDArray[Any]


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a person finds the rows: they are counted as in every message about the file."""

    first: int = 1  # the number of the file's first row of data: 2 under a header line
    keep: NDArray[np.bool_] | None = None  # which rows of the file were taken; None when all
    pictures: tuple[str, ...] = ()  # of a folder, whose rows have names and no numbers

    def rows(self, places: Sequence[int]) -> list[int | str]:
        """The numbers, or the names, of these rows of the data set."""
        found = np.asarray(places, np.int64)
        if self.keep is not None:
            found = np.flatnonzero(self.keep)[found]
        if self.pictures:
            return [self.pictures[place] for place in found]
        return [int(place) + self.first for place in found]

    @property
    def counted(self) -> str:
        """How they are counted, in a sentence."""
        if self.pictures:
            return "Rows are named by their pictures."
        if self.first > 1:
            return "Rows are counted as in the file: the header is row 1; empty lines do not count."
        return "The first row is row 1."


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows, their target, and in `notes` every step between the file and these, as sentences."""

    name: str
    task: Task
    target: NDArray[Any]  # int64 codes 0 … C-1, or float64 for regression
    classes: tuple[str, ...]  # empty for regression
    notes: tuple[str, ...]
    source: Source
    fingerprint: str
    origin: Origin = field(default_factory=Origin)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.target)

    @property
    def images(self) -> bool:
        """Whether each row is a picture (C, H, W)."""
        return self.source.ndim == 4

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the source: rows first."""
        return tuple(int(size) for size in self.source.shape)

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many rows each class has."""
        return np.bincount(self.target, minlength=len(self.classes)).astype(np.int64)

    def arrays(
        self, train: NDArray[np.intp], *others: NDArray[np.intp]
    ) -> tuple[NDArray[np.float32], ...]:
        """Fit the preprocessing on the training rows, and apply it to them and to each other part.

        Gives one finite float32 array a part: (N, D) for tables, (N, C, H, W) for images.
        """
        parts = [np.asarray(train), *(np.asarray(other) for other in others)]
        if not len(parts[0]):
            raise InputError(f"{self.name}: no training rows: give at least one")
        if isinstance(self.source, pd.DataFrame):
            return prepare.table(self.source, parts)
        if self.images:
            return prepare.images(self.source, parts)
        return prepare.numbers(self.source, parts)

    def require_members(self, least: int) -> None:
        """Refuse when a class has fewer rows than that, as stratified folds need one each."""
        if self.task == "regression":
            return
        counts = self.counts
        rare = np.flatnonzero(counts < least)
        if len(rare):
            shown = ", ".join(f"{quote(self.classes[i])} ({counts[i]})" for i in rare[:8])
            more = f" and {len(rare) - 8} more" if len(rare) > 8 else ""
            numbers = all(name.removeprefix("-").isdigit() for name in self.classes)
            other = ", or say --task regression if the target is a number" if numbers else ""
            raise InputError(
                f"{self.name}: too few rows for {least} folds in class {shown}{more}: "
                f"use fewer folds, collect more rows, or merge or leave out the class{other}"
            )


@dataclass(frozen=True, eq=False)
class Target:
    """What each row that has a target should become."""

    task: Task
    values: NDArray[Any]  # of the rows that have one
    classes: tuple[str, ...]
    keep: NDArray[np.bool_] | None  # which rows those are; None when all
    notes: tuple[str, ...]


def fingerprint(source: Source, target: NDArray[Any], classes: Sequence[str]) -> str:
    """Hash the content, so that a run is resumed only on the data it began with."""
    digest = hashlib.blake2b(digest_size=16)

    def take(values: NDArray[Any]) -> None:
        digest.update(f"{values.dtype.str}{values.shape}".encode())
        digest.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)

    if isinstance(source, pd.DataFrame):
        for name, column in source.items():
            digest.update(repr((str(name), str(column.dtype))).encode())
            if isinstance(column.dtype, pd.CategoricalDtype):
                digest.update(repr([str(level) for level in column.cat.categories]).encode())
                take(column.cat.codes.to_numpy())
            elif column.dtype.kind in "mM":
                take(column.to_numpy().view(np.int64))
            elif column.dtype.kind in "biuf":
                take(column.to_numpy())
            else:
                digest.update(pd.util.hash_pandas_object(column, index=False).to_numpy().tobytes())
    else:
        take(source)
    take(target)
    digest.update(repr(tuple(classes)).encode())
    return digest.hexdigest()
