"""Finished trials on the disk, so that a comparison that was killed goes on where it was."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

import lossmith
from lossmith.errors import InputError
from lossmith.lab.compare import models
from lossmith.lab.compare.jobs import SCRATCH
from lossmith.lab.compare.plan import Plan
from lossmith.lab.compare.record import PACKAGES
from lossmith.lab.output import make_room, provenance, write

MANIFEST = "manifest.json"
LOCK = "lock"
# Of the laboratory, the files that a trial passes through. Those that only tell of it are not here,
# nor those that read data, whose result has a fingerprint of its own.
DECIDING = (
    *("compare/candidates", "compare/conditions", "compare/criterion", "compare/folds"),
    *("compare/metrics", "compare/models", "compare/owned", "compare/settings", "compare/spoil"),
    *("compare/train", "compare/trial", "data/dataset", "data/files", "data/prepare"),
)


class Store:
    """A folder: what is compared in `manifest.json`, and a file for every finished trial."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder, self.manifest = folder, manifest
        self.trials = folder / "trials"

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
        try:
            self._settle(fresh)
            yield
        finally:
            lock.release()

    def load(self) -> dict[str, dict[str, Any]]:
        """The finished trials by name. A file that cannot be read is as good as none."""
        found = {}
        for path in sorted(self.trials.glob("*.json")):
            with suppress(OSError, ValueError):
                result = json.loads(path.read_text(encoding="utf-8"))
                if isinstance(result, dict) and "status" in result:
                    found[path.stem] = result
        return found

    def save(self, key: str, result: dict[str, Any]) -> None:
        """Put a finished trial on the disk, whole or not at all."""
        write(self.trials / f"{key}.json", json.dumps(result, allow_nan=False), sync=True)

    def _settle(self, fresh: bool) -> None:
        path = self.folder / MANIFEST
        if fresh:
            with suppress(FileNotFoundError):
                path.unlink()
            shutil.rmtree(self.trials, ignore_errors=True)
        if path.exists():
            try:
                before = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                raise InputError(f"{path} cannot be read: --fresh begins anew") from None
            changed = _differences(before, json.loads(json.dumps(self.manifest)))
            if changed:
                raise InputError(
                    f"{self.folder} holds another comparison ({'; '.join(changed)}): "
                    "--fresh discards it, or name another --output"
                )
        elif self.trials.exists() and any(self.trials.iterdir()):
            raise InputError(f"{self.folder} has trials but no {MANIFEST}: --fresh discards them")
        for left in self.folder.glob(f"{SCRATCH}*"):  # by a run that was killed
            shutil.rmtree(left, ignore_errors=True)
        self.trials.mkdir(exist_ok=True)
        write(path, json.dumps(self.manifest, indent=1), sync=True)


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
