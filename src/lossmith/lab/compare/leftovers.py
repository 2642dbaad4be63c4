"""What an earlier run left in a folder, and the only place where `compare` removes anything.

The folder may hold other people's files. What a manifest of ours names is ours: files of trials and
folders of lent data, by names that only we write and that cannot lead out of the folder. Links and
whatever else bears such a name stay where they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lossmith.errors import InputError

SCRATCH = "lossmith-data-"  # folders that hold the data while processes share them
DATA = "data"  # the one file in such a folder
_TRIAL = r"[a-z_]+(?:=[0-9.e+-]+)?-r\d+-f\d+-l\d+"
_DRAFT = re.compile(rf"\.({_TRIAL})\.json\.[0-9a-f]{{16}}\.part")
_LENT = rf"{SCRATCH}[0-9a-f]{{16}}"
_SAID = {"settings", "data", "task", "environment", "code"}  # by every manifest of ours
NAMED = ("trials", "lent")  # what a manifest says beyond what is compared


def manifest(path: Path) -> dict[str, Any] | None:
    """The manifest that an earlier run wrote; None where there is none."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise InputError(f"{path} is no file of a comparison: move it away, or name another folder")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not found.keys() >= _SAID:
        raise InputError(
            f"{path} was not written by lossmith compare, or is damaged, so nothing in the folder "
            "is touched: move it away, or name another --output"
        )
    return found


def drop_trials(folder: Path, before: dict[str, Any]) -> None:
    """Remove the finished trials that a manifest names."""
    for name in _names(before, "trials", _TRIAL):
        _drop(folder / f"{name}.json")


def drop_rest(folder: Path, before: dict[str, Any]) -> None:
    """Remove what a killed run was about to write or had lent to its processes."""
    for name in _names(before, "lent", _LENT):
        take_back(folder / name)
    trials = set(_names(before, "trials", _TRIAL))
    with suppress(OSError):
        for path in (folder / "trials").iterdir():
            draft = _DRAFT.fullmatch(path.name)
            if draft and draft[1] in trials:
                _drop(path)


def take_back(lent: Path) -> None:
    """Remove a folder of lent data with the one file that we put there, unless there is more."""
    if lent.is_dir() and not lent.is_symlink():
        _drop(lent / DATA)
        with suppress(OSError):  # not empty
            lent.rmdir()


def _names(before: dict[str, Any], what: str, form: str) -> Iterable[str]:
    listed = before.get(what)
    for name in listed if isinstance(listed, list) else ():
        if isinstance(name, str) and re.fullmatch(form, name):
            yield name


def _drop(path: Path) -> None:
    if path.is_file() and not path.is_symlink():
        with suppress(OSError):
            path.unlink()
