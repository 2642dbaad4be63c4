"""Every example runs to its end in a process of its own, is short, and does what it promises."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from house.tree import ROOT
from patience import HANG

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
LINES = 60
NUMBER = r"(\d[\d.]*(?:e[-+]\d+)?)"
WRITES = {"compare_losses.py": "compare.html", "own_loss.py": "own_loss.png"}


def off_little_and_much(said: str) -> None:
    right, wrong = map(float, re.findall(rf"off one big batch by {NUMBER}", said))
    assert right < 1e-5
    assert wrong > 0.1


def same_as_one_process(said: str) -> None:
    (off,) = re.findall(rf"on 128 tokens; off one process by {NUMBER}", said)
    assert float(off) < 1e-5


def closer_together(said: str) -> None:
    without, with_center = map(float, re.findall(rf"inside classes {NUMBER}, the same", said))
    assert with_center < 0.8 * without


def robust_losses_end_near_the_truth(said: str) -> None:
    errors = {line.split()[0]: float(line.split()[-1]) for line in said.splitlines()}
    assert errors["Root"] < errors["Huber"] < errors["L2"] / 2


def compares(said: str) -> None:
    assert "Binary cross-entropy" in said
    assert "behind the best" in said  # how far at most: the verdict
    assert said.count("accuracy") >= 4


PROMISES: dict[str, Callable[[str], None]] = {
    "center_loss_ddp.py": closer_together,
    "compare_losses.py": compares,
    "ddp_uneven_tokens.py": same_as_one_process,
    "gradient_accumulation.py": off_little_and_much,
    "own_loss.py": robust_losses_end_near_the_truth,
}


def test_there_are_examples() -> None:
    assert {path.name for path in EXAMPLES} >= {*PROMISES, *WRITES}


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_keeps_its_promise(path: Path, tmp_path: Path) -> None:
    """Run in an empty folder, with every warning an error."""
    assert len(path.read_text(encoding="utf-8").splitlines()) < LINES
    paths = [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    where = os.pathsep.join(filter(None, paths))
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": where, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=HANG, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    if path.name in WRITES:
        assert (tmp_path / WRITES[path.name]).stat().st_size > 10_000
    if path.name in PROMISES:
        PROMISES[path.name](done.stdout)
