"""A table from any file format: names of columns, target, features."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa

from lossmith.errors import InputError
from lossmith.lab.data import columnar, columns, delimited, files, target
from lossmith.lab.data.dataset import Dataset, Task
from lossmith.lab.data.files import Where, quote

# How a file's name ends: its reader, and the number of its first row of data.
READERS = {
    ".csv": (delimited.read, 2),
    ".tsv": (delimited.read, 2),
    ".tab": (delimited.read, 2),
    ".csv.gz": (delimited.read, 2),
    ".tsv.gz": (delimited.read, 2),
    ".parquet": (columnar.read_parquet, 1),
    ".pq": (columnar.read_parquet, 1),
    ".arrow": (columnar.read_arrow, 1),
    ".feather": (columnar.read_arrow, 1),
    ".ipc": (columnar.read_arrow, 1),
}


def load(path: Path, ending: str, wanted: str | None, task: Task | None) -> Dataset:
    """Read a table and part its target from its features."""
    reader, first = READERS[ending]
    where = Where(str(path), first)
    table, notes = reader(path)
    if not table.num_rows:
        raise InputError(f"{path}: there are names of columns but no rows")
    files.require_size(path, 8 * table.num_rows * table.num_columns, "its cells")
    raw = _named(table, where)
    del table
    name = target.choose(list(raw), wanted, where)
    if wanted is None:
        notes.append(f"The target is {name!r}, by its name.")
    notes += _without_index(raw, name)
    goal = target.read(raw.pop(name), name, task, where)
    frame, said = columns.frame(raw, goal, where)
    return target.finish(path.name, frame, goal, [*notes, *said], first)


# What pandas calls the row numbers that it wrote beside the columns.
_INDEX = re.compile(r"column 1|Unnamed: \d+|__index_level_\d+__")


def _without_index(raw: dict[str, pa.ChunkedArray], goal: str) -> list[str]:
    """Drop the row numbers that pandas writes: they may have holes, and say nothing of the row."""
    found = [
        name
        for name, column in raw.items()
        if name != goal
        and _INDEX.fullmatch(name)
        and pa.types.is_integer(column.type)
        and not column.null_count
        and (np.diff(column.to_numpy()) > 0).all()
    ]
    for name in found:
        del raw[name]
    return [f"Dropped, as pandas numbered the rows in it: {quote(name)}." for name in found]


def _named(table: pa.Table, where: Where) -> dict[str, pa.ChunkedArray]:
    """Columns by name; one without a name is called by its place, twice the same is refused."""
    names = [name.strip() or f"column {i}" for i, name in enumerate(table.column_names, 1)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(
            f"{where.name}: the column name {quote(twice[0])} occurs more than once: "
            "give each column its own name (is the first line a header?)"
        )
    return dict(zip(names, table.columns, strict=True))
