"""A column of text: numbers or dates in disguise, categories, words, or names for rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from lossmith.errors import InputError
from lossmith.lab.data.files import Where, quote
from lossmith.lab.data.prepare import MOST_CATEGORIES, MOST_WORDS

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_SLASHED = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})")
_ISO = re.compile(r"\d{4}-\d\d?-\d\d?(?:[T ]\d\d?:\d\d(?::\d\d(?:\.\d+)?)?)?")

NEARLY_ALL = 0.9  # share of rows from which a column counts as numbers, or as names for rows
SENTENCE = 3  # words, on average, from which text is read as words


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of that type holds text."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view()


@dataclass
class Levels:
    """A column of text as codes into its distinct values; −1 is missing."""

    codes: NDArray[np.int64]
    levels: list[str]
    counts: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.bincount(self.codes[self.codes >= 0], minlength=len(self.levels))

    @property
    def known(self) -> int:
        """How many rows have a value."""
        return int(self.counts.sum())

    def first(self, level: int) -> int:
        """The first row with that value."""
        return int(np.argmax(self.codes == level))

    def each(self, values: Any, missing: Any) -> NDArray[Any]:
        """A value for each row, given one for each level."""
        return np.asarray([*values, missing])[self.codes]


def levels_of(column: pa.ChunkedArray) -> Levels:
    """Distinct values in sorted order, blanks around them taken off, blank ones missing."""
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.large_string()).dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # pyarrow keeps none or several chunks as they are
        whole = whole.chunk(0) if whole.num_chunks else pa.array([], column.type)
    names = [(name or "").strip() for name in whole.dictionary.to_pylist()]
    codes = whole.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    used = np.bincount(codes[codes >= 0], minlength=len(names)) > 0
    distinct = sorted({name for name, is_used in zip(names, used, strict=True) if is_used} - {""})
    place = {name: i for i, name in enumerate(distinct)}
    table = np.array([*(place.get(name, -1) for name in names), -1], np.int64)
    return Levels(table[codes], distinct)


def numeric_share(text: Levels) -> tuple[float, NDArray[np.bool_]]:
    """The share of known rows that read as numbers, and which levels do."""
    reads = np.array([bool(NUMBER.fullmatch(level)) for level in text.levels], bool)
    return float(text.counts[reads].sum() / max(text.known, 1)), reads


def refuse_nearly_numbers(text: Levels, name: str, where: Where) -> bool:
    """Whether all values are numbers; one bad cell among numbers is refused by its place."""
    share, reads = numeric_share(text)
    if share == 1:
        return text.known > 0
    if share >= NEARLY_ALL and reads.sum() > MOST_CATEGORIES:
        row = min(text.first(int(level)) for level in np.flatnonzero(~reads))
        raise InputError(
            f"{where.cell(row, name)}: {quote(text.levels[text.codes[row]])} is no number, "
            f"though {share:.1%} of the column are: mend the cell or leave it empty"
        )
    return False


def to_numbers(text: Levels) -> NDArray[np.float64]:
    """The numbers that all levels are."""
    return text.each([float(level) for level in text.levels], np.nan).astype(np.float64)


def series(
    column: pa.ChunkedArray, name: str, where: Where, say: Callable[[str, str], None]
) -> pd.Series | NDArray[np.float64] | None:
    """What a text column becomes, or nothing when it only names its rows; `say` notes it."""
    text = levels_of(column)
    if refuse_nearly_numbers(text, name, where):
        say("Text that holds numbers, and is read as such", name)
        return to_numbers(text)
    if text.levels and (dates := _dates(text, name, where)) is not None:
        say("Dates, which become days, place in year and in day, and weekday", name)
        return dates
    distinct = len(text.levels)
    if distinct > min(MOST_CATEGORIES, NEARLY_ALL * text.known):
        words = sum(
            len(level.split()) * int(count)
            for level, count in zip(text.levels, text.counts, strict=True)
        )
        if words >= SENTENCE * text.known:
            say(f"Text, which becomes the weights of its {MOST_WORDS} most frequent words", name)
            return pd.Series(text.each(np.array(text.levels, object), None), dtype="str")
        if distinct > NEARLY_ALL * text.known:
            say("Dropped, as nearly every row has its own text, which names the row", name)
            return None
    if distinct > MOST_CATEGORIES:
        say(f"Of more than {MOST_CATEGORIES} categories the rarest share a column", name)
    say("Categories, which become one column for each value", name)
    return pd.Series(pd.Categorical.from_codes(text.codes, categories=text.levels))


def _dates(text: Levels, name: str, where: Where) -> pd.Series | None:
    """Dates that are written alike throughout; whether day or month comes first must show."""
    if all(_ISO.fullmatch(level) for level in text.levels):
        written = text.levels
    else:
        found = [_SLASHED.fullmatch(level) for level in text.levels]
        parts = [tuple(map(int, match.groups())) for match in found if match]
        if len(parts) < len(found):
            return None
        day_first = any(first > 12 for first, _, _ in parts)
        month_first = any(second > 12 for _, second, _ in parts)
        if day_first == month_first:
            raise InputError(
                f"{where.column(name)}: dates such as {quote(text.levels[0])} do not show whether "
                "day or month comes first: write them as YYYY-MM-DD"
            )
        written = [f"{y}-{b:02}-{a:02}" if day_first else f"{y}-{a:02}-{b:02}" for a, b, y in parts]
    try:
        stamps = pd.to_datetime(pd.Series(written), format="ISO8601").to_numpy("datetime64[us]")
    except ValueError:
        return None
    return pd.Series(text.each(stamps, np.datetime64("NaT", "us")).astype("datetime64[us]"))
