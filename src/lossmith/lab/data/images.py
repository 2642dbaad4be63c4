"""A folder of images by class: each folder in it is a class."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from lossmith.errors import InputError
from lossmith.lab.data import files, target
from lossmith.lab.data.dataset import Dataset, Task
from lossmith.lab.data.files import Where, listing, printable, quote, reason

# Formats that Pillow decodes itself; others would start programs (EPS) or read much (PDF).
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}
_GRAY = {"1", "L", "LA"}
_COMMON = 64  # side to which pictures of several sizes are scaled at most
_PIXELS = 64 * 2**20  # no one picture may have more


def load(folder: Path, wanted: str | None, task: Task | None) -> Dataset:
    """Read every image; the name of its folder is its class."""
    if wanted is not None:
        raise InputError(f"{folder}: the folders are the classes: leave --target out")
    paths, labels, notes = _files(folder)
    sizes, gray = _sizes(paths)
    size = sizes[0]
    if len(set(sizes)) > 1:
        middle = np.median(np.array(sizes), axis=0)
        size = (min(_COMMON, int(middle[0])), min(_COMMON, int(middle[1])))
        notes.append(
            f"Pictures come in {len(set(sizes))} sizes, so each is scaled to {size[0]} × {size[1]}."
        )
    channels = 1 if gray else 3
    shape = (len(paths), channels, size[1], size[0])
    files.require_size(folder, int(np.prod(shape)), f"pictures of shape {shape}")
    pixels = np.empty(shape, np.uint8)
    for row, path in enumerate(paths):
        pixels[row] = _pixels(path, size, gray)
    notes.append(f"Pictures have {size[0]} × {size[1]} pixels, {channels} channel(s).")
    column = pa.chunked_array([pa.array(labels, pa.large_string())])
    goal = target.read(column, "folder", task or None, Where(str(folder)))
    names = [printable(path.relative_to(folder).as_posix()) for path in paths]
    return target.finish(folder.name or str(folder), pixels, goal, notes, pictures=names)


def _files(folder: Path) -> tuple[list[Path], list[str], list[str]]:
    """Images and their classes, in order of name; what is no image by its ending is counted."""
    home = folder.resolve()
    paths, labels, notes, empty = [], [], [], []
    others: Counter[str] = Counter()
    with files.readable(folder):
        places = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
        for place in places:
            found = [p for p in sorted(place.rglob("*")) if not p.name.startswith(".")]
            inside = [p for p in found if p.suffix.lower() in _ENDINGS and not p.is_dir()]
            others.update(p.suffix or p.name for p in found if p.is_file() and p not in set(inside))
            for path in inside:
                if not path.resolve().is_relative_to(home):
                    raise InputError(f"{path}: a link that leads out of {folder}: put a copy there")
            paths += inside
            labels += [place.name] * len(inside)
            if not inside:
                empty.append(place.name)
    if not paths:
        raise InputError(
            f"{folder}: no images in folders: one folder for each class is needed, "
            f"with files that end in {', '.join(sorted(_ENDINGS))}"
        )
    if empty:
        notes.append(f"Folders without images are no classes: {listing(empty)}.")
    if others:
        notes.append(f"{others.total()} files are no images by their names and are left out.")
    return paths, labels, notes


def _open(path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of many pixels: they are counted below
            picture = Image.open(path, formats=_FORMATS)
    except Exception as error:  # what a decoder raises on broken bytes is not documented
        held = files.content(files.head(path))
        what = f"its content is {held}" if held else reason(error).replace(repr(str(path)), "it")
        raise InputError(f"{path}: not an image that can be read: {what}") from error
    if picture.width * picture.height > _PIXELS:
        picture.close()
        raise InputError(f"{path}: {picture.width} × {picture.height} pixels: 64 million are read")
    return picture


def _sizes(paths: list[Path]) -> tuple[list[tuple[int, int]], bool]:
    sizes, gray = [], True
    for path in paths:
        with _open(path) as picture:
            sizes.append(picture.size)
            gray = gray and picture.mode in _GRAY
    return sizes, gray


def _pixels(path: Path, size: tuple[int, int], gray: bool) -> NDArray[Any]:
    """One image as (C, H, W) bytes; an animated one gives its first picture."""
    try:
        with _open(path) as picture:
            if picture.mode.startswith(("I", "F")):
                raise InputError(
                    f"{path}: pixels of type {quote(picture.mode)}, not 8 bits a channel: convert"
                )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of transparency, which is left out
                whole = picture.convert("L" if gray else "RGB")
            if whole.size != size:
                whole = whole.resize(size, Image.Resampling.BILINEAR)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: the image is broken: {reason(error)}") from error
    values = np.asarray(whole, np.uint8)
    return values[None] if gray else values.transpose(2, 0, 1)
