"""A folder that nobody else may write to, held open while it is used.

What lies in the kernel cache is executed, so it counts only where it cannot be anybody else's. A
path can lead elsewhere from one look to the next; an open handle cannot, so all goes by handles.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

# Windows has neither handles of folders nor owners that os.stat could tell; there a person's own
# folders are closed to others by the system, and files are reached by their paths.
_OWNERS = hasattr(os, "geteuid") and os.open in os.supports_dir_fd
_EXACT = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_NEVER_WAIT = getattr(os, "O_NONBLOCK", 0)  # a pipe without a writer is opened at once, and refused
DRAFT = ".writing-lossmith-"


class DistrustError(OSError):
    """It is there, and others may have put it there."""


class Entry(NamedTuple):
    """One file of a folder."""

    name: str
    used: float  # when it was written or last said to be used, in seconds
    size: int


class Folder:
    """The files of one folder, by their bare names; links are never followed."""

    def __init__(self, path: Path, handle: int | None) -> None:
        self.path, self._handle = path, handle

    def _at(self, name: str) -> str:
        return name if self._handle is not None else str(self.path / name)

    def read(self, name: str, most: int) -> tuple[bytes, float]:
        """The content of a regular file that only we may write to, and when it was written."""
        handle = os.open(self._at(name), os.O_RDONLY | _NEVER_WAIT | _EXACT, dir_fd=self._handle)
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise DistrustError("it is no regular file")
            _require_ours(status)
            if status.st_size > most:
                raise DistrustError(f"it is larger than {most >> 20} MiB")
            with open(handle, "rb", closefd=False) as file:
                return file.read(most), status.st_mtime
        finally:
            os.close(handle)

    def write(self, name: str, content: bytes) -> None:
        """Write beside the place and move it there, so that no file is ever half written."""
        draft = DRAFT + secrets.token_hex(8)
        new = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _EXACT
        handle = os.open(self._at(draft), new, 0o600, dir_fd=self._handle)
        try:
            with open(handle, "wb") as file:
                file.write(content)
            os.replace(
                self._at(draft), self._at(name), src_dir_fd=self._handle, dst_dir_fd=self._handle
            )
        except BaseException:
            self.remove(draft)
            raise

    def entries(self) -> list[Entry]:
        """Every regular file."""
        found = []
        for name in os.listdir(self.path if self._handle is None else self._handle):
            with suppress(OSError):  # another process may have removed it meanwhile
                status = os.stat(self._at(name), dir_fd=self._handle, follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    found.append(Entry(name, status.st_mtime, status.st_size))
        return found

    def used(self, name: str) -> None:
        """Note that a file was used now; one that may not be changed stays as it is."""
        with suppress(OSError):
            if self._handle is None:
                os.utime(self._at(name))
            else:
                os.utime(name, dir_fd=self._handle, follow_symlinks=False)

    def remove(self, name: str) -> None:
        """Remove one file, if it is there and may be removed."""
        with suppress(OSError):
            os.unlink(self._at(name), dir_fd=self._handle)


@contextmanager
def opened(path: Path) -> Iterator[Folder]:
    """Open a folder that is there, or say in an OSError why not."""
    if not _OWNERS:
        yield Folder(path, None)
        return
    link = os.lstat(path)
    if stat.S_ISLNK(link.st_mode) and link.st_uid not in _trusted():
        raise DistrustError("it is a link that belongs to another user")
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | _NEVER_WAIT)
    try:
        _require_ours(os.fstat(handle))
        yield Folder(path, handle)
    finally:
        os.close(handle)


def closed(path: Path) -> bool:
    """Whether nobody else may put anything in a folder of this path."""
    try:
        _require_ours(os.stat(path))
    except OSError:
        return False
    return True


def _trusted() -> tuple[int, int]:
    """Ourselves, and the superuser, who can do everything anyway."""
    return os.geteuid(), 0


def _require_ours(status: os.stat_result) -> None:
    if not _OWNERS:
        return
    if status.st_uid not in _trusted():
        raise DistrustError("it belongs to another user")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise DistrustError("others may write to it; chmod go-w, if nobody did")
