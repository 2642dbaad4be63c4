"""The target: which column it is, what task it sets, and which rows have one."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lossmith.errors import InputError
from lossmith.lab.data import columns, text
from lossmith.lab.data.dataset import TASKS, Dataset, Origin, Source, Target, Task, fingerprint
from lossmith.lab.data.files import Where, listing, quote

USUAL = ("target", "label", "class", "y")  # what a target is called when nobody says
FEW = 20  # whole numbers with at most so many distinct values are classes …
MEMBERS = 2  # … unless they would have fewer rows than this each, and are SEVERAL
SEVERAL = 6
MOST_CLASSES = 1000


def choose(names: Sequence[str], wanted: str | None, where: Where, kind: str = "column") -> str:
    """Which column is the target: the one named, or the only one with a usual name."""
    shown = listing(list(names), 20)
    if wanted is not None:
        if wanted in names:
            return wanted
        close = get_close_matches(wanted, names, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise InputError(
            f"{where.name}: no {kind} is named {quote(wanted)}: there are {shown}{hint}"
        )
    usual = [name for name in names if name.lower() in USUAL]
    if len(usual) == 1:
        return usual[0]
    why = f"{listing(usual)} could all be it" if usual else "none has a usual name for it"
    raise InputError(
        f"{where.name}: which {kind} is the target? {why}: say --target NAME, one of {shown}"
    )


def check_task(task: str | None) -> Task | None:
    """Refuse a task that does not exist."""
    if task is not None and task not in TASKS:
        raise InputError(f"no task {task!r}: there are {', '.join(TASKS)}")
    return task


def read(column: pa.ChunkedArray, name: str, task: Task | None, where: Where) -> Target:
    """Infer the task, unless given, and turn the column into codes or numbers."""
    kind = column.type
    if pa.types.is_dictionary(kind) and not text.is_text(kind.value_type):
        column, kind = column.cast(kind.value_type), kind.value_type
    if column.null_count == len(column):
        raise InputError(f"{where.column(name)}, the target, has no value in any row")
    if text.is_text(kind) or pa.types.is_dictionary(kind):
        return _of_text(column, name, task, where)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        raise InputError(f"{where.column(name)} holds dates, which cannot be a target: make it one")
    values = columns.finite(columns.as_numbers(column, name, where), name, where)
    return _of_numbers(values, name, task, where, truth=pa.types.is_boolean(kind))


def _of_text(column: pa.ChunkedArray, name: str, task: Task | None, where: Where) -> Target:
    labels = text.levels_of(column)
    if not labels.known:
        raise InputError(f"{where.column(name)}, the target, has no value in any row")
    if text.refuse_nearly_numbers(labels, name, where):
        return _of_numbers(text.to_numbers(labels), name, task, where)
    if task == "regression":
        _, reads = text.numeric_share(labels)
        row = min(labels.first(int(level)) for level in np.flatnonzero(~reads))
        raise InputError(
            f"{where.cell(row, name)}: {quote(labels.levels[labels.codes[row]])} is no number, "
            "and regression needs one"
        )
    if len(labels.levels) > max(2, text.NEARLY_ALL * labels.known):
        raise InputError(
            f"{where.column(name)} has another text in nearly every row "
            f"({len(labels.levels)} of {labels.known}), so it holds no classes: name another target"
        )
    known = labels.codes >= 0
    return _classes(labels.codes[known], labels.levels, known, name, task, where, "is text")


def _of_numbers(
    values: NDArray[Any], name: str, task: Task | None, where: Where, truth: bool = False
) -> Target:
    known = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(len(values), bool)
    values = values[known]
    if not len(values):
        raise InputError(f"{where.column(name)}, the target, has no value in any row")
    whole = values.dtype.kind != "f" or bool((values == np.floor(values)).all())
    distinct = np.unique(values)
    sparse = len(distinct) >= SEVERAL and len(values) < MEMBERS * len(distinct)
    few = whole and len(distinct) <= FEW and not sparse
    if task == "regression" or (task is None and not few):
        if len(distinct) == 1:
            raise InputError(f"{where.column(name)}, the target, is {distinct[0]:g} in every row")
        why = (
            "was asked for"
            if task
            else (
                f"has {len(distinct)} distinct whole numbers in {len(values)} rows, too few rows "
                "for each to be a class (--task classification says that they are)"
                if whole and sparse and len(distinct) <= FEW
                else f"has {len(distinct)} distinct whole numbers, more than {FEW}"
                if whole
                else "holds fractions"
            )
        )
        notes = (f"Task regression: the target {name!r} {why}.", *_dropped(known, name))
        return Target(
            "regression", values.astype(np.float64), (), None if known.all() else known, notes
        )
    if not whole:
        row = int(np.flatnonzero(known)[np.argmax(values != np.floor(values))])
        raise InputError(
            f"{where.cell(row, name)}: {values[values != np.floor(values)][0]} is no class: "
            f"classes are whole numbers or text; for numbers use the task regression"
        )
    names = [("True" if level else "False") if truth else str(int(level)) for level in distinct]
    codes = np.searchsorted(distinct, values).astype(np.int64)
    why = "is true or false" if truth else f"holds whole numbers, {len(distinct)} distinct"
    return _classes(codes, names, known, name, task, where, why)


def _classes(
    codes: NDArray[Any],
    names: list[str],
    known: NDArray[np.bool_],
    name: str,
    task: Task | None,
    where: Where,
    why: str,
) -> Target:
    """Check the classes against the task, and say how even they are."""
    if len(names) == 1:
        raise InputError(
            f"{where.column(name)}, the target, has one class only ({quote(names[0])}): "
            "two are needed to tell them apart"
        )
    if len(names) > MOST_CLASSES:
        raise InputError(
            f"{where.column(name)} has {len(names)} classes, more than {MOST_CLASSES}: "
            "for numbers use the task regression; else merge classes"
        )
    if task == "binary" and len(names) != 2:
        raise InputError(
            f"{where.column(name)} has {len(names)} classes, and the task binary needs two: "
            "use the task classification"
        )
    found: Task = task or ("binary" if len(names) == 2 else "classification")
    counts = np.bincount(codes, minlength=len(names))
    least, most = int(counts.argmin()), int(counts.argmax())
    reason = "was asked for" if task else f"the target {name!r} {why}"
    notes = [f"Task {found}, {len(names)} classes: {reason}.", *_dropped(known, name)]
    if counts[most] > 3 * counts[least]:
        notes.append(
            f"Classes are uneven: {quote(names[most])} has {counts[most]} rows, "
            f"{quote(names[least])} has {counts[least]}."
        )
    keep = None if known.all() else known
    return Target(found, codes.astype(np.int64), tuple(names), keep, tuple(notes))


def _dropped(known: NDArray[np.bool_], name: str) -> list[str]:
    missing = int((~known).sum())
    if not missing:
        return []
    return [f"{missing} of {len(known)} rows have no target {name!r} and are left out."]


def finish(
    name: str,
    source: Source,
    target: Target,
    notes: Sequence[str],
    first: int = 1,
    pictures: Sequence[str] = (),
) -> Dataset:
    """The data set that a source and its target make; `first` and `pictures` as in `Origin`."""
    mark = fingerprint(source, target.values, target.classes)
    said = (*target.notes, *notes)
    origin = Origin(first, target.keep, tuple(pictures))
    return Dataset(name, target.task, target.values, target.classes, said, source, mark, origin)
