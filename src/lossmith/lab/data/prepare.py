"""From raw rows to float32 arrays: fitted on the first part, applied to every part."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from lossmith.errors import InputError

Parts = Sequence[NDArray[np.intp]]
Floats = NDArray[np.float32]

MOST_CATEGORIES = 30  # columns that one category column may become; rarer ones share the last
MOST_WORDS = 64  # columns that one text column may become: its most frequent words
_WORD = re.compile(r"\w+")
_BLOCK = 4096  # rows of images at a time


def table(frame: pd.DataFrame, parts: Parts) -> tuple[Floats, ...]:
    """Scale numbers, fill gaps with an indicator, and encode categories, dates and text."""
    transformer = _transformer(frame)
    done = [_floats(transformer.fit_transform(_rows(frame, parts[0])))]
    for part in parts[1:]:
        if len(part):
            done.append(_floats(transformer.transform(_rows(frame, part))))
        else:  # scikit-learn refuses to transform no rows
            done.append(np.empty((0, done[0].shape[1]), np.float32))
    if not all(np.isfinite(part).all() for part in done):
        raise InputError(
            "a column's values differ so widely between rows that scaled by the training rows "
            "they no longer fit 32 bits: correct it, or leave it out"
        )
    return tuple(done)


def _rows(frame: pd.DataFrame, part: NDArray[np.intp]) -> pd.DataFrame:
    """Rows in memory of their own: of neighbours pandas gives a view, and scaling is in place."""
    taken = frame.iloc[part]
    return taken.copy() if len(part) and (np.diff(part) == 1).all() else taken


def numbers(values: NDArray[Any], parts: Parts) -> tuple[Floats, ...]:
    """Scale each column to mean 0 and variance 1 in the training rows, filling gaps first."""
    return table(pd.DataFrame(values, copy=False), parts)


def images(pixels: NDArray[Any], parts: Parts) -> tuple[Floats, ...]:
    """Scale each channel to mean 0 and variance 1 over the training images.

    One scale for a whole channel, because a scale for each pixel would undo the picture.
    """
    channels = pixels.shape[1]
    total, squares, count = np.zeros(channels), np.zeros(channels), 0
    # Sums about one pixel's value: about 0, the square of a large mean drowns the variance.
    origin = pixels[parts[0][0]].reshape(channels, -1).mean(axis=1)[:, None, None]
    for start in range(0, len(parts[0]), _BLOCK):
        block = pixels[parts[0][start : start + _BLOCK]] - origin
        total += block.sum(axis=(0, 2, 3))
        squares += (block**2).sum(axis=(0, 2, 3))
        count += block.size // channels
    shift = total / count
    deviation = np.sqrt(np.maximum(squares / count - shift**2, 0))
    mean = (origin[:, 0, 0] + shift).astype(np.float32)[:, None, None]
    scale = np.where(deviation > 0, deviation, 1).astype(np.float32)[:, None, None]
    done = []
    for part in parts:
        out = pixels[part].astype(np.float32)
        out -= mean
        out /= scale
        done.append(out)
    return tuple(done)


def _transformer(frame: pd.DataFrame) -> ColumnTransformer:
    """One step for each kind of column; a kind that does not occur costs nothing."""
    kinds: dict[str, list[Any]] = {"full": [], "gaps": [], "categories": [], "dates": []}
    texts = []
    for name, column in frame.items():
        if isinstance(column.dtype, pd.CategoricalDtype):
            kinds["categories"].append(name)
        elif column.dtype.kind == "M":
            kinds["dates"].append(name)
        elif column.dtype.kind in "biuf":
            kinds["gaps" if column.isna().any() else "full"].append(name)
        else:
            texts.append(name)
    steps: dict[str, Pipeline] = {
        "full": _scaled(),
        "gaps": _scaled(SimpleImputer(strategy="median", add_indicator=True, **_KEEP)),
        "categories": make_pipeline(
            FunctionTransformer(_codes),
            OneHotEncoder(
                handle_unknown="infrequent_if_exist",
                max_categories=MOST_CATEGORIES,
                sparse_output=False,
                dtype=np.float32,
            ),
        ),
        "dates": _scaled(
            FunctionTransformer(date_parts), SimpleImputer(add_indicator=True, **_KEEP)
        ),
    }
    return ColumnTransformer(
        [(kind, steps[kind], names) for kind, names in kinds.items() if names]
        + [(f"text {name}", _words(), [name]) for name in texts],
        sparse_threshold=0,
    )


# A column without one value in the training rows becomes zeros, so that columns stay in place.
_KEEP = {"keep_empty_features": True}


def _scaled(*before: Any) -> Pipeline:
    return make_pipeline(*before, StandardScaler(copy=False), FunctionTransformer(_floats))


def _words() -> Pipeline:
    return make_pipeline(
        FunctionTransformer(_one_text),
        TfidfVectorizer(max_features=MOST_WORDS, dtype=np.float32, token_pattern=_WORD.pattern),
    )


def _floats(values: Any) -> Floats:
    with np.errstate(over="ignore"):  # what overflows is infinite, and found so
        return np.ascontiguousarray(values, dtype=np.float32)


def _codes(frame: pd.DataFrame) -> NDArray[np.int32]:
    """Categories as numbers, which take a tenth of the memory of their names; -1 is missing."""
    codes = [frame[name].cat.codes.to_numpy() for name in frame.columns]
    return np.column_stack(codes).astype(np.int32)


def _one_text(frame: pd.DataFrame) -> NDArray[Any]:
    """Text for the vectorizer, which fails when not one row has a word: a gap is one."""
    texts = frame.iloc[:, 0].fillna("").to_numpy(object)
    return np.array([text if _WORD.search(text) else "missing" for text in texts], object)


def date_parts(frame: pd.DataFrame) -> NDArray[np.float64]:
    """Each date as days since 1970, place in the year and in the day (sine, cosine), weekday."""
    columns: list[Any] = []
    for name in frame.columns:
        at = frame[name].dt
        missing = frame[name].isna().to_numpy()
        days = frame[name].to_numpy("datetime64[s]").astype(np.int64) / 86400
        year = 2 * np.pi * (at.day_of_year.to_numpy(float) - 1) / 365.25
        day = 2 * np.pi * (days % 1)
        parts = [days, np.sin(year), np.cos(year), np.sin(day), np.cos(day)]
        parts.append(at.day_of_week.to_numpy(float))
        columns.extend(np.where(missing, np.nan, part) for part in parts)
    return np.column_stack(columns)
