"""CSV and TSV, read by pyarrow. What is ambiguous is refused, not guessed."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from lossmith.errors import InputError
from lossmith.lab.data import files
from lossmith.lab.data.files import quote, reason

# Cells that say "not known", beside pyarrow's own list (empty, NA, NaN, null, N/A, …).
_MISSING = [*arrow_csv.ConvertOptions().null_values, "?"]
_RAGGED = re.compile(r"(?:Row #(\d+): )?Expected (\d+) columns, got (\d+)")
_FRACTION = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_BLOCK = 8 << 20  # bytes; no row may be longer
_LINE_END = re.compile(r"\r\n|\r|\n")
_ENCODE = "save it as UTF-8 (for example: iconv -f LATIN1 -t UTF-8)"


def read(path: Path) -> tuple[pa.Table, list[str]]:
    """Read a text table; the second answer says what had to be decided."""
    start = files.head(path)
    packed = path.suffix.lower() == ".gz"
    if packed:
        files.require_content(path, start, "gzip")
        start = next(files.gunzipped(path), b"")[: files.HEAD]
    files.require_content(path, start, "")
    files.require_size(path, path.stat().st_size)
    text, whole = _text(path, start)
    suffix = Path(path.stem).suffix.lower() if packed else path.suffix.lower()
    delimiter, notes = _delimiter(path, text, tabs=suffix in {".tsv", ".tab"})
    _header(path, text, whole, delimiter)
    breaks = _breaks_inside(path, packed, delimiter)
    point = _decimal_point(path, text, delimiter)
    if point == ",":
        notes.append("Numbers are written with a decimal comma.")

    def parse(threads: bool) -> pa.Table:
        with pa.input_stream(str(path), compression="gzip" if packed else None) as stream:
            return arrow_csv.read_csv(
                stream,
                arrow_csv.ReadOptions(use_threads=threads, block_size=_BLOCK),
                arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=breaks),
                arrow_csv.ConvertOptions(
                    null_values=_MISSING, strings_can_be_null=True, decimal_point=point
                ),
            )

    table = _parsed(path, parse)
    _encoding(path, table)
    return table, notes


def _breaks_inside(path: Path, packed: bool, delimiter: str) -> bool:
    """Whether a cell may hold the end of a line; the file's cells are counted on the way.

    Only where the double quotes so far are odd in number can it; without such an end the file is
    read in half the time. A cell of one digit takes eight bytes once it is a number.
    """
    found, odd, cells = False, 0, 0
    for piece in files.gunzipped(path) if packed else files.pieces(path):
        cells += piece.count(delimiter.encode()) + piece.count(b"\n")
        files.require_size(path, 8 * cells, "its cells, or the first of them,")
        if b'"' not in piece and not odd:
            continue
        data = np.frombuffer(piece, np.uint8)
        parity = np.bitwise_xor.accumulate((data == ord('"')).view(np.uint8)) ^ odd
        found = found or bool((parity[(data == 10) | (data == 13)]).any())
        odd = int(parity[-1])
    return found


def _text(path: Path, start: bytes) -> tuple[str, bool]:
    """The beginning as text, and whether that is the whole file."""
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(f"{path}: the text is UTF-16: save it as UTF-8")
    if b"\0" in start:
        raise InputError(f"{path}: holds bytes that are no text: it is not a CSV or TSV file")
    whole = len(start) < files.HEAD
    try:
        return start.decode("utf-8-sig"), whole
    except UnicodeDecodeError as error:
        if not whole and error.start > len(start) - 4:
            return start[: error.start].decode("utf-8-sig"), whole
        line = start[: error.start].count(b"\n") + 1
        raise InputError(f"{path}: line {line} is not UTF-8: {_ENCODE}") from error


def _delimiter(path: Path, text: str, tabs: bool) -> tuple[str, list[str]]:
    """A tab by the file's name; else comma or semicolon, whichever the header line uses."""
    line = re.sub(r'"[^"]*"', "", _first_line(text))
    if tabs:
        if "\t" not in line:
            raise InputError(
                f"{path}: the name says that tabs part the columns, and the header holds none: "
                "name it .csv where commas or semicolons do"
            )
        return "\t", []
    commas, semicolons = line.count(","), line.count(";")
    if commas and semicolons:
        raise InputError(
            f"{path}: the header holds commas ({commas}) and semicolons ({semicolons}), so what "
            "parts the columns is not clear: put names that hold one of them in double quotes"
        )
    if not commas and not semicolons:
        hint = ": name it .tsv, for tabs part its columns" if "\t" in line else ""
        raise InputError(
            f"{path}: the header has one column only, and a target and a feature are needed{hint}"
        )
    if semicolons:
        return ";", ["Columns are parted by semicolons, as the header is."]
    return ",", []


def _lines(text: str) -> list[str]:
    """Lines as a table's reader sees them: str.splitlines would part them in more places."""
    return _LINE_END.split(text)


def _first_line(text: str) -> str:
    """The header: a name in quotes may hold the end of a line."""
    line = ""
    for part in _lines(text):
        line = f"{line}\n{part}" if line else part
        if line.strip() and line.count('"') % 2 == 0:
            break
    return line


def _header(path: Path, text: str, whole: bool, delimiter: str) -> None:
    """Refuse a first line that is data: without names there is no target."""
    names = next(csv.reader(StringIO(_first_line(text), newline=""), delimiter=delimiter), [])
    names = [name.strip() for name in names]
    numbers = [name for name in names if _NUMBER.fullmatch(name)]
    fractions = [name for name in names if _FRACTION.fullmatch(name)]
    if fractions or len(numbers) == len(names):
        raise InputError(
            f"{path}: the first line holds numbers such as {quote((fractions or numbers)[0])} "
            "where names of columns are needed: put a line of names first"
        )
    if whole and len([line for line in _lines(text) if line.strip()]) < 2:
        raise InputError(f"{path}: there are names of columns but no rows")


def _decimal_point(path: Path, text: str, delimiter: str) -> str:
    """A comma only between semicolons or tabs, and only when no number has a point."""
    if delimiter == ",":
        return "."
    cells = [cell.strip() for line in _lines(text)[1:-1] for cell in line.split(delimiter)]
    commas = sum(bool(re.fullmatch(r"[+-]?\d+,\d+", cell)) for cell in cells)
    points = sum(bool(_FRACTION.fullmatch(cell)) for cell in cells)
    if commas and points:
        raise InputError(
            f"{path}: some numbers have a decimal comma and some a point: use the point throughout"
        )
    return "," if commas else "."


def _parsed(path: Path, parse: Callable[[bool], Any]) -> pa.Table:
    try:
        try:
            return parse(True)
        except pa.ArrowInvalid as error:
            if not _RAGGED.search(str(error)):
                raise
            return parse(False)  # one thread knows the number of the row
    except (pa.ArrowException, OSError) as error:
        if found := _RAGGED.search(str(error)):
            row, wanted, got = found.groups()
            raise InputError(
                f"{path}: row {row} (the header is row 1) is of length {got}, and the header of "
                f"{wanted}: mend the row, or quote cells that hold the delimiter"
            ) from error
        if "straddling" in str(error):
            raise InputError(
                f"{path}: a row is longer than {_BLOCK >> 20} MiB: is a quote not closed, or the "
                "end of a line missing?"
            ) from error
        raise InputError(f"{path}: not a text table that can be read: {reason(error)}") from error


def _encoding(path: Path, table: pa.Table) -> None:
    """Text that is not UTF-8 comes as bytes: name the first such cell."""
    try:
        table.column_names  # noqa: B018 - pyarrow decodes them as they are asked for
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: line 1 is not UTF-8: {_ENCODE}") from error
    for name, column in zip(table.column_names, table.columns, strict=True):
        if not pa.types.is_binary(column.type) and not pa.types.is_large_binary(column.type):
            continue
        for row, value in enumerate(column):
            try:
                (value.as_py() or b"").decode()
            except UnicodeDecodeError as error:
                cell = files.Where(str(path), 2).cell(row, name)
                raise InputError(f"{cell}: the text is not UTF-8: {_ENCODE}") from error
