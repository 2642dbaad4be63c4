"""From the columns of a file to a table that preprocessing understands; each step is noted."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from lossmith.errors import InputError
from lossmith.lab.data import text
from lossmith.lab.data.dataset import Target
from lossmith.lab.data.files import Where, quote

# Beyond this, squares overflow when a column is scaled.
HUGE = 1e100
# A number kept in 32 bits is off by at most this share of it …
_ROUNDING = 2.0**-24
# … which must stay this small beside how the column varies.
_LOSS = 1e-3


_GAPS = "Values are missing and are filled from the training rows, and a column says where"


class Log:
    """Notes about columns, gathered by what they say."""

    def __init__(self) -> None:
        self._said: dict[str, list[str]] = {}

    def say(self, what: str, name: str, detail: str = "") -> None:
        """Note that this holds for the column."""
        self._said.setdefault(what, []).append(quote(name) + detail)

    def sentences(self, most: int = 8) -> list[str]:
        """One sentence for each thing said, naming its columns."""
        return [
            f"{what}: {', '.join(names[:most])}"
            + (f" and {len(names) - most} more." if len(names) > most else ".")
            for what, names in self._said.items()
        ]


def frame(
    columns: dict[str, pa.ChunkedArray], target: Target, where: Where
) -> tuple[pd.DataFrame, list[str]]:
    """Turn raw columns into a table; empties `columns` as it goes, to hold memory down.

    Rows without a target are left out, and columns that tell rows apart in no way or in every
    way, or that give the answer away.
    """
    log = Log()
    done: dict[str, Any] = {}
    seen: dict[bytes, str] = {}
    for name in list(columns):
        values = _convert(columns.pop(name), name, where, log)
        if values is None:
            continue
        if _counts_rows(values):
            log.say("Dropped, as it only numbers the rows", name)
            continue
        if _identifier(values, name):
            log.say("Dropped, as an identifier with a number of its own in every row", name)
            continue
        if target.keep is not None:
            values = values[target.keep]
            if isinstance(values, pd.Series):
                values = values.reset_index(drop=True)
        if _constant(values):
            log.say("Dropped, as every row has the same value", name)
            continue
        if _repeats(values, target):
            log.say("Dropped, as it repeats the target", name)
            continue
        if isinstance(values, np.ndarray):
            values = narrow(values)
        mark = digest(values)
        if mark in seen:
            log.say(f"Dropped, as it repeats the column {quote(seen[mark])}", name)
            continue
        seen[mark] = name
        if gaps := int(pd.isna(values).sum()):
            log.say(_GAPS, name, f" ({gaps})")
        done[name] = values
    if not done:
        dropped = [said for said in log.sentences() if said.startswith("Dropped")]
        raise InputError(f"{where.name}: no column is left to learn from: {' '.join(dropped)}")
    return pd.DataFrame(done, copy=False), log.sentences()


def _convert(column: pa.ChunkedArray, name: str, where: Where, log: Log) -> Any:
    """Numbers as an array, anything else as a series; nothing when the column is of no use."""
    kind = column.type
    if pa.types.is_dictionary(kind) and not text.is_text(kind.value_type):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_null(kind) or column.null_count == len(column):
        log.say("Dropped, as no row has a value", name)
        return None
    if text.is_text(kind) or pa.types.is_dictionary(kind):
        found = text.series(column, name, where, log.say)
        return finite(found, name, where) if isinstance(found, np.ndarray) else found
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        log.say("Dates, which become days, place in year and in day, and weekday", name)
        stamps = column.cast(pa.timestamp("us"), safe=False)
        return pd.Series(stamps.to_numpy().astype("datetime64[us]"))
    return finite(as_numbers(column, name, where), name, where)


def as_numbers(column: pa.ChunkedArray, name: str, where: Where) -> NDArray[Any]:
    """Any numeric column as an array in its own type, with NaN for what is missing."""
    kind = column.type
    if pa.types.is_boolean(kind):
        column = column.cast(pa.uint8())
    elif pa.types.is_time(kind) or pa.types.is_duration(kind):
        column = column.cast(pa.int32() if pa.types.is_time32(kind) else pa.int64())
    elif pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise InputError(
            f"{where.column(name)} holds values of type {kind}, which no loss is trained on: "
            "leave it out, or make it numbers, text or dates"
        )
    if column.null_count and pa.types.is_integer(column.type):
        column = column.cast(pa.float64(), safe=False)
    values = column.to_numpy()
    return values.astype(np.float32) if values.dtype == np.float16 else values


def finite(values: NDArray[Any], name: str, where: Where) -> NDArray[Any]:
    """Refuse infinite values, by the first; NaN is missing and may stay."""
    if values.dtype.kind == "f" and len(values):
        with np.errstate(invalid="ignore"):
            # Two passes without a copy find what is nearly never there.
            ends = (np.fmin.reduce(values), np.fmax.reduce(values))
        if any(abs(float(end)) > HUGE for end in ends):
            row = int(np.argmax(np.abs(values) > HUGE))
            what = "infinite" if np.isinf(values[row]) else f"beyond {HUGE:g}"
            raise InputError(
                f"{where.cell(row, name)}: the value {values[row]} is {what}: "
                "correct it, or leave the cell empty"
            )
    return values


def narrow(values: NDArray[Any]) -> NDArray[Any]:
    """Keep 32 bits of each number, unless that would blur the column's own variation."""
    if values.dtype in (np.float32, np.uint8, np.int8, np.int16, np.uint16):
        return values.astype(np.float32, copy=False)
    spread = float(np.nanstd(values))
    largest = float(np.nanmax(np.abs(values)))
    if spread > 1e-30 and largest < 1e30 and largest * _ROUNDING <= _LOSS * spread:
        return values.astype(np.float32)
    return values.astype(np.float64, copy=False)


def _constant(values: Any) -> bool:
    """Whether one value is all there is; a gap counts as a value of its own."""
    missing = pd.isna(values)
    if missing.any():
        return bool(missing.all())
    if isinstance(values, np.ndarray):
        return bool(values.min() == values.max())
    return bool((values == values.iloc[0]).all())


def _counts_rows(values: Any) -> bool:
    """Whether a column is 0, 1, 2, … or 1, 2, 3, … in the file's order."""
    if not isinstance(values, np.ndarray) or len(values) < 10:
        return False
    start, end = float(values[0]), float(values[-1])
    if start not in (0, 1) or end != start + len(values) - 1:
        return False
    return bool(np.array_equal(values, np.arange(start, end + 1)))


# How a column is called that names its rows: id, user_id, PassengerId, rownames, row_number …
_NAMES_ROWS = re.compile(
    r"(?i:(?:.*[_\W])?(?:id|ids|uid|uuid|guid)|idx|index|key|rows?|row[_\W]?names?"
    r"|row[_\W]?(?:id|nr|no|num|number))|.*[a-z]I[dD]"
)


def _identifier(values: Any, name: str) -> bool:
    """Whether whole numbers only name the rows: all different, and called so or 1 … n in any order.

    Numbers that are all different may well measure something, so these two signs are needed.
    """
    if not isinstance(values, np.ndarray) or len(values) < 10 or pd.isna(values).any():
        return False
    start, end = float(values.min()), float(values.max())
    counts = start in (0, 1) and end == start + len(values) - 1
    if not counts and _NAMES_ROWS.fullmatch(name) is None:
        return False  # before the look at every value, which few columns need
    if values.dtype.kind == "f" and not (values == np.floor(values)).all():
        return False
    return len(np.unique(values)) == len(values)


def _repeats(values: Any, target: Target) -> bool:
    """Whether a column is the target itself, wherever it has a value, which half the rows do."""
    truth = target.values
    if isinstance(values, pd.Series):
        if not isinstance(values.dtype, pd.CategoricalDtype):
            return False
        place = {label: code for code, label in enumerate(target.classes)}
        codes = values.cat.codes.to_numpy()
        known = codes >= 0
        values = np.array([place.get(level, -1) for level in values.cat.categories])[codes]
    else:
        if target.classes:
            if not all(text.NUMBER.fullmatch(label) for label in target.classes):
                return False
            truth = np.array([float(label) for label in target.classes])[truth]
        known = ~np.isnan(values)
    # Nearly every column differs soon, and then the rest need not be looked at.
    for rows in (slice(1000), slice(None)):
        some = known[rows]
        if not (values[rows][some] == truth[rows][some]).all():
            return False
    return bool(2 * known.sum() >= len(known))


def digest(values: Any) -> bytes:
    """The same for two columns with the same content."""
    if isinstance(values, pd.Series):
        content = pd.util.hash_pandas_object(values, index=False).to_numpy()
    else:
        content = values
    mark = hashlib.blake2b(str(content.dtype).encode(), digest_size=16)
    mark.update(np.ascontiguousarray(content).view(np.uint8).data)
    return mark.digest()
