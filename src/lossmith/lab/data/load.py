"""Find out what the user named, and read it."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from lossmith.errors import InputError
from lossmith.lab.data import arrays, builtin, files, idx, images, tables
from lossmith.lab.data.dataset import Dataset, Task
from lossmith.lab.data.target import check_task

_FORMATS = "CSV, TSV (also .gz), Parquet, Arrow or Feather, .npz, IDX, or a folder of images"


def load(data: str, target: str | None = None, task: str | None = None) -> Dataset:
    """Load a file, a folder or a built-in data set; the file is only ever read."""
    try:
        return _load(data, target, check_task(task))
    except InputError as error:
        message = str(error)
        if message.isprintable():
            raise
        raise InputError(files.printable(message)) from error


def _load(data: str, target: str | None, wanted: Task | None) -> Dataset:
    name = data.replace("-", "_")
    if name in builtin.SHIPPED:
        return _builtin(name, target, wanted)
    path = Path(data)
    with files.readable(path):
        there = path.exists()
    if not there:
        close = get_close_matches(name, builtin.SHIPPED, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise InputError(
            f"{data}: no such file, folder or data set; by name there are "
            f"{', '.join(builtin.SHIPPED)}{hint}"
        )
    if path.is_dir():
        found = idx.pair_in(path)
        return idx.load(found, target, wanted) if found else images.load(path, target, wanted)
    lower = path.name.lower()
    if idx.named(lower):
        return idx.load(path, target, wanted)
    ending = next((ending for ending in tables.READERS if lower.endswith(ending)), None)
    if ending:
        return tables.load(path, ending, target, wanted)
    if lower.endswith(".npz"):
        return arrays.load(path, target, wanted)
    found_kind = files.content(files.head(path))
    held = f"; its content is {found_kind}" if found_kind else ""
    raise InputError(f"{data}: the name does not end as a format that is read ({_FORMATS}){held}")


def _builtin(name: str, target: str | None, task: Task | None) -> Dataset:
    dataset = builtin.load(name)
    if target is not None:
        raise InputError(f"{name} is built in and has one target: leave --target out")
    if task == "classification" and dataset.task == "binary":
        dataset = replace(dataset, task=task)
    if task not in (None, dataset.task):
        raise InputError(f"{name} is built in for {dataset.task}, not {task}")
    if Path(name).exists():
        notes = (*dataset.notes, f"The file or folder of that name here is ./{name}.")
        dataset = replace(dataset, notes=notes)
    return dataset
