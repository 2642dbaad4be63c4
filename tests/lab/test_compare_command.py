"""`lossmith compare` as a person meets it: output, files, repeatability, errors."""

import shlex
from pathlib import Path

import pytest
import torch

from lab.compare_tools import SMALL, call, numbers, repeatable


def test_the_same_command_gives_the_same_digits(tmp_path: Path) -> None:
    words = ["iris", *SMALL, "--folds", "2", "--losses", "hinge", "--fresh"]
    threads = torch.get_num_threads()
    first = numbers(tmp_path, *words)
    torch.manual_seed(12345)
    torch.set_num_threads(2)
    try:
        state = torch.get_rng_state()
        second = numbers(tmp_path, *words)
        assert torch.equal(torch.get_rng_state(), state)  # the caller's own is left alone
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert repeatable(first) == repeatable(second)
    assert [t["condition"] for t in first["trials"]] == ["clean"] * 4 + ["label_noise=0.4"] * 4
    other = numbers(tmp_path, *words, "--seed", "7")
    assert other["trials"][0]["metrics"] != first["trials"][0]["metrics"]


def test_the_command_on_the_page_is_the_command_that_ran(tmp_path: Path) -> None:
    words = ["iris", *SMALL, "--losses", "ramp:s=-0.5", "--imbalance", "10", "--model", "linear"]
    first = numbers(tmp_path, *words)
    program, compare, *again = shlex.split(first["command"])
    assert (program, compare) == ("lossmith", "compare")
    assert repeatable(numbers(tmp_path, *again, "--fresh")) == repeatable(first)


def test_tables_go_to_stdout_and_progress_to_stderr(tmp_path: Path) -> None:
    words = ["iris", *SMALL, "--epochs", "1", "--label-noise", "0.25", "--jobs", "1"]
    result = call(*words, "--output", str(tmp_path / "page.html"))
    assert result.exit_code == 0, result.output
    assert "25 % of the training labels wrong" in result.stdout
    table = " ".join(result.stdout.split())
    for name in ("Cross-entropy", "Focal (gamma = 2)", "Hinge", "Ramp (s = −1)", "baseline"):
        assert name in table
    assert "\x1b" not in result.output
    assert "21 trials to run" in result.stderr
    assert "s to go" in result.stderr
    assert "page.html" in result.stderr


def test_the_verdict_in_chinese(tmp_path: Path) -> None:
    words = ["iris", *SMALL, "--outliers", "0", "--losses", "hinge", "--epochs", "1"]
    found = numbers(tmp_path, *words, "--language", "zh")
    (condition,) = found["conditions"]
    assert condition["verdict"] == condition["verdicts"]["zh"] != condition["verdicts"]["en"]
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert f'<p class="verdict" lang="zh">{condition["verdict"]}' in page
    english = numbers(tmp_path, *words)  # of the same trials
    assert english["conditions"][0]["verdicts"] == condition["verdicts"]
    assert english["trials"] == found["trials"]


@pytest.mark.parametrize(
    ("data", "model", "metric", "better_than"),
    [
        ("digits", "mlp", "accuracy", 0.9),
        ("digits", "linear", "accuracy", 0.9),
        ("digits", "cnn", "accuracy", 0.4),
        ("breast_cancer", "linear", "auc", 0.97),
    ],
)
def test_it_learns(data: str, model: str, metric: str, better_than: float, tmp_path: Path) -> None:
    words = [data, *SMALL, "--folds", "2", "--model", model, "--outliers", "0", "--losses", "hinge"]
    found = numbers(tmp_path, *words)
    for row in found["conditions"][0]["rows"]:
        assert row["metrics"][metric]["mean"] > better_than


def test_a_regression_beats_the_median_and_resists_outliers(tmp_path: Path) -> None:
    words = ["diabetes", *SMALL, "--epochs", "10", "--losses", "l1,tukey_biweight"]
    found = numbers(tmp_path, *words, "--model", "linear")
    clean, spoiled = found["conditions"]
    assert spoiled["key"] == "outliers=0.1"
    assert clean["metric"] == "mae"
    # The mean absolute deviation from the median is 65.5 on these data.
    for row in clean["rows"]:
        assert row["metrics"]["mae"]["mean"] < 52
    l2, l1, tukey = (row["metrics"]["mae"]["mean"] for row in spoiled["rows"])
    assert max(l1, tukey) < l2


def test_a_loss_that_diverges_is_a_row_that_says_so(tmp_path: Path) -> None:
    words = ["breast_cancer", *SMALL, "--learning-rates", "1000", "--losses", "exponential"]
    found = numbers(tmp_path, *words, "--outliers", "0.2")
    exponential = found["conditions"][0]["rows"][1]
    assert len(exponential["failed"]) == 3
    assert "not finite in epoch" in exponential["failed"][0]
    assert exponential["metrics"] == {}
    assert not exponential["among_best"]
    assert "diverged in 3 of 3 trials" in (tmp_path / "page.html").read_text()
    result = call(*words, "--outliers", "0.2", "--output", str(tmp_path / "page.html"))
    assert "diverged in 3 of 3 trials" in " ".join(result.stdout.split())


def test_a_persons_file_of_losses(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "def good(prediction, target):\n"
        "    return (prediction - target).abs().mean()\n"
        "def bad(prediction, target):\n"
        "    raise RuntimeError('nothing comes of it')\n"
    )
    words = ["diabetes", *SMALL, "--outliers", "0", "--losses-from", str(file)]
    found = numbers(tmp_path, *words, "--losses", "l1,good,bad")
    _, l1, good, bad = found["conditions"][0]["rows"]
    assert good["metrics"]["mae"]["mean"] == pytest.approx(l1["metrics"]["mae"]["mean"], rel=0.02)
    assert "nothing comes of it" in bad["failed"][0]


def test_the_same_loss_under_another_seed_is_a_candidate(tmp_path: Path) -> None:
    words = ["iris", *SMALL, "--outliers", "0", "--losses", "cross_entropy:seed=1"]
    found = numbers(tmp_path, *words)
    first, second = (row["metrics"]["log_loss"]["mean"] for row in found["conditions"][0]["rows"])
    assert first != second


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--losses", "focl"], "focl"),
        (["--losses", "focal:gama=2"], "gama"),
        (["--losses", "focal:gamma=x"], "gamma"),
        (["--losses", "l2"], "residual"),
        (["--losses", "focal:center=0.1", "--model", "linear"], "no hidden features"),
        (["--label-noise", "1"], "below 1"),
        (["--label-noise", "-0.1"], "at least 0"),
        (["--label-noise", "nan"], "at least 0"),
        (["--label-noise", "some"], "some"),
        (["--label-noise", "0.4", "--label-noise", "0.4"], "twice"),
        (["--imbalance", "0.5"], "at least 1"),
        (["diabetes", "--label-noise", "0.4"], "about classes"),
        (["--repeats", "0"], "--repeats"),
        (["--margin", "-1"], "--margin"),
        (["--margin", "nan"], "--margin"),
        (["--language", "fr"], "fr"),
        (["--folds", "1"], "--folds"),
        (["--folds", "500"], "500 folds"),
        (["--epochs", "0"], "--epochs"),
        (["--seed", "-1"], "--seed"),
        (["--learning-rates", "0"], "--learning-rates"),
        (["--learning-rates", "fast"], "--learning-rates"),
        (["--jobs", "-2"], "--jobs"),
        (["--cluster", "tcp://nowhere:1"], "--cluster"),
        (["--metric", "mae"], "there are accuracy"),
        (["--metric", "log_loss", "--losses", "hinge"], "hinge does not train"),
        (["--metric", "calibration_error"], "hinge does not train"),
        (["--goal", "best"], "--goal is mean, median, quantile:LEVEL"),
        (["--goal", "mean"], "whose goals are class, probability, ranking"),
        (["diabetes", "--goal", "quantile"], "such as quantile:0.9"),
        (["diabetes", "--goal", "expectile:1"], "between 0 and 1"),
        (["diabetes", "--goal", "mean:0.5"], "takes no level"),
        (["--model", "transformer"], "MODULE:FACTORY"),
        (["--model", "nowhere:net"], "nowhere"),
        (["wine", "--model", "cnn"], "images"),
        (["digit"], "did you mean digits"),
        (["--no-such-option"], "--no-such-option"),
        (["--output", "pyproject.toml/page.html"], "pyproject.toml"),
    ],
)
def test_a_wrong_argument_is_one_line_and_exit_code_2(words: list[str], says: str) -> None:
    result = call(*words)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("lossmith: ")
    assert result.stderr.count("\n") == 1
    assert says in result.stderr
