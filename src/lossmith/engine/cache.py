"""Where compiled kernels live between processes, and how little can go wrong with that.

Files are written beside their place and moved there in one step. What is read back must carry its
own checksum; anything missing, damaged or forbidden costs a compilation and at most one warning.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from functools import cache
from pathlib import Path

from lossmith.errors import CacheWarning

ENVIRONMENT = "LOSSMITH_CACHE_DIR"
_warned: set[str] = set()


def directory() -> Path:
    """$LOSSMITH_CACHE_DIR, or the user's cache directory."""
    given = os.environ.get(ENVIRONMENT)
    if given:
        return Path(given)
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("lossmith", appauthor=False))


@cache
def fingerprint() -> str:
    """A hash of every file that decides what a kernel looks like: no stale kernel survives them."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for folder in ("formula", "link", "engine"):
        for path in sorted((package / folder).rglob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def read(name: str) -> bytes | None:
    """The stored bytes, or None if there are none that can be trusted."""
    path = directory() / name
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as err:
        _warn(f"cannot read {path} ({err.strerror})")
        return None
    checksum, _, content = raw.partition(b"\n")
    if checksum != hashlib.sha256(content).hexdigest().encode():
        _warn(f"{path} is damaged")
        return None
    return content


def write(name: str, content: bytes, *, checksum: bool = True) -> None:
    """Store bytes in one step; a directory that cannot be written is only worth a warning."""
    folder = directory()
    if checksum:
        content = hashlib.sha256(content).hexdigest().encode() + b"\n" + content
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".writing-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(temporary, folder / name)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as err:
        _warn(f"cannot write to {folder} ({err.strerror or err})")


def _warn(problem: str) -> None:
    place = str(directory())
    if place not in _warned:  # the first problem of a folder stands for all
        _warned.add(place)
        warnings.warn(
            f"Lossmith's kernel cache: {problem}. Results are not affected; kernels are compiled "
            f"again in each process. Set {ENVIRONMENT} to a directory that can be written.",
            CacheWarning,
            stacklevel=3,
        )
