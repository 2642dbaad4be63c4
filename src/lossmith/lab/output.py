"""Files that commands write: refused before the work, whole after it. And what made them."""

from __future__ import annotations

import os
import platform
import re
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lossmith.errors import InputError

_STREAM = re.compile(r"/dev/(?:stdout|stderr|fd/\d+)|/proc/\w+/fd/\d+")


def make_room(path: Path) -> None:
    """Find out before the work, not after it, that a file cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = f"cannot make the folder {path.parent}: {error.strerror}"
        raise InputError(f"cannot write {path}: {why}") from None
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError(f"cannot write {path}: permission denied")


def need_folder(path: Path) -> None:
    """Find out before the work that the folder of a file is there; a wrong one is not made."""
    if not path.resolve().parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {path.parent}.")


def need_ours(path: Path, mark: str) -> None:
    """Refuse to replace a file whose name nobody gave, unless it begins like one of ours."""
    if not os.path.lexists(path):
        return
    try:
        with path.open("rb") as file:
            start = file.read(4096) if path.is_file() else b""
    except OSError as error:
        raise InputError(f"cannot read {path}, to see whose it is: {error.strerror}") from None
    if mark.encode() not in start:
        raise InputError(
            f"{path} is there and was not made by Lossmith: move it away, or name another place"
        )


def need_apart(made: Mapping[str, Path | None], read: Mapping[str, Path | None]) -> None:
    """Refuse two outputs in one file, and an output in place of what is read."""
    given = [(what, path) for what, path in (*made.items(), *read.items()) if path is not None]
    for place, (what, path) in enumerate(given[: sum(p is not None for p in made.values())]):
        for other, taken in given[place + 1 :]:
            if _same(path, taken):
                raise InputError(f"{what} would write over {other}, {taken}: name another file")


def _same(one: Path, two: Path) -> bool:
    try:
        return one.resolve() == two.resolve() or one.samefile(two)
    except (OSError, RuntimeError):  # one of them is not there
        return False


def special(path: Path) -> bool:
    """Whether this is a device, a pipe or an open stream: written to, never replaced."""
    return path.exists() and (
        not path.is_file() or _STREAM.fullmatch(str(path.absolute())) is not None
    )


def write(path: Path, text: str | bytes, sync: bool = False) -> None:
    """Write beside the place and then move, so that no file is ever half old and half new."""
    data = text if isinstance(text, bytes) else text.encode(errors="backslashreplace")
    try:
        if special(path):
            with path.open("ab") as file:
                file.write(data)
            return
        place = path.resolve()  # a link stays one
        draft = place.with_name(f".{place.name}.{secrets.token_hex(8)}.part")
        with draft.open("xb") as file:  # a new one: what lies there already is another's
            try:
                file.write(data)
                file.flush()
                if sync:
                    os.fsync(file.fileno())
                draft.replace(place)
            except BaseException:
                with suppress(OSError):
                    draft.unlink()
                raise
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        why = getattr(error, "strerror", None) or error
        raise InputError(f"cannot write {path}: {why}") from None


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
