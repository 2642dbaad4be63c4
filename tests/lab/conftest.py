"""One report for all tests that read or open it."""

from pathlib import Path

import pytest

from lab.compare_tools import SMALL, numbers

LOSSES = "focal:gamma=0.5,generalized_cross_entropy,hinge,ramp,perceptron,logistic,savage,brier"
OWN = """
import torch

def endless(scores, target):
    return torch.exp(scores.abs().sum() * 1e30)
"""


@pytest.fixture(scope="session")
def report_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`page.html` and `numbers.json` of a comparison with two conditions; one loss diverges."""
    made = tmp_path_factory.mktemp("report")
    (made / "own.py").write_text(OWN)
    numbers(
        made, "iris", *SMALL, "--losses", f"{LOSSES},endless", "--losses-from", str(made / "own.py")
    )
    return made
