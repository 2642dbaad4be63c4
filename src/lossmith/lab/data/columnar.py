"""Parquet and Arrow (Feather) files, read by pyarrow while they fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from lossmith.errors import InputError
from lossmith.lab.data import files
from lossmith.lab.data.files import reason


def read_parquet(path: Path) -> tuple[pa.Table, list[str]]:
    """Read a Parquet file. Text stays as codes and levels, so repeats cost nothing."""
    start = files.head(path)
    files.require_content(path, start, "Parquet")
    with whole(path, "the Parquet file"):
        with parquet.ParquetFile(path) as file:
            about = file.metadata
            groups = [about.row_group(i) for i in range(about.num_row_groups)]
            # Runs of one value are stored once, so the cells are counted beside the bytes.
            packed = sum(max(group.total_byte_size, 0) for group in groups)
            cells = 8 * max(about.num_rows, 0) * about.num_columns
            files.require_size(path, max(packed, cells), "the table that it declares")
            texts = [
                field.name
                for field in file.schema_arrow
                if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
            ]
        with parquet.ParquetFile(path, read_dictionary=texts) as file:
            table = file.read()
        table.validate(full=True)
    return table, []


def read_arrow(path: Path) -> tuple[pa.Table, list[str]]:
    """Read an Arrow IPC file, which Feather is, batch by batch until it is too large."""
    files.require_content(path, files.head(path), "Arrow")
    files.require_size(path, path.stat().st_size)
    with whole(path, "the Arrow file"), pa.ipc.open_file(str(path)) as reader:
        batches, size = [], 0
        for place in range(reader.num_record_batches):
            batches.append(reader.get_batch(place))
            size += batches[-1].nbytes
            files.require_size(path, size, "the table")
        table = pa.Table.from_batches(batches, reader.schema)
        table.validate(full=True)
    return table, []


@contextmanager
def whole(path: Path, what: str) -> Iterator[None]:
    """Turn whatever a library says of a broken file into one line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # what a decoder raises on broken bytes is not documented
        raise InputError(
            f"{path}: {what} cannot be read ({reason(error)}): get or write it anew"
        ) from error
