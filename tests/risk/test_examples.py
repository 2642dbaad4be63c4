"""Every example runs to its end in a process of its own, is short, and prints what it promises."""

import os
import re
import subprocess
import sys

import pytest

from house.tree import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
LIMIT = 100  # seconds on a busy machine; alone each takes a tenth
NUMBER = r"(\d[\d.]*(?:e[-+]\d+)?)"


def off_little_and_much(output):
    right, wrong = map(float, re.findall(rf"off one big batch by {NUMBER}", output))
    assert right < 1e-5
    assert wrong > 0.1


def same_as_one_process(output):
    (off,) = re.findall(rf"on 128 tokens; off one process by {NUMBER}", output)
    assert float(off) < 1e-5


def closer_together(output):
    without, with_center = map(float, re.findall(rf"inside classes {NUMBER}, the same", output))
    assert with_center < 0.8 * without


PROMISES = {
    "gradient_accumulation.py": off_little_and_much,
    "ddp_uneven_tokens.py": same_as_one_process,
    "center_loss_ddp.py": closer_together,
}


def test_there_are_examples():
    assert {path.name for path in EXAMPLES} >= PROMISES.keys()


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_keeps_its_promise(path, tmp_path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < 60
    where = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:lossmith", path],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": where, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    PROMISES.get(path.name, str)(done.stdout)
