"""`lossmith compare` as a person meets it: output, files, repeatability, errors."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from lossmith.lab.cli import main

SHORT = ["compare", "--seeds", "2", "--epochs", "2"]


def call(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def numbers(folder: Path, *words: str) -> dict[str, Any]:
    file = folder / "numbers.json"
    result = call(*words, "--output", str(folder / "page.html"), "--json", str(file))
    assert result.exit_code == 0, result.output
    found = json.loads(file.read_text())
    assert isinstance(found, dict)
    return found


def repeatable(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != "seconds"}


def test_the_same_command_gives_the_same_digits(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    first = numbers(tmp_path, *SHORT)
    torch.manual_seed(12345)
    torch.set_num_threads(2)
    try:
        state = torch.get_rng_state()
        second = numbers(tmp_path, *SHORT)
        assert torch.equal(torch.get_rng_state(), state)  # the caller's own is left alone
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert repeatable(first) == repeatable(second)
    assert [run["label_noise"] for run in first["runs"]] == [0.0] * 12 + [0.4] * 12
    other = numbers(tmp_path, *SHORT, "--seed", "7")
    assert other["runs"][0]["accuracy"] != first["runs"][0]["accuracy"]


def test_the_command_on_the_page_is_the_command_that_ran(tmp_path: Path) -> None:
    first = numbers(tmp_path, "compare", "iris", "--epochs", "3", "--losses", "ramp:s=-0.5")
    program, *words = first["command"].split()
    assert program == "lossmith"
    assert repeatable(numbers(tmp_path, *words)) == repeatable(first)


def test_tables_go_to_stdout_and_progress_to_stderr(tmp_path: Path) -> None:
    result = call(*SHORT, "--label-noise", "0.25", "--output", str(tmp_path / "page.html"))
    assert "25 % of the training labels wrong" in result.stdout
    for name in (
        "Cross-entropy",
        "Cross-entropy (center = 0.01)",
        "Focal (gamma = 2)",
        "Hinge",
        "Ramp (s = −1)",
        "baseline",
    ):
        assert name in result.stdout
    assert "\x1b" not in result.output
    assert "12 runs" in result.stderr
    assert "page.html" in result.stderr


def test_it_learns(tmp_path: Path) -> None:
    found = numbers(
        tmp_path, "compare", "--seeds", "1", "--epochs", "10", "--losses", "ramp", "--label-noise=0"
    )
    for row in found["conditions"][0]["rows"]:
        assert row["accuracy"]["mean"] > 0.93
        assert row["accuracy"]["low"] is None


def test_a_loss_that_diverges_is_a_row_that_says_so(tmp_path: Path) -> None:
    words = ["compare", "iris", "--seeds", "2", "--epochs", "4", "--learning-rate", "100"]
    found = numbers(tmp_path, *words, "--losses", "exponential", "--label-noise", "0")
    baseline, exponential = found["conditions"][0]["rows"]
    assert baseline["diverged_at_seeds"] == []
    assert exponential["diverged_at_seeds"] == [0, 1]
    assert exponential["accuracy"] is None
    assert "diverged at seeds 0, 1" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--losses", "focl"], "focl"),
        (["--losses", "focal:gama=2"], "gama"),
        (["--losses", "focal:gamma=x"], "gamma"),
        (["--losses", "l2"], "residual"),
        (["--label-noise", "1"], "below 1"),
        (["--label-noise", "-0.1"], "at least 0"),
        (["--label-noise", "nan"], "at least 0"),
        (["--label-noise", "some"], "some"),
        (["--label-noise", "0.4", "--label-noise", "0.4"], "twice"),
        (["--seeds", "0"], "--seeds"),
        (["--epochs", "0"], "--epochs"),
        (["--seed", "-1"], "--seed"),
        (["--learning-rate", "0"], "--learning-rate"),
        (["digit"], "did you mean digits"),
        (["--no-such-option"], "--no-such-option"),
        (["--output", "pyproject.toml/page.html"], "pyproject.toml"),
    ],
)
def test_a_wrong_argument_is_one_line_and_exit_code_2(words: list[str], says: str) -> None:
    result = call("compare", *words)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("lossmith: ")
    assert result.stderr.count("\n") == 1
    assert says in result.stderr
