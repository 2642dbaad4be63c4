"""The verdict says what the numbers support, and no more."""

import re
from collections.abc import Mapping, Sequence

import pytest

from lossmith.lab.compare.candidates import parse
from lossmith.lab.compare.settings import Settings
from lossmith.lab.compare.summary import Condition, summarize
from lossmith.lab.compare.train import Run
from lossmith.lab.compare.verdict import verdict

CLOSE = [0.970, 0.974, 0.968, 0.972, 0.971]
NEAR = [0.972, 0.971, 0.969, 0.974, 0.970]
LOW = [0.820, 0.829, 0.817, 0.823, 0.821]


def condition(accuracies: Mapping[str, Sequence[float | None]]) -> Condition:
    candidates = parse(list(accuracies), "cross_entropy")
    seeds = len(next(iter(accuracies.values())))
    runs = [
        Run(
            loss=spec,
            label_noise=0.0,
            seed=seed,
            test_rows=540,
            accuracy=accuracy,
            macro_f1=accuracy,
            log_loss=None,
            test_curve=(),
            fit_curve=(),
            diverged_at=3 if accuracy is None else None,
            seconds=1.0,
        )
        for spec, values in accuracies.items()
        for seed, accuracy in enumerate(values)
    ]
    return summarize(runs, candidates, Settings(label_noise=(0.0,), seeds=seeds))[0]


@pytest.mark.parametrize(
    ("accuracies", "says"),
    [
        (
            {"cross_entropy": LOW, "hinge": CLOSE},
            r"Hinge is best with 97\.1 ± 0\.3 % .*hinge gains 14\.9 ± 0\.3 points of accuracy\.$",
        ),
        (
            {"cross_entropy": CLOSE, "hinge": NEAR},
            r"tell no loss from the best: .*No difference from cross-entropy, .* is supported\.$",
        ),
        (
            {"cross_entropy": CLOSE, "hinge": NEAR, "perceptron": LOW},
            r"Hinge has the highest mean, .* and cross-entropy cannot be told from it\. "
            r".*perceptron loses 14\.9 ± 0\.. points of accuracy; no other difference",
        ),
        (
            {"cross_entropy": CLOSE, "hinge": [*LOW[:4], None]},
            r"Cross-entropy is the only loss that finished",
        ),
        ({"cross_entropy": [None] * 5, "hinge": CLOSE}, r"The baseline, cross-entropy, diverged"),
        ({"cross_entropy": [None] * 5, "hinge": [None] * 5}, r"Every loss diverged"),
        ({"cross_entropy": [0.9], "hinge": [0.97]}, r"one seed tells no losses apart"),
        ({"cross_entropy": CLOSE}, r"Only the baseline"),
    ],
)
def test_two_sentences(accuracies: Mapping[str, Sequence[float | None]], says: str) -> None:
    found = condition(accuracies)
    text = verdict(found, len(next(iter(accuracies.values()))))
    assert re.search(says, text), text
    assert len(re.findall(r"\.(?= |$)", text)) == 2, text


def test_a_loss_that_diverged_has_no_numbers_and_is_not_among_the_best() -> None:
    found = condition({"cross_entropy": CLOSE, "hinge": [0.99, 0.99, None, 0.99, 0.99]})
    row = found.row("hinge")
    assert row.diverged == (2,)
    assert row.accuracy is None
    assert found.best == ("cross_entropy",)
