"""Standard output and error as they come: any encoding, closed, full, or gone."""

from __future__ import annotations

import codecs
import io
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

# What mathematics and prose need, in ASCII; other letters keep their base, the rest its number.
_WORDS = {
    "−": "-", "–": "-", "—": "-", "…": "...", "·": "*", "×": "x", "±": "+-", "∓": "-+",
    "≥": ">=", "≤": "<=", "≠": "!=", "≈": "~", "∞": "inf", "→": "->", "↦": "->", "√": "sqrt",
    "∂": "d", "∫": "int", "∈": "in", "●": "*", "•": "*", "′": "'", "″": "''", "‖": "||",
    "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "∇": "grad", "∑": "sum", "∧": "and",
    "∨": "or", "µ": "u", "⁄": "/",
}  # fmt: skip
_HANDLER = "lossmith-readable"
_USUAL = ("strict", "surrogateescape", "backslashreplace")  # of Python's own streams


def readable(error: UnicodeError) -> tuple[str | bytes, int]:
    """Write in other letters what an encoding lacks, where it would give up."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = "".join(_plain(c) for c in error.object[error.start : error.end])
    return text, error.end


def _plain(letter: str) -> str:
    if letter in _WORDS:
        return _WORDS[letter]
    if 0xDC80 <= ord(letter) <= 0xDCFF:  # a byte of a name that is no text
        return f"\\x{ord(letter) - 0xDC00:02x}"
    name = unicodedata.name(letter, "")
    for size in ("SMALL", "CAPITAL"):
        if name.startswith(f"GREEK {size} LETTER "):
            word = name.split()[3].lower()
            return word if size == "SMALL" else word.capitalize()
    parts = unicodedata.normalize("NFKD", letter)
    found = "".join(c if c.isascii() else _WORDS.get(c, "") for c in parts)
    if "SUPERSCRIPT" in name and found:
        return f"^{found}"
    if found.strip():
        return found
    if unicodedata.category(letter).startswith("Z") or name.startswith("BOX DRAWINGS"):
        return "-" if "HORIZONTAL" in name else " "
    return f"\\u{ord(letter):04x}"


class _Watched(io.FileIO):
    """A stream that remembers what went wrong when it was written to."""

    failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.failure = error
            raise


class _Words(io.TextIOWrapper):
    """Text alone: click would write UTF-8 past an encoding that it takes for a mistake."""

    buffer = None  # type: ignore[assignment]


class Streams:
    """Standard output and error, in whose encodings every letter can be written."""

    def __init__(self) -> None:
        codecs.register_error(_HANDLER, readable)
        self._watched: list[tuple[Any, _Watched]] = []

    def taken(self, stream: Any) -> Any:
        """The stream to write to instead; one that leads to no file of the system stays."""
        if getattr(stream, "errors", None) not in _USUAL:
            return stream  # somebody chose what becomes of letters that cannot be written
        try:
            stream.flush()
            raw = _Watched(stream.fileno(), "wb", closefd=False)
        except (OSError, ValueError):
            return stream
        made = _Words(
            raw if stream.write_through else io.BufferedWriter(raw),
            encoding=stream.encoding,
            errors=_HANDLER,
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
        self._watched.append((made, raw))
        return made

    def finish(self) -> OSError | None:
        """Write out what waits; the error, if one of the two did not take everything."""
        found: OSError | None = None
        for stream, raw in self._watched:
            with suppress(OSError, ValueError):
                stream.flush()
            if raw.failure is not None:
                found = found or raw.failure
                raw.failure = None
                with suppress(OSError):  # what is left goes nowhere, or would be tried again
                    nowhere = os.open(os.devnull, os.O_WRONLY)
                    os.dup2(nowhere, raw.fileno())
                    os.close(nowhere)
        return found


@contextmanager
def prepared() -> Iterator[Streams]:
    """Let no letter end a command, and find out whether its words arrive."""
    made, before = Streams(), (sys.stdout, sys.stderr)
    sys.stdout, sys.stderr = (made.taken(stream) for stream in before)
    try:
        yield made
    finally:
        sys.stdout, sys.stderr = before
