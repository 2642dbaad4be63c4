"""What an Arrow file would take in memory, added up from its own tables of buffers.

An Arrow file is a run of messages. Each describes its buffers in a FlatBuffers table (Message.fbs
in the Arrow format), and a compressed buffer begins with its size once unpacked. pyarrow unpacks
a whole message before it tells any size, so those few fields are read here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

# Places of fields in the format's tables.
_MESSAGE_HEADER, _BATCH_BUFFERS, _BATCH_COMPRESSION, _DICTIONARY_DATA = 2, 2, 3, 1


def sizes(source: pa.NativeFile) -> Iterator[int]:
    """For each message that holds rows or levels: the bytes that it unpacks to."""
    reader = pa.ipc.MessageReader.open_stream(source)
    while True:
        try:
            message = reader.read_next_message()
        except StopIteration:
            return
        if message.type in ("record batch", "dictionary"):
            yield _unpacked(memoryview(message.metadata), message)


def _unpacked(table: memoryview, message: Any) -> int:
    root = _number(table, "<I", 0)
    batch = _target(table, _field(table, root, _MESSAGE_HEADER))
    if message.type == "dictionary":
        batch = _target(table, _field(table, batch, _DICTIONARY_DATA))
    at = _field(table, batch, _BATCH_BUFFERS)
    if at is None:
        return 0
    vector = _target(table, at)
    compressed = _field(table, batch, _BATCH_COMPRESSION) is not None
    body = memoryview(message.body) if message.body is not None else memoryview(b"")
    total = 0
    for i in range(_number(table, "<I", vector)):
        offset = _number(table, "<q", vector + 4 + 16 * i)
        length = _number(table, "<q", vector + 12 + 16 * i)
        if compressed and length >= 8:
            declared = _number(body, "<q", offset)
            length = length - 8 if declared == -1 else declared  # −1: not worth compressing
        if length < 0:
            raise ValueError("a buffer has a negative size")
        total += length
    return total


def _number(data: memoryview, kind: str, at: int) -> int:
    if at < 0:
        raise ValueError("a place lies before the table")
    number: int = struct.unpack_from(kind, data, at)[0]
    return number


def _field(data: memoryview, table: int, index: int) -> int | None:
    """Where a field of a table is; None when it was left out."""
    layout = table - _number(data, "<i", table)
    if 4 + 2 * index >= _number(data, "<H", layout):
        return None
    offset = _number(data, "<H", layout + 4 + 2 * index)
    return table + offset if offset else None


def _target(data: memoryview, at: int | None) -> int:
    if at is None:
        raise ValueError("a table of the message is missing")
    return at + _number(data, "<I", at)
