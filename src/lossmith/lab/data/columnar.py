"""Parquet and Arrow (Feather) files, read by pyarrow after what they declare was added up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from lossmith.errors import InputError
from lossmith.lab.data import files, ipc
from lossmith.lab.data.files import reason


def read_parquet(path: Path) -> tuple[pa.Table, list[str]]:
    """Read a Parquet file. Text stays as codes and levels, so repeats cost nothing."""
    start = files.head(path)
    files.require_content(path, start, "Parquet")
    with _whole(path, "Parquet"):
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


_BEFORE_MESSAGES = 8  # an Arrow file is its sign, the messages, and an index of them


def read_arrow(path: Path) -> tuple[pa.Table, list[str]]:
    """Read an Arrow IPC file, which Feather is, once its messages' sizes are known to fit.

    The messages are read in their order, as they were counted; the index only tells how many
    there should be.
    """
    start = files.head(path)
    files.require_content(path, start, "Arrow")
    files.require_size(path, path.stat().st_size)
    with _whole(path, "Arrow"), pa.OSFile(str(path)) as source:
        batches = pa.ipc.open_file(source).num_record_batches
        source.seek(_BEFORE_MESSAGES)
        size = 0
        for more in ipc.sizes(source):
            size += more
            files.require_size(path, size, "the table that it declares")
        source.seek(_BEFORE_MESSAGES)
        table = _batches(pa.ipc.open_stream(source), batches)
        table.validate(full=True)
    return table, []


def _batches(reader: pa.RecordBatchStreamReader, expected: int) -> pa.Table:
    found = list(reader)
    if len(found) != expected:
        raise ValueError(f"{len(found)} of {expected} batches")
    return pa.Table.from_batches(found, reader.schema)


@contextmanager
def _whole(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever pyarrow says of a broken file into one line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # what a decoder raises on broken bytes is not documented
        raise InputError(
            f"{path}: not a whole {kind} file ({reason(error)}): get or write it anew"
        ) from error
