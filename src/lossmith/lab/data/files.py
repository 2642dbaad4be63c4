"""What is asked of any file before it is read: that it is one, what it holds, and how much.

Nothing here runs or unpickles what a file holds, and nothing is written.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lossmith.errors import InputError

# No file may hold more than this once unpacked: a table of that size no longer fits beside the
# arrays made from it on an ordinary machine, and what claims more is an accident or an attack.
LARGEST = 4 * 2**30
HEAD = 64 * 1024  # bytes that are looked at before a reader is chosen
_CHUNK = 1 << 20

# How the content of a file begins: what it is.
_SIGNS: tuple[tuple[bytes, str], ...] = (
    (b"PAR1", "Parquet"),
    (b"ARROW1", "Arrow"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "gzip"),
    (b"\x93NUMPY", "a NumPy array (.npy)"),
    (b"\x89HDF", "HDF5"),
    (b"SQLite format 3", "SQLite"),
    (b"%PDF", "PDF"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"version https://git-lfs", "a Git LFS pointer, not the data themselves"),
)


@dataclass(frozen=True)
class Where:
    """Names a file and its cells in messages."""

    name: str
    first: int = 1  # the number of the first row of data: 2 under a header line

    def cell(self, row: int, column: str) -> str:
        """Where a cell is; `row` counts from 0."""
        header = " (the header is row 1)" if self.first == 2 else ""
        return f"{self.name}: row {row + self.first}{header}, column {quote(column)}"

    def column(self, column: str) -> str:
        """Where a column is."""
        return f"{self.name}: column {quote(column)}"


def quote(value: object, most: int = 40) -> str:
    """A value from a file, safe to print: on one line, escaped, and short."""
    text = value if isinstance(value, str) else str(value)
    return repr(text[:most] + "…" if len(text) > most else text)


def printable(text: str) -> str:
    """Names of files come from others too, and may hold what a terminal would obey: escaped."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def listing(names: list[str], most: int = 8) -> str:
    """Names in a sentence, quoted, cut short when there are many."""
    shown = ", ".join(quote(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def reason(error: BaseException) -> str:
    """What a library says is wrong, on one line, escaped, and short."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text[:160] + "…" if len(text) > 160 else text


def gibibytes(size: int) -> str:
    """A size in words."""
    return f"{size / 2**30:.3g} GiB"


def head(path: Path) -> bytes:
    """The first bytes of a regular file that is not empty."""
    with readable(path):
        if not path.is_file():
            raise InputError(f"{path}: not a regular file: name a file or a folder of images")
        with path.open("rb") as file:
            start = file.read(HEAD)
    if not start:
        raise InputError(f"{path}: the file is empty: name one that holds data")
    return start


@contextmanager
def readable(path: Path, *others: type[Exception]) -> Iterator[None]:
    """Say in one line why a file cannot be read at all; `others` are the caller's to explain."""
    try:
        yield
    except others:
        raise
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        why = error.strerror if isinstance(error, OSError) and error.strerror else reason(error)
        raise InputError(f"{path}: cannot be read: {why}") from error


def content(start: bytes) -> str:
    """What a file is by its first bytes; '' when they say nothing."""
    if start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05":
        return "a pickle, which can run code when it is opened, so it was not"
    for sign, kind in _SIGNS:
        if start.startswith(sign):
            return kind
    if start.lstrip()[:1] in (b"[", b"{") and b'":' in start[:4096].replace(b" ", b""):
        return "JSON"
    if start[:512].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a web page"
    return ""


def require_content(path: Path, start: bytes, wanted: str) -> None:
    """Refuse a file whose content is not what its name says."""
    found = content(start)
    if found != wanted:
        held = f"its content is {found}" if found else "its content is something else"
        raise InputError(
            f"{path}: the name says {wanted or 'text'}, but {held}: give the file its right name "
            "or convert it (CSV, TSV, Parquet, Arrow, .npz and IDX files are read)"
        )


def require_size(path: Path, size: int, what: str = "") -> None:
    """Refuse what would be larger than `LARGEST` in memory, before it is read."""
    if size > LARGEST:
        raise InputError(
            f"{path}: {what or 'it'} would take {gibibytes(size)} in memory, and at most "
            f"{gibibytes(LARGEST)} are read: keep fewer rows or columns"
        )


def pieces(path: Path) -> Iterator[bytes]:
    """The content of a file in pieces."""
    with readable(path), path.open("rb") as file:
        while piece := file.read(_CHUNK):
            yield piece


def gunzipped(path: Path, declared: int | None = None) -> Iterator[bytes]:
    """The content of a gzip file in pieces, refused once it is more than declared or than fits.

    The size that a gzip file itself declares is kept modulo 4 GiB, so only counting can tell.
    """
    total = 0
    try:
        with readable(path, gzip.BadGzipFile), gzip.open(path) as file:
            while piece := file.read(_CHUNK):
                total += len(piece)
                if declared is not None and total > declared:
                    raise InputError(f"{path}: holds more than its header declares: get it anew")
                if total > LARGEST:
                    raise InputError(
                        f"{path}: unpacks to more than {gibibytes(LARGEST)}, "
                        "the most that is read: keep fewer rows or columns"
                    )
                yield piece
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: broken gzip ({reason(error)}): get the file anew") from error
