"""NumPy archives (.npz), read by NumPy: arrays only, never a pickle."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from lossmith.errors import InputError
from lossmith.lab.data import columns, files, target
from lossmith.lab.data.columnar import whole
from lossmith.lab.data.dataset import Dataset, Source, Task
from lossmith.lab.data.files import Where, listing, quote

# A target's usual names, and the features that go with each.
_PARTNERS = (("labels", "images"), ("label", "image"), ("labels", "data"), ("targets", "data"))
_USUAL = ("x", "data", "features", "images", "inputs")


def load(path: Path, wanted: str | None, task: Task | None) -> Dataset:
    """Read an archive whose arrays are features and a target with as many rows."""
    where = Where(str(path))
    shapes = _declared(path)
    if wanted is None and "y_train" in shapes and not {"y", "label", "target"} & set(shapes):
        wanted = "y_train"
    name = target.choose(list(shapes), wanted, where, "array")
    feature = _features(name, shapes, where)
    unused = [other for other in shapes if other not in (name, feature)]
    notes = [f"Features are the array {feature!r}, the target is {name!r}."]
    if unused:
        notes.append(f"Arrays not used: {listing(unused)}.")
    labels, values = _read(path, name), _read(path, feature)
    shape = labels.shape
    labels = labels.reshape(len(labels), -1)
    if labels.shape[1] != 1:
        raise InputError(f"{path}: the target {name!r} has shape {shape}: one value a row is read")
    goal = target.read(_column(labels[:, 0]), name, task, where)
    source, said = shaped(values, feature, where)
    if goal.keep is not None:
        source = source[goal.keep]
    if source.ndim == 2:
        source, dropped = without_constants(source)
        said += dropped
        if not source.shape[1]:
            raise InputError(f"{path}: every column of {feature!r} has one value throughout")
    return target.finish(path.name, source, goal, [*notes, *said])


def _column(values: NDArray[Any]) -> pa.ChunkedArray:
    if values.dtype.kind in "SU":
        return pa.chunked_array([pa.array([_text(v) for v in values], pa.large_string())])
    if values.dtype.kind == "f" and values.dtype.itemsize > 8:
        values = values.astype(np.float64)
    return pa.chunked_array([pa.array(values)])


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def shaped(values: NDArray[Any], name: str, where: Where) -> tuple[NDArray[Any], list[str]]:
    """Numbers as (N, D), pictures as (N, C, H, W) whichever way round they came; finite."""
    if values.dtype.kind == "f":
        bad = np.isinf(values) if values.ndim == 2 else ~np.isfinite(values)
        if bad.any():
            spot = tuple(int(i) for i in np.argwhere(bad)[0])
            raise InputError(
                f"{where.name}: array {quote(name)}, row {spot[0] + 1}, place {list(spot[1:])}: "
                f"the value is {values[spot]}: correct it (in tables NaN may say missing)"
            )
        values = values.astype(np.float64 if values.dtype.itemsize > 4 else np.float32)
    if values.dtype.kind == "b":
        values = values.astype(np.uint8)
    if values.ndim == 1:
        return values[:, None], []
    if values.ndim == 3:
        return values[:, None], [f"Pictures of one channel, {values.shape[1]} × {values.shape[2]}."]
    if values.ndim == 4:
        last = values.shape[3] in (1, 3, 4) and values.shape[1] not in (1, 3, 4)
        if last:
            values = values.transpose(0, 3, 1, 2)
        _, channels, height, width = values.shape
        order = "last" if last else "first"
        return values, [f"Pictures of {height} × {width}, {channels} channels, which come {order}."]
    return values, []


def without_constants(values: NDArray[Any]) -> tuple[Source, list[str]]:
    """Leave out columns with one value throughout, and keep 32 bits where those suffice."""
    kept, dropped, wide = [], [], False
    for i in range(values.shape[1]):
        column = values[:, i]
        missing = pd.isna(column)
        if missing.all() or (not missing.any() and column.min() == column.max()):
            dropped.append(i)
        else:
            kept.append(i)
            wide = wide or columns.narrow(column).dtype == np.float64
    out = values if not dropped else values[:, kept]
    said = []
    if dropped:
        places = ", ".join(str(i + 1) for i in dropped[:8]) + (" …" if len(dropped) > 8 else "")
        said.append(f"{len(dropped)} columns have one value throughout and are dropped: {places}.")
    return out.astype(np.float64 if wide else np.float32, copy=False), said


def _features(name: str, shapes: dict[str, tuple[int, ...]], where: Where) -> str:
    """The array that goes with the target: by its name, or the only one with as many rows."""
    rows = shapes[name][:1]
    fitting = [
        other
        for other, shape in shapes.items()
        if other != name and shape[:1] == rows and 1 <= len(shape) <= 4
    ]
    partners = [name.replace("y", "x", 1), name.replace("y", "X", 1)]
    partners += [name.replace(theirs, ours) for theirs, ours in _PARTNERS]
    named = [other for other in dict.fromkeys(partners) if other in fitting]
    usual = [other for other in fitting if other.lower() in _USUAL]
    for choice in (named, usual, fitting):
        if len(choice) == 1:
            return choice[0]
    found = ", ".join(f"{quote(other)} {shape}" for other, shape in list(shapes.items())[:8])
    need = "none" if not fitting else "more than one"
    raise InputError(
        f"{where.name}: {need} of the arrays can be the features of {quote(name)}: name the "
        f"features 'X', with as many rows as the target; there are {found}"
    )


def _declared(path: Path) -> dict[str, tuple[int, ...]]:
    """The arrays' shapes by their headers; a target is chosen by them before anything is loaded."""
    files.require_content(path, files.head(path), "a ZIP archive")
    shapes = {}
    with whole(path, "the archive"), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        files.require_size(path, sum(member.file_size for member in members), "its arrays")
        for member in members:
            with whole(path, f"the member {quote(member.filename)}"):
                shapes[member.filename.removesuffix(".npy")] = _shape(archive, member)
    if not shapes:
        raise InputError(f"{path}: the archive is empty")
    return shapes


def _shape(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[int, ...]:
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        shape, _, kind = read(file)
    if kind.kind not in "biufSU" or not kind.itemsize:
        held = "pickled objects, which can run code" if kind.hasobject else f"values of type {kind}"
        raise InputError(
            f"{archive.filename}: the array {quote(member.filename.removesuffix('.npy'))} holds "
            f"{held}: save numbers or text, for only numbers are read"
        )
    return shape


def _read(path: Path, name: str) -> NDArray[Any]:
    with whole(path, f"the array {quote(name)}"), np.load(path, allow_pickle=False) as archive:
        values: NDArray[Any] = archive[name]
    if values.ndim == 0 or not len(values):
        raise InputError(f"{path}: the array {quote(name)} has no rows")
    if values.ndim > 1 and values.dtype.kind in "SU":
        raise InputError(f"{path}: the array {quote(name)} holds text: save features as numbers")
    # In the byte order of this machine, for nothing that comes after reads another.
    return values.astype(values.dtype.newbyteorder("="), copy=False)
