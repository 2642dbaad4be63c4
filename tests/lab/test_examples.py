"""Every example runs from start to end, is short, and does what its first line says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from house.tree import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
LINES = 60
WRITES = {"compare_losses.py": "compare.html", "own_loss.py": "own_loss.png"}


def run(path: Path, folder: Path) -> str:
    """Run an example in a folder of its own, with every warning an error; what it prints."""
    paths = [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    found = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs(path: Path, tmp_path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < LINES
    said = run(path, tmp_path)
    if path.name in WRITES:
        assert (tmp_path / WRITES[path.name]).stat().st_size > 10_000
    if path.name == "own_loss.py":  # what it is for: robust losses end near the truth
        errors = {line.split()[0]: float(line.split()[-1]) for line in said.splitlines()}
        assert errors["Root"] < errors["Huber"] < errors["L2"] / 2
    if path.name == "compare_losses.py":
        assert "baseline" in said
        assert said.count("accuracy") >= 4


def test_there_are_examples() -> None:
    assert {*WRITES} <= {path.name for path in EXAMPLES}
