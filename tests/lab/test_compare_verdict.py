"""The verdict says what the numbers support, and no more."""

import re
from collections.abc import Mapping, Sequence

import pytest

from lossmith.lab.compare.candidates import parse
from lossmith.lab.compare.conditions import CLEAN
from lossmith.lab.compare.plan import Plan
from lossmith.lab.compare.settings import Settings
from lossmith.lab.compare.summary import Outcome, summarize
from lossmith.lab.compare.trial import Work
from lossmith.lab.compare.verdict import verdict
from lossmith.lab.data.load import load

CLOSE = [0.970, 0.974, 0.968, 0.972, 0.971]
NEAR = [0.972, 0.971, 0.969, 0.974, 0.970]
LOW = [0.820, 0.829, 0.817, 0.823, 0.821]


def outcome(
    scores: Mapping[str, Sequence[float | None]],
    task: str = "classification",
    metric: str = "accuracy",
) -> Outcome:
    data = load("diabetes" if task == "regression" else "digits")
    candidates = parse(list(scores), task)
    folds = len(next(iter(scores.values())))
    settings = Settings(conditions=(CLEAN,), folds=folds, repeats=1)
    work = Work(settings, task, metrics=(("clean", metric),))
    results = [
        {
            "condition": "clean",
            "loss": spec,
            "repeat": 0,
            "fold": fold,
            "status": "diverged" if score is None else "done",
            "why": "not finite" if score is None else "",
            "metrics": {metric: score},
            "learning_rate": 0.01,
            "epoch": 3,
        }
        for spec, values in scores.items()
        for fold, score in enumerate(values)
    ]
    return summarize(Plan(work, data, candidates, {"clean": "so it was"}), results)[0]


@pytest.mark.parametrize(
    ("accuracies", "says"),
    [
        (
            {"cross_entropy": LOW, "hinge": CLOSE},
            r"Hinge is best with 97\.1 ± 0\.. % .*hinge gains 14\.9 ± 0\.. points of accuracy\.$",
        ),
        (
            {"cross_entropy": CLOSE, "hinge": NEAR},
            r"tell no loss from the best: .*No difference from cross-entropy, .* is supported\.$",
        ),
        (
            {"cross_entropy": CLOSE, "hinge": NEAR, "perceptron": LOW},
            r"Hinge has the best mean, .* and cross-entropy cannot be told from it\. "
            r".*perceptron loses 14\.9 ± 0\.. points of accuracy; no other difference",
        ),
        (
            {"cross_entropy": CLOSE, "hinge": [*LOW[:4], None]},
            r"Cross-entropy is the only loss that finished",
        ),
        ({"cross_entropy": [None] * 5, "hinge": CLOSE}, r"The baseline, cross-entropy, diverged"),
        ({"cross_entropy": [None] * 5, "hinge": [None] * 5}, r"Every loss diverged"),
        ({"cross_entropy": CLOSE}, r"Only the baseline"),
    ],
)
def test_two_sentences(accuracies: Mapping[str, Sequence[float | None]], says: str) -> None:
    text = verdict(outcome(accuracies))
    assert re.search(says, text), text
    assert len(re.findall(r"\.(?= |$)", text)) == 2, text


def test_an_error_that_is_lower_is_better() -> None:
    high = [45.0, 46.0, 44.0, 45.5, 44.5]
    low = [30.0, 31.0, 29.5, 30.5, 29.0]
    text = verdict(outcome({"l2": high, "l1": low}, "regression", "mae"))
    assert text.startswith("L1 is best with a MAE of 30.0 ± ")
    assert "L1 is better by 15.00 ± " in text


def test_a_loss_that_diverged_has_no_numbers_and_is_not_among_the_best() -> None:
    found = outcome({"cross_entropy": CLOSE, "hinge": [0.99, 0.99, None, 0.99, 0.99]})
    row = found.row("hinge")
    assert row.failed == ("repeat 0, fold 2: not finite",)
    assert found.value(row) is None
    assert found.best == ("cross_entropy",)
