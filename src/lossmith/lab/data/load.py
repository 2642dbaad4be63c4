"""Find out what the user named, and read it."""

from __future__ import annotations

from difflib import get_close_matches

from lossmith.errors import InputError
from lossmith.lab.data import builtin
from lossmith.lab.data.dataset import Dataset


def load(data: str, target: str | None = None, task: str | None = None) -> Dataset:
    """Load a file, a folder or a built-in data set; the file is only ever read."""
    name = data.replace("-", "_")
    if name in builtin.SHIPPED:
        return builtin.load(name)
    close = get_close_matches(name, builtin.SHIPPED, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise InputError(
        f"{data}: no such file, folder or data set; by name there are "
        f"{', '.join(builtin.SHIPPED)}{hint}"
    )
