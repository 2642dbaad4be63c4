"""Small comparisons for the tests of `lossmith compare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from lossmith.lab.cli import main

SMALL = ["--repeats", "1", "--folds", "3", "--epochs", "3", "--learning-rates", "0.01"]


def call(*words: str) -> Result:
    return CliRunner().invoke(main, ["compare", *words])


def numbers(folder: Path, *words: str, name: str = "page.html") -> dict[str, Any]:
    file = folder / "numbers.json"
    jobs = [] if "--jobs" in words or "--backend" in words else ["--jobs", "1"]
    result = call(*words, "--output", str(folder / name), "--json", str(file), *jobs)
    assert result.exit_code == 0, (result.output, result.exception)
    found = json.loads(file.read_text())
    assert isinstance(found, dict)
    return found


def repeatable(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != "seconds"}
