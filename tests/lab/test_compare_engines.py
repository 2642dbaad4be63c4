"""The same trials over a cluster, with a person's own model, and with more inner folds."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.compare_tools import SMALL, call, numbers, repeatable

WORDS = ["wine", *SMALL, "--outliers", "0", "--losses", "ramp"]
MODULE = """
from torch import nn

class Scores(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.head = nn.Linear(inputs, outputs)
    def forward(self, rows):
        return self.head(rows.flatten(1))

def deep(shape, outputs):
    width = 16
    return nn.Sequential(
        nn.Linear(shape[0], width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, outputs)
    )

def plain(shape, outputs):
    return Scores(shape[0], outputs)

def wrong(shape, outputs):
    return nn.Linear(shape[0], outputs + 1)

def deaf(shape, outputs):
    return nn.Linear(shape[0] + 1, outputs)

def pair(shape, outputs):
    return nn.LSTM(shape[0], outputs)

def broken(shape, outputs):
    raise KeyError("width")

def text(shape, outputs):
    return "a network"

number = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module of a person's own in the folder where the command is run."""
    name = "a_model_of_mine"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_gives_the_same_digits_with_a_persons_own_model(
    module: str, tmp_path: Path
) -> None:
    """Real worker processes, to which neither the model nor the losses can be sent."""
    distributed = pytest.importorskip("distributed")
    words = [*WORDS, "--model", f"{module}:deep", "--epochs", "8", "--learning-rates", "0.03"]
    words += ["--losses", "cross_entropy:center=0.01"]
    alone = numbers(tmp_path, *words, "--jobs", "1")
    for row in alone["conditions"][0]["rows"]:
        assert row["metrics"]["accuracy"]["mean"] > 0.9  # two in five is the largest class
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address
        spread = numbers(tmp_path, *words, "--fresh", "--backend", "dask", "--cluster", address)
    assert repeatable(spread) == repeatable(alone)
    # Another text of the module is another comparison.
    (tmp_path / f"{module}.py").write_text(MODULE + "\n")
    result = call(*words, "--output", str(tmp_path / "page.html"))
    assert result.exit_code == 2
    assert "own model was" in result.stderr


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_ray_gives_the_same_digits(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    alone = numbers(tmp_path, *WORDS, "--jobs", "1")
    spread = numbers(tmp_path, *WORDS, "--fresh", "--backend", "ray", "--jobs", "2")
    assert repeatable(spread) == repeatable(alone)


def test_a_model_without_features_takes_no_center_loss(module: str, tmp_path: Path) -> None:
    words = [*WORDS, "--model", f"{module}:plain", "--epochs", "8"]
    found = numbers(tmp_path, *words)
    assert found["conditions"][0]["rows"][0]["metrics"]["accuracy"]["mean"] > 0.8
    refused = call(*words, "--losses", "cross_entropy:center=0.01")
    assert refused.exit_code == 2
    assert "no hidden features" in refused.stderr


@pytest.mark.parametrize(
    ("factory", "says"),
    [
        ("wrong", "it must give (2, 3)"),
        ("deaf", "takes no rows of shape (13,)"),
        ("pair", "into tuple"),
        ("broken", "raises KeyError"),
        ("text", "gave str"),
        ("number", "not callable"),
        ("nothing", "nothing"),
    ],
)
def test_a_model_that_cannot_be_used_is_one_line(factory: str, says: str, module: str) -> None:
    result = call("wine", "--model", f"{module}:{factory}")
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert says in result.stderr


def test_the_rate_is_picked_by_the_mean_over_the_inner_folds(tmp_path: Path) -> None:
    """A rate that does nothing and one that learns: each split trains both, and the mean picks."""
    words = [*WORDS, "--learning-rates", "1e-9,0.02", "--epochs", "6"]
    one = numbers(tmp_path, *words)
    two = numbers(tmp_path, *words, "--inner-folds", "2", "--fresh")
    assert two["settings"]["inner_folds"] == 2
    assert "--inner-folds 2" in two["command"]
    for single, double in zip(one["trials"], two["trials"], strict=True):
        assert double["learning_rate"] == 0.02
        assert [step["rate"] for step in double["tuning"]] == [1e-9, 0.02]
        # The first split is the same; it alone gives the model that is judged.
        assert double["metrics"] == single["metrics"]
    means = [
        [step["score"] for trial in run["trials"] for step in trial["tuning"]] for run in (one, two)
    ]
    assert means[0] != means[1]
