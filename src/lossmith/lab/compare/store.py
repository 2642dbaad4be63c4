"""Finished trials on the disk, so that a comparison that was killed goes on where it was.

The folder may hold other people's files, too. What `manifest.json` names is ours, and only that is
ever removed or written over: the trials of this comparison and the data lent to its processes.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

import lossmith
from lossmith.engine.folder import closed
from lossmith.errors import InputError
from lossmith.lab.compare import leftovers, models
from lossmith.lab.compare.kept import packed, unpacked
from lossmith.lab.compare.plan import Plan
from lossmith.lab.compare.record import PACKAGES
from lossmith.lab.output import make_room, provenance, write

MANIFEST = "manifest.json"
LOCK = "lock"
# Of the laboratory, the files that a trial passes through. Those that only tell of it are not here,
# nor those that read data, whose result has a fingerprint of its own.
DECIDING = (
    *("compare/candidates", "compare/conditions", "compare/criterion", "compare/cuts"),
    *("compare/folds", "compare/goals", "compare/influence", "compare/kept", "compare/metrics"),
    *("compare/models", "compare/owned", "compare/robust", "compare/settings", "compare/spoil"),
    *(
        "compare/train",
        "compare/trial",
        "compare/tuning",
        "data/dataset",
        "data/files",
        "data/prepare",
    ),
)


class Store:
    """A folder: what is compared in `manifest.json`, and a file for every finished trial."""

    def __init__(self, folder: Path, manifest: dict[str, Any], keys: Collection[str]) -> None:
        self.folder, self.manifest, self.keys = folder, manifest, keys
        self.trials = folder / "trials"
        self._lent: list[str] = []
        self._mark = short_name(manifest)  # stands in every trial: one of another does not count

    @contextmanager
    def opened(self, fresh: bool) -> Iterator[None]:
        """Hold the folder alone, and make sure that what lies in it belongs to this comparison."""
        make_room(self.folder / LOCK)
        lock = FileLock(self.folder / LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise InputError(
                f"another comparison is writing to {self.folder}: wait for it, or name another "
                "--output"
            ) from None
        except OSError as error:
            raise InputError(f"cannot lock {self.folder / LOCK}: {error.strerror}") from None
        try:
            self._settle(fresh)
            yield
        finally:
            lock.release()

    def load(self) -> dict[str, dict[str, Any]]:
        """The finished trials by name. What is not whole, or of another comparison, is none."""
        found = {}
        for key in self.keys:
            path = self.trials / f"{key}.json"
            if path.is_symlink() or (path.exists() and not path.is_file()):
                raise InputError(
                    f"{path} is no file of a comparison: move it away, or name another --output"
                )
            with suppress(OSError, ValueError, RecursionError):
                kept = json.loads(path.read_text(encoding="utf-8"))
                if isinstance(kept, dict) and kept.get("of") == f"{self._mark} {key}":
                    found[key] = _whole(kept["result"])
        return found

    def save(self, key: str, result: dict[str, Any]) -> None:
        """Put a finished trial on the disk, whole or not at all."""
        rows = {"rows": packed(result["rows"])} if "rows" in result else {}
        kept = {"of": f"{self._mark} {key}", "result": {**result, **rows}}
        write(self.trials / f"{key}.json", json.dumps(kept, allow_nan=False), sync=True)

    @contextmanager
    def lent(self) -> Iterator[Path]:
        """A folder for the data that processes share, in the manifest before it is there.

        The processes unpickle the data, which can run code: where others may write to the folder,
        and so could put their own in its place, it is lent from the system's temporary files.
        """
        if not closed(self.folder):
            with tempfile.TemporaryDirectory(prefix=leftovers.SCRATCH) as other:
                yield Path(other)
            return
        name = f"{leftovers.SCRATCH}{secrets.token_hex(8)}"
        place = self.folder / name
        self._lent.append(name)
        self._write()
        try:
            place.mkdir(mode=0o700)
            yield place
        finally:
            leftovers.take_back(place)
            self._lent.remove(name)
            with suppress(InputError):  # the folder may be gone; the trials are what counts
                self._write()

    def _settle(self, fresh: bool) -> None:
        if self.trials.is_symlink() or (self.trials.exists() and not self.trials.is_dir()):
            raise InputError(
                f"{self.trials} is no folder of a comparison: move it away, or name another "
                "--output"
            )
        before = leftovers.manifest(self.folder / MANIFEST)
        if before is not None:
            compared = {k: v for k, v in before.items() if k not in leftovers.NAMED}
            changed = _differences(compared, json.loads(json.dumps(self.manifest)))
            if changed and not fresh:
                raise InputError(
                    f"{self.folder} holds another comparison ({'; '.join(changed)}): "
                    "--fresh discards it, or name another --output"
                )
            if fresh:
                leftovers.drop_trials(self.trials, before)
            leftovers.drop_rest(self.folder, before)
        elif self.trials.exists() and any(self.trials.iterdir()):
            raise InputError(
                f"{self.folder} has trials but no {MANIFEST} that says whose: move them away, or "
                "name another --output"
            )
        try:
            self.trials.mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make {self.trials}: {error.strerror}") from None
        self._write()

    def _write(self) -> None:
        named = {"trials": list(self.keys), "lent": self._lent}
        whole = json.dumps({**self.manifest, **named}, indent=1)
        write(self.folder / MANIFEST, whole, sync=True)


def _whole(result: dict[str, Any]) -> dict[str, Any]:
    return {**result, "rows": unpacked(result["rows"])} if "rows" in result else result


def manifest(plan: Plan) -> dict[str, Any]:
    """Everything that decides the digits."""
    own = models.text_of(plan.work.settings.model)
    return {
        "settings": asdict(plan.work.settings),
        "data": plan.dataset.fingerprint,
        "task": plan.dataset.task,
        "own losses": _hash(plan.work.own.encode()) if plan.work.own else None,
        "own model": _hash(own.encode()) if own is not None else None,
        "decided by": dict(plan.work.metrics),
        "environment": provenance(PACKAGES, "trial"),
        "code": _code(),
    }


def short_name(made: dict[str, Any]) -> str:
    """A name for the folder of this very comparison."""
    return _hash(json.dumps(made, sort_keys=True).encode())[:12]


def _code() -> str:
    """A hash of the source that decides the digits: other trainings are of another comparison."""
    home = Path(lossmith.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(home.rglob("*.py")):
        parts = path.relative_to(home).parts
        if parts[0] == "lab":
            deciding = "/".join(parts[1:]).removesuffix(".py") in DECIDING
        else:
            deciding = parts[0] != "adapters"
        if deciding:
            digest.update("/".join(parts).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _differences(before: Any, now: Any, name: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        found = []
        for key in {**before, **now}:
            found += _differences(before.get(key), now.get(key), f"{name}{key} ")
        return found
    if before == now:
        return []
    return [f"{name.removeprefix('settings ').strip()} was {_say(before)} and is {_say(now)}"]


def _say(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
