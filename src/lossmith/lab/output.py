"""Files that commands write: refused before the work, whole after it. And what made them."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lossmith.errors import InputError


def make_room(path: Path) -> None:
    """Find out before the work, not after it, that a file cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {path.parent}: {error.strerror}") from None
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError(f"cannot write {path}: permission denied")


def need_folder(path: Path) -> None:
    """Find out before the work that the folder of a file is there; a wrong one is not made."""
    if not path.resolve().parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {path.parent}.")


def write(path: Path, text: str, sync: bool = False) -> None:
    """Write beside the place and then move, so that no file is ever half old and half new."""
    draft = path.with_name(f".{path.name}.part")
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


def provenance(packages: Iterable[str], piece: str) -> dict[str, str]:
    """The versions and the machine, which digits depend on; one thread per `piece` of work."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed as a package"
    found["machine"] = f"{platform.system()} {platform.machine()}, one thread per {piece}"
    return found
