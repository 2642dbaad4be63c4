"""What an expert would say, read from `--json`: data from outside, as a person meets them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_classification

from lab.compare_tools import numbers

CHEAP = ["--model", "linear", "--repeats", "1", "--folds", "3", "--learning-rates", "0.01"]


def asked(folder: Path, frame: pd.DataFrame, *words: str) -> dict[str, Any]:
    frame.to_csv(folder / "t.csv", index=False)
    return numbers(folder, str(folder / "t.csv"), *CHEAP, *words)


def kinds(found: dict[str, Any]) -> dict[str, Any]:
    return {finding["kind"]: finding for finding in found["look"]}


@pytest.fixture(scope="module")
def rare() -> pd.DataFrame:
    x, y = make_classification(
        4000, 6, n_informative=4, weights=[0.97], class_sep=1.5, flip_y=0, random_state=3
    )
    return pd.DataFrame(x, columns=list("abcdef")).assign(y=y)


def test_digits_with_wrong_labels_take_a_bounded_loss(tmp_path: Path) -> None:
    words = ["--losses", "generalized_cross_entropy", "--label-noise", "0.4", "--epochs", "4"]
    found = numbers(tmp_path, "digits", *CHEAP, *words)
    (condition,) = found["conditions"]
    (back,) = condition["recalled"]
    assert (back["with"], back["without"]) == ("generalized_cross_entropy:q=0.7", "cross_entropy")
    assert back["ahead"] > 0.01
    assert back["says"] in condition["remarks"]
    first = {entry["metric"]: entry["losses"][0] for entry in condition["by_metric"]}
    for metric in ("accuracy", "log_loss", "calibration_error"):
        assert first[metric] == "generalized_cross_entropy:q=0.7"


def test_under_a_rare_class_it_is_the_cut_that_differs(tmp_path: Path, rare: pd.DataFrame) -> None:
    losses = "binary_cross_entropy:balanced=1,binary_focal,hinge"
    found = asked(tmp_path, rare, "--losses", losses, "--epochs", "12")
    (condition,) = found["conditions"]
    assert condition["metric"] == "balanced_accuracy"
    assert "own best cut" in condition["reason"]
    assert kinds(found)["imbalance"]["facts"]["rarest"] == "1"
    closed = condition["decisions"]["closed"]
    assert closed["all"]
    assert set(closed["losses"]) >= {"binary_cross_entropy", "binary_focal:gamma=2"}
    assert closed["largest_as_trained"] > 3 * closed["largest_with_cut"]
    low, high = closed["auc"]
    assert high - low < 0.02
    assert any("set the cut for your costs" in said for said in condition["remarks"])
    for row in condition["decisions"]["rows"]:
        assert row["log_loss_tempered"] is not None
    # A margin loss gives no probabilities before.
    assert condition["decisions"]["rows"][-1]["log_loss"] is None


def test_affairs_ask_for_the_mean(tmp_path: Path) -> None:
    import statsmodels.api as sm

    frame = sm.datasets.fair.load_pandas().data.iloc[::4]
    found = asked(tmp_path, frame, "--target", "affairs", "--losses", "l1,huber", "--epochs", "8")
    (condition,) = found["conditions"]
    assert found["goal"]["text"] == "mean"
    assert condition["metric"] == "rmse"
    assert kinds(found)["zeros"]["facts"]["zeros"] == pytest.approx(0.68, abs=0.01)
    assert "the median would be 0" in found["goal"]["says"]
    own = {entry["loss"]: entry for entry in condition["is_metric"]}
    assert own["l1"]["metric"] == "mae"
    assert own["l1"]["place"] == 1
    assert own["l1"]["place_by_other"] == own["l1"]["of"] == 3
    asking = asked(
        tmp_path, frame, "--target", "affairs", "--goal", "quantile:0.9", "--epochs", "8", "--fresh"
    )
    (condition,) = asking["conditions"]
    assert condition["metric"] == "pinball"
    means = {row["loss"]: row["metrics"]["pinball"]["mean"] for row in condition["rows"]}
    assert next(iter(means)) == "pinball:tau=0.9"
    assert means["pinball:tau=0.9"] == min(means.values())


def test_few_whole_numbers_are_a_regression(tmp_path: Path) -> None:
    import statsmodels.api as sm

    frame = sm.datasets.stackloss.load_pandas().data
    found = asked(tmp_path, frame, "--target", "STACKLOSS", "--losses", "l1", "--epochs", "2")
    assert found["data"]["task"] == "regression"
    assert "too few rows for each to be a class" in kinds(found)["task"]["says"]


def test_one_formula_runs_once_and_an_identifier_is_left_out(tmp_path: Path) -> None:
    luck = np.random.default_rng(0)
    frame = pd.DataFrame({"rownames": np.sort(luck.permutation(900)[:90])})
    frame["x"] = luck.normal(size=90)
    frame["y"] = frame["x"] + luck.normal(size=90)
    found = asked(tmp_path, frame, "--losses", "huber,smooth_l1", "--epochs", "2")
    assert [c["spec"] for c in found["candidates"]] == ["l2", "huber:delta=1"]
    assert found["left_out"][0].startswith("Smooth L1 (beta = 1) is the formula of Huber")
    assert "rownames" in kinds(found)["left out"]["says"]
    assert found["data"]["shape"] == [1]
    assert found["left_out"][0] in (tmp_path / "page.html").read_text().replace("\u00a0", " ")


def test_a_ramp_gets_its_better_start(tmp_path: Path, rare: pd.DataFrame) -> None:
    found = asked(tmp_path, rare, "--losses", "ramp,hinge", "--epochs", "24")
    starts = {c["spec"]: c["start"] for c in found["candidates"]}
    assert starts == {
        "binary_cross_entropy": None, "ramp:s=-1": "hinge (balanced = 1)", "hinge": None
    }  # fmt: skip
    (condition,) = found["conditions"]
    means = {row["loss"]: row["metrics"]["balanced_accuracy"]["mean"] for row in condition["rows"]}
    assert means["ramp:s=-1"] > means["hinge"] - 0.03 > 0.8
