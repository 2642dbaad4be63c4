"""The first look: what is planted is seen, and what is not there is not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossmith.errors import InputError
from lossmith.lab.compare import suspects
from lossmith.lab.compare.first_look import Finding, look
from lossmith.lab.compare.spoil import wrong_labels
from lossmith.lab.data.dataset import Dataset
from lossmith.lab.data.load import load


def kinds(dataset: Dataset) -> dict[str, Finding]:
    return {finding.kind: finding for finding in look(dataset)}


def numbers(target: np.ndarray, x: np.ndarray) -> Dataset:
    return Dataset("t", "regression", target, (), (), x.astype(np.float32), "f")


@given(
    st.sampled_from(["digits", "breast_cancer", "wine"]), st.floats(0.1, 0.4), st.integers(0, 99)
)
@settings(max_examples=5, deadline=None)
def test_the_share_of_wrong_labels_is_found(name: str, share: float, seed: int) -> None:
    data = load(name)
    assert "labels" not in kinds(data)
    target = wrong_labels(data.target, share, len(data.classes), (seed,))
    found = kinds(replace(data, target=target))["labels"].facts
    assert found["share"] == pytest.approx(share, abs=0.08)
    rows = np.array(found["rows"])
    assert (target[rows] != data.target[rows]).mean() > share + 0.2  # those to look at first


def test_confident_learning_by_hand() -> None:
    """Class 1 trusts itself by 0.5 on average, class 0 by 0.7; one row of class 0 is sure of 1."""
    probability = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.6, 0.4], [0.4, 0.6]])
    seen = suspects.Guess(np.arange(5), np.array([0, 0, 0, 1, 1]), np.arange(2), probability)
    share, rows = suspects.wrong_labels(seen)
    # Counted: 0 → 0 twice, 0 → 1 once, 1 → 1 once (row 3 reaches no threshold), scaled to 3 and 2.
    assert share == pytest.approx(1 / 5)
    assert rows.tolist() == [2]


def test_twins_of_another_class_bound_what_any_model_can_reach() -> None:
    x = np.arange(100)[:, None] // 2
    target = np.zeros(100, int)
    target[:20:2] = 1  # ten pairs contradict
    target[50:] = 1
    data = Dataset("t", "binary", target, ("a", "b"), (), x.astype(np.float32), "f")
    found = kinds(data)["twins"].facts
    assert found == {"share": 0.2, "reachable": 0.9}


def test_counts_tails_skew_and_spread_of_numbers() -> None:
    luck = np.random.default_rng(0)
    x = luck.normal(size=(1500, 3))
    assert look(numbers(x[:, 0] + luck.normal(size=1500), x)) == ()
    counts = luck.poisson(np.exp(0.5 * x[:, 0])).astype(float)
    found = kinds(numbers(counts, x))["zeros"]
    assert "counts" in found.says
    assert found.facts["zeros"] == (counts == 0).mean()
    heavy = kinds(numbers(x[:, 0] + luck.standard_t(1.5, size=1500), x))
    assert heavy["tails"].facts["share"] > 0.02
    assert "spread" not in heavy
    wide = kinds(numbers(2 * x[:, 0] + np.exp(0.7 * x[:, 0]) * luck.normal(size=1500), x))
    assert wide["spread"].facts["ratio"] > 1.5
    skewed = kinds(numbers(x[:, 0] + luck.exponential(size=1500), x))
    assert skewed["skew"].facts["skew"] > 0.3


def test_an_order_of_classes_shows_in_their_errors() -> None:
    luck = np.random.default_rng(0)
    x = luck.normal(size=(900, 2))
    place = np.clip(np.round(1.2 * x[:, 0] + luck.normal(0, 1, 900) + 3), 1, 5).astype(int)
    names = tuple("12345")
    data = Dataset("t", "classification", place - 1, names, (), x.astype(np.float32), "f")
    assert "--task regression" in kinds(data)["order"].suggests
    # The same classes under names that are shuffled numbers have no order.
    shuffled = replace(data, classes=("4", "1", "5", "2", "3"))
    assert "order" not in kinds(shuffled)


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_a_column_that_gives_the_answer_away_is_named(tmp_path: Path, kind: str) -> None:
    luck = np.random.default_rng(0)
    frame = pd.DataFrame(luck.normal(size=(300, 3)), columns=["a", "b", "c"])
    if kind == "classes":
        frame["y"] = np.where(frame["a"] + luck.normal(size=300) > 0, "yes", "no")
        frame["paid back"] = np.where(frame["y"] == "yes", 1.0, 0.0) + 0.01 * luck.normal(size=300)
    else:
        frame["y"] = frame["a"] + luck.normal(size=300)
        frame["paid back"] = 3 * frame["y"] + 0.001 * luck.normal(size=300)
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert kinds(load(str(tmp_path / "t.csv")))["leak"].facts["columns"] == ["paid back"]


@pytest.mark.parametrize(
    ("name", "values", "left_out"),
    [
        ("rownames", lambda luck: np.sort(luck.permutation(5000)[:120]), True),
        ("PassengerId", lambda luck: luck.permutation(5000)[:120], True),
        ("what", lambda luck: luck.permutation(120) + 1, True),
        ("paid", lambda luck: luck.permutation(5000)[:120], False),
        ("user_id", lambda luck: luck.integers(0, 40, 120), False),
        ("id", lambda luck: luck.permutation(5000)[:120] + 0.5, False),
    ],
)
def test_an_identifier_is_left_out_and_said(
    tmp_path: Path, name: str, values: Any, left_out: bool
) -> None:
    luck = np.random.default_rng(0)
    frame = pd.DataFrame({name: values(luck), "x": luck.normal(size=120)})
    frame["y"] = frame["x"] + luck.normal(size=120)
    frame.to_csv(tmp_path / "t.csv", index=False)
    data = load(str(tmp_path / "t.csv"))
    assert (name not in data.source) == left_out
    said = kinds(data).get("left out")
    assert (said is not None and name in said.says) == left_out


def test_whole_numbers_with_hardly_a_row_each_are_no_classes(tmp_path: Path) -> None:
    path = str(tmp_path / "t.csv")
    target = [42, 37, 37, 28, 18, 18, 19, 20, 15, 14, 14, 13, 11, 12, 8, 7, 8, 8, 9, 15, 15]
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=21), "y": target})
    frame.to_csv(path, index=False)
    data = load(path)
    assert data.task == "regression"
    assert "too few rows" in kinds(data)["task"].says
    with pytest.raises(InputError, match="or say --task regression if the target is a number"):
        load(path, task="classification").require_members(2)
