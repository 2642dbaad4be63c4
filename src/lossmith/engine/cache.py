"""Where compiled kernels live between processes, and how little can go wrong with that.

Objects from here are executed, so they are read only from a folder and from files that nobody else
may write to (folder.py), and carry a checksum over their name and content: what is damaged, cut
off or put under another name counts as missing. All that costs a compilation and one warning.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import time
import warnings
from functools import cache
from pathlib import Path

from lossmith.engine.folder import DRAFT, Entry, Folder, opened
from lossmith.errors import CacheWarning

ENVIRONMENT = "LOSSMITH_CACHE_DIR"
LIMIT = "LOSSMITH_CACHE_MIB"
MIB = 256  # of the cache, unless the environment says otherwise; a kernel takes about 0.1
_LARGEST = 64 << 20  # no file that we write comes near it
PREFIX = "lossmith-"  # of every name that is ours, for only those are ever removed
_OURS = re.compile(
    rf"{re.escape(DRAFT)}[0-9a-f]{{16}}|{PREFIX}[0-9a-f]{{32}}(-[0-9a-f]{{16}})?\.(o|py|key)"
)
_HOUR, _DAY = 3600.0, 86400.0
_warned: set[str] = set()


def directory() -> Path:
    """$LOSSMITH_CACHE_DIR, or the user's cache directory."""
    given = os.environ.get(ENVIRONMENT)
    if given:
        return Path(os.path.expanduser(given))
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("lossmith", appauthor=False))


@cache
def fingerprint() -> str:
    """A hash of every file that decides what a kernel's text looks like."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for folder in ("formula", "link", "engine"):
        for path in sorted((package / folder).rglob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def read(name: str) -> bytes | None:
    """The stored bytes, or None if there are none that can be trusted."""
    path = directory()
    try:
        with opened(path) as folder:
            path = path / name
            raw, written = folder.read(name, _LARGEST)
            if time.time() - written > _DAY:
                folder.used(name)  # what is used stays, when there is no room for all
    except FileNotFoundError:
        return None
    except OSError as err:
        _warn(f"{path} cannot be used ({_why(err)})")
        return None
    checksum, _, content = raw.partition(b"\n")
    if checksum != _checksum(name, content):
        _warn(f"{path} is damaged")
        return None
    return content


def write(name: str, content: bytes, *, checksum: bool = True) -> None:
    """Store bytes in one step; a directory that cannot be written is only worth a warning."""
    path = directory()
    if checksum:
        content = _checksum(name, content) + b"\n" + content
    try:
        if path.parts[:1] and path.parts[0].startswith("~"):
            raise OSError(f"nobody's home is {path.parts[0]}")  # and no folder is called that
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with opened(path) as folder:
            folder.write(name, content)
            _make_room(folder)
    except OSError as err:
        _warn(f"cannot write to {path} ({_why(err)})")


def _checksum(name: str, content: bytes) -> bytes:
    """Of the name, too: an object is good for nothing but what it was made for."""
    return hashlib.sha256(name.encode() + b"\0" + content).hexdigest().encode()


def _make_room(folder: Folder) -> None:
    """Remove what was not used for longest, of our own files alone, until the rest fits."""
    ours = [entry for entry in folder.entries() if _OURS.fullmatch(entry.name)]
    now, total = time.time(), 0
    for entry in sorted(ours, key=lambda entry: entry.used, reverse=True):
        if entry.name.startswith(DRAFT):
            if now - entry.used > _HOUR:  # by a process that was killed
                folder.remove(entry.name)
            continue
        total += _taken(entry)
        if total > _limit():
            folder.remove(entry.name)


def _taken(entry: Entry) -> int:
    return -(-entry.size // 4096) * 4096  # a file takes whole blocks


def _limit() -> int:
    try:
        return int(os.environ.get(LIMIT, MIB)) << 20
    except ValueError:
        return MIB << 20


def _why(err: OSError) -> str:
    if err.errno == errno.ELOOP:
        return "it is a link"
    return err.strerror or str(err)


def _warn(problem: str) -> None:
    place = str(directory())
    if place not in _warned:  # the first problem of a folder stands for all
        _warned.add(place)
        warnings.warn(
            f"Lossmith's kernel cache: {problem}. Results are not affected; kernels are compiled "
            f"again in each process. Set {ENVIRONMENT} to a directory that you own and may write "
            "to, and nobody else.",
            CacheWarning,
            stacklevel=3,
        )
