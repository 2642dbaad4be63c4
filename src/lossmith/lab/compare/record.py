"""The comparison as plain data: for `--json`, and inside the page."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from math import isnan
from typing import Any

from lossmith.lab.compare.settings import Settings
from lossmith.lab.compare.statistics import Interval
from lossmith.lab.compare.summary import Condition, Row
from lossmith.lab.compare.train import Run
from lossmith.lab.compare.verdict import verdict

PACKAGES = ("lossmith", "torch", "numpy", "scipy", "scikit-learn", "statsmodels")


def as_data(
    settings: Settings, conditions: Sequence[Condition], runs: Sequence[Run], seconds: float
) -> dict[str, Any]:
    """Everything; whatever the clock decides stands under `seconds`, the rest is repeatable."""
    return {
        "format": 1,
        "command": settings.command(),
        "settings": asdict(settings),
        "environment": environment(),
        "conditions": [_condition(condition, settings) for condition in conditions],
        "runs": [{k: v for k, v in asdict(run).items() if k != "seconds"} for run in runs],
        "seconds": {
            "training_and_evaluation": round(seconds, 3),
            "runs": [round(run.seconds, 4) for run in runs],
        },
    }


def as_text(data: dict[str, Any]) -> str:
    """The data as JSON."""
    return json.dumps(data, indent=1, allow_nan=False) + "\n"


def environment() -> dict[str, str]:
    """The versions and the machine, which the digits depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed as a package"
    found["machine"] = f"{platform.system()} {platform.machine()}, one thread per run"
    return found


def _condition(condition: Condition, settings: Settings) -> dict[str, Any]:
    return {
        "label_noise": condition.label_noise,
        "best": list(condition.best),
        "verdict": verdict(condition, settings.seeds),
        "rows": [_row(row, condition) for row in condition.rows],
    }


def _row(row: Row, condition: Condition) -> dict[str, Any]:
    return {
        "loss": row.candidate.spec,
        "among_best": row.candidate.spec in condition.best,
        "diverged_at_seeds": list(row.diverged),
        "accuracy": _interval(row.accuracy),
        "difference_from_baseline": _interval(row.difference),
        "p_value_of_difference": row.p_value,
        "macro_f1": _interval(row.macro_f1),
        "log_loss": _interval(row.log_loss),
    }


def _interval(value: Interval | None) -> dict[str, float | None] | None:
    if value is None:
        return None
    if isnan(value.half_width):
        return {"mean": value.mean, "low": None, "high": None}
    return {"mean": value.mean, "low": value.low, "high": value.high}
