"""The run as plain data, for `--json`, and what it ran on."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lossmith.lab.bench import weather
from lossmith.lab.bench.launches import Launches
from lossmith.lab.bench.result import Result
from lossmith.lab.bench.settings import Settings

LEGEND = "; ≥ counts how many times as fast as the other, ≤ how many times as long, or plain time."
COUNTED = (
    "Value and gradient on tensors without numbers (meta, float32; 2²⁰ elements, or 8192 rows of "
    "1000 classes), which the reference engine serves: operations that reach a device, and the "
    "most memory held at once beyond what the caller has. Targets: 1.5 times the operations and "
    "1.1 times the memory of torch's own loss, or no more than a careful composition by hand."
)
PACKAGES = ("lossmith", "torch", "numba", "llvmlite", "numpy")


def environment(settings: Settings) -> dict[str, Any]:
    """Device, versions, threads, date."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "device": processor(),
        "threads": settings.threads,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{package: _version(package) for package in PACKAGES},
    }


def processor(listing: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name."""
    try:
        for line in listing.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        if package == "lossmith":
            import lossmith

            return f"{lossmith.__version__} (not installed)"
        return "not installed as a package"


def about(found: dict[str, Any]) -> str:
    """The sentence over the table."""
    return (
        f"{found['date']}, {found['device']}, {found['threads']} threads, {found['system']}, "
        f"Python {found['python']}, torch {found['torch']}, Numba {found['numba']}, Lossmith "
        f"{found['lossmith']}. float32, value and gradient{LEGEND} "
        + weather.warning(found.get("others"))
    ).strip()


def counted() -> str:
    """The sentence over the table of what is launched."""
    return f"{COUNTED} Counted with torch {_version('torch')}."


def as_data(
    results: Sequence[Result],
    settings: Settings,
    found: dict[str, Any],
    seconds: float,
    counts: Sequence[Launches] = (),
) -> dict[str, Any]:
    """Everything that was measured."""
    return {
        "format": 1,
        "settings": asdict(settings) | {"rows": list(settings.rows)},
        "environment": found,
        "seconds": round(seconds, 1),
        "results": [asdict(result) | {"met": result.met} for result in results],
    } | ({"reference": [asdict(c) | {"met": c.met} for c in counts]} if counts else {})


def as_text(data: dict[str, Any]) -> str:
    """The data as JSON."""
    return json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
