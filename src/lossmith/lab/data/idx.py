"""IDX pairs, as MNIST ships: images in one file, labels in the other, each maybe gzipped."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lossmith.errors import InputError
from lossmith.lab.data import arrays, files, target
from lossmith.lab.data.dataset import Dataset, Task
from lossmith.lab.data.files import Where

_NAME = re.compile(r"(.*?)[-_.]?(images|labels)([-_.]idx\d)?[-_.]?(ubyte|idx\d?)?(\.gz)?")
# The third byte of an IDX file names the type of its numbers.
_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def named(name: str) -> bool:
    """Whether a file's name is one of an IDX pair."""
    found = _NAME.fullmatch(name)
    return bool(found and (found[3] or found[4]))


def pair_in(folder: Path) -> Path | None:
    """The image file of a pair in this folder; the training pair when there are two."""
    with files.readable(folder):
        found = sorted(p for p in folder.iterdir() if named(p.name.lower()) and "images" in p.name)
    training = [path for path in found if path.name.lower().startswith("train")]
    choice = training or found
    if len(choice) > 1 and len({path.name.removesuffix(".gz") for path in choice}) > 1:
        names = ", ".join(path.name for path in choice)
        raise InputError(f"{folder}: several IDX pairs ({names}): name one of the image files")
    return choice[0] if choice else None


def load(path: Path, wanted: str | None, task: Task | None) -> Dataset:
    """Read a pair by the name of either file."""
    if wanted is not None:
        raise InputError(f"{path}: IDX labels have no name: leave --target out")
    pixels_at, labels_at = _partner(path, "images"), _partner(path, "labels")
    values, labels = _read(pixels_at), _read(labels_at)
    where = Where(str(labels_at))
    if labels.ndim != 1 or len(labels) != len(values):
        raise InputError(
            f"{labels_at}: labels of shape {labels.shape} do not go with images of shape "
            f"{values.shape} in {pixels_at.name}: one label a picture is needed"
        )
    goal = target.read(pa.chunked_array([pa.array(labels)]), "label", task, where)
    source, notes = arrays.shaped(values, "images", Where(str(pixels_at)))
    if source.ndim == 2:
        source, dropped = arrays.without_constants(source)
        notes = [*notes, *dropped]
    return target.finish(pixels_at.name, source, goal, [f"Labels are in {labels_at.name}.", *notes])


def _partner(path: Path, wanted: str) -> Path:
    """The file of this pair that holds the images, or the labels, as is wanted."""
    found = _NAME.fullmatch(path.name.lower())
    if not found:
        raise InputError(f"{path}: the name is not one of an IDX pair (…images-idx3-ubyte)")
    if found[2] == wanted:
        return path
    stem = path.name[: len(found[1])]
    with files.readable(path):
        beside = sorted(path.parent.iterdir())
    for other in beside:
        its = _NAME.fullmatch(other.name.lower())
        if its and its[2] == wanted and other.name.startswith(stem) and its[1] == found[1]:
            return other
    raise InputError(f"{path}: there is no file with the {wanted} beside it")


def _read(path: Path) -> NDArray[Any]:
    """One IDX file: its header says exactly how many bytes must follow."""
    start = files.head(path)
    packed = start[:2] == b"\x1f\x8b"
    if packed:
        start = next(files.gunzipped(path), b"")
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _TYPES or not 1 <= start[3] <= 4:
        held = files.content(start)
        raise InputError(f"{path}: not an IDX file{f', but {held}' if held else ''}")
    kind = np.dtype(_TYPES[start[2]])
    begin = 4 + 4 * start[3]
    if len(start) < begin:
        raise InputError(f"{path}: the header ends too soon: get the file anew")
    shape = tuple(int(size) for size in np.frombuffer(start[4:begin], ">u4"))
    size = math.prod(shape) * kind.itemsize
    files.require_size(path, size, f"the array {shape} that it declares")
    if not size:
        raise InputError(f"{path}: the header declares no content ({shape}): get the file anew")
    if packed:
        raw = b"".join(files.gunzipped(path, begin + size))
    else:
        files.require_size(path, path.stat().st_size)
        raw = path.read_bytes()
    if len(raw) != begin + size:
        raise InputError(
            f"{path}: {len(raw) - begin} bytes follow the header, which declares {size}: "
            "get the file anew"
        )
    values = np.frombuffer(raw, kind, offset=begin).reshape(shape)
    return values.astype(kind.newbyteorder("="))
