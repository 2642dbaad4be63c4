"""The cut of each loss, its temperature, and goals with their metrics: against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn import metrics as theirs
from sklearn.linear_model import LogisticRegression

from lossmith.lab.compare import cuts
from lossmith.lab.compare.metrics import METRICS, Judged

RULES = {
    "accuracy": theirs.accuracy_score,
    "balanced_accuracy": theirs.balanced_accuracy_score,
    "macro_f1": lambda t, p: theirs.f1_score(t, p, average="macro", labels=[0, 1]),
    "worst_recall": lambda t, p: min(theirs.recall_score(t, p, average=None, labels=[0, 1])),
    "rare_recall": lambda t, p: theirs.recall_score(t, p, pos_label=1),
}


def binary(seed: int, rows: int = 60, ties: bool = False) -> Judged:
    luck = np.random.default_rng(seed)
    target = (np.arange(rows) % 5 == 0).astype(int)
    scores = luck.normal(1.0, 2, rows) + 1.5 * target
    return Judged("binary", scores.round() if ties else scores, target, 2, 1, True)


@given(st.integers(0, 10**6), st.booleans(), st.sampled_from(sorted(RULES)))
@settings(max_examples=40, deadline=None)
def test_no_threshold_is_better_than_the_cut(seed: int, ties: bool, name: str) -> None:
    judged = binary(seed, ties=ties)
    shift = cuts.best(judged, name)
    ordered = np.unique(judged.scores)
    thresholds = [ordered[0] - 1, *((ordered[1:] + ordered[:-1]) / 2), ordered[-1] + 1]
    values = [RULES[name](judged.target, judged.scores > t) for t in thresholds]
    mine = RULES[name](judged.target, judged.scores + shift > 0)
    assert mine == pytest.approx(max(values), abs=1e-9)


def test_where_a_class_has_few_rows_the_cut_lies_halfway() -> None:
    target = (np.arange(100) < 3).astype(int)
    scores = np.where(target, 1.0, -4.0) + 0.1 * np.sin(np.arange(100))
    judged = Judged("binary", scores - 5, target, 2, 1, True)
    assert cuts.best(judged, "balanced_accuracy") == pytest.approx(6.5, abs=0.2)
    assert cuts.best(Judged("binary", scores, target, 2, 1, True), "balanced_accuracy") == 0.0


def test_a_cut_that_is_best_as_trained_stays() -> None:
    target = np.arange(40) % 2
    judged = Judged("binary", np.where(target, 0.3, -5.0), target, 2, 1, True)
    assert cuts.best(judged, "accuracy") == 0.0
    every = np.zeros(40, int)
    assert cuts.best(Judged("binary", np.arange(40.0), every, 2), "accuracy") == 0.0


@given(st.floats(0.1, 10), st.integers(0, 100))
@settings(max_examples=15, deadline=None)
def test_the_temperature_is_the_slope_of_a_logistic_fit(scale: float, seed: int) -> None:
    luck = np.random.default_rng(seed)
    scores = luck.normal(0, 2, 3000)
    target = (luck.random(3000) < expit(scores)).astype(int)
    judged = Judged("binary", scores * scale, target, 2, 1, True)
    fit = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-9)
    fit.fit(judged.scores[:, None], target)
    assert cuts.temperature(judged) == pytest.approx(1 / fit.coef_[0, 0], rel=1e-3)


def test_offsets_undo_shares_that_the_scores_hold() -> None:
    """Scores of Bayes' rule hold the shares; balanced accuracy asks for them to be taken out."""
    luck = np.random.default_rng(0)
    share = np.array([0.9, 0.07, 0.03])
    target = luck.choice(3, 20_000, p=share)
    centers = np.array([[0.0, 0.0], [1.5, 0.0], [0.0, 1.5]])
    x = centers[target] + luck.standard_normal((20_000, 2))
    scores = -((x[:, None] - centers) ** 2).sum(2) / 2 + np.log(share)
    judged = Judged("classification", scores, target, 3, 2, True)
    shift = cuts.best(judged, "balanced_accuracy")
    expected = -np.log(share) + np.log(share).mean()
    np.testing.assert_allclose(shift, expected, rtol=0.25)
    assert cuts.temperature(judged) == pytest.approx(1, rel=0.1)


def test_what_is_judged_with_cut_and_temperature() -> None:
    found = cuts.judge(binary(1, 400), binary(2, 400), "balanced_accuracy")
    test = binary(2, 400)
    shifted = test.scores + found["cut"]["shift"] > 0
    assert found["cut"]["decides"]
    for name, rule in RULES.items():
        assert found["cut"]["as_trained"][name] == pytest.approx(rule(test.target, test.scores > 0))
        assert found["cut"]["with_cut"][name] == pytest.approx(rule(test.target, shifted), abs=1e-3)
    warm = expit(test.scores / found["temperature"]["value"])
    mine = found["temperature"]["metrics"]
    assert mine["log_loss"] == pytest.approx(theirs.log_loss(test.target, warm), rel=1e-4)
    assert mine["brier"] == pytest.approx(2 * theirs.brier_score_loss(test.target, warm), rel=1e-4)
    assert not cuts.judge(binary(1), binary(2), "accuracy")["cut"]["decides"]
    assert cuts.judge(binary(1, 400), test, "log_loss")["cut"]["metric"] == "accuracy"


def test_order_is_judged_as_scikit_learn_does() -> None:
    judged = binary(3, 200, ties=True)
    assert METRICS["auc"].value(judged) == theirs.roc_auc_score(judged.target, judged.scores)
    expected = theirs.average_precision_score(judged.target, judged.scores)
    assert METRICS["average_precision"].value(judged) == pytest.approx(expected)


@given(st.floats(0.05, 0.95), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_levels_are_judged_as_scikit_learn_does(level: float, seed: int) -> None:
    luck = np.random.default_rng(seed)
    truth, guess = luck.normal(size=50), luck.normal(size=50)
    judged = Judged("regression", guess, truth, level=level)
    expected = theirs.mean_pinball_loss(truth, guess, alpha=level)
    assert METRICS["pinball"].value(judged) == pytest.approx(expected)
    even = Judged("regression", guess, truth, level=0.5)
    root = theirs.root_mean_squared_error(truth, guess)
    assert METRICS["asymmetric_rmse"].value(even) == pytest.approx(root)
    assert METRICS["pinball"].value(Judged("regression", guess, truth)) is None
