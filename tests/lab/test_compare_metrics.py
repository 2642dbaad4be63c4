"""Every metric against scikit-learn, and the calibration error by hand."""

import numpy as np
import pytest
from sklearn import metrics as sk

from lossmith.lab.compare.metrics import METRICS, Judged, calibration, headline, judge

LUCK = np.random.default_rng(0)
TARGET = LUCK.integers(0, 4, 200)
TARGET[TARGET == 3] = LUCK.integers(0, 4, (TARGET == 3).sum())
SCORES = LUCK.normal(0, 1, (200, 4)) + 1.5 * np.eye(4)[TARGET]
MANY = Judged("classification", SCORES, TARGET, 4, 3, True)
TWO = Judged("binary", SCORES[:, 1] - SCORES[:, 0], (TARGET == 1).astype(int), 2, 1, True)
NUMBERS = Judged("regression", SCORES[:, 0], SCORES[:, 1])


@pytest.mark.parametrize("judged", [MANY, TWO])
def test_classes_as_scikit_learn(judged: Judged) -> None:
    found = judge(judged)
    true, said = judged.target, judged.predicted
    recalls = sk.recall_score(true, said, average=None)
    expected = {
        "accuracy": sk.accuracy_score(true, said),
        "balanced_accuracy": sk.balanced_accuracy_score(true, said),
        "macro_f1": sk.f1_score(true, said, average="macro"),
        "worst_recall": recalls.min(),
        "rare_recall": recalls[judged.rarest],
        "log_loss": sk.log_loss(true, judged.probability),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value), name
    assert (judged.confusion == sk.confusion_matrix(true, said)).all()


def test_auc_as_scikit_learn() -> None:
    assert judge(TWO)["auc"] == sk.roc_auc_score(TWO.target, TWO.scores)
    one = Judged("binary", np.ones(3), np.ones(3, int), 2, 0, True)
    assert judge(one)["auc"] is None


def test_numbers_as_scikit_learn() -> None:
    found = judge(NUMBERS)
    true, said = NUMBERS.target, NUMBERS.scores
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(true, said))
    assert found["rmse"] == pytest.approx(sk.root_mean_squared_error(true, said))
    assert found["median_error"] == pytest.approx(sk.median_absolute_error(true, said))
    assert found["p95_error"] == pytest.approx(np.percentile(np.abs(true - said), 95))


def test_the_calibration_error_by_hand() -> None:
    # Ten rows said with 0.9, of which seven are right; ten said with 0.6, of which six are.
    scores = np.log([9.0] * 10 + [1.5] * 10)
    target = np.array([1] * 7 + [0] * 3 + [1] * 6 + [0] * 4)
    judged = Judged("binary", scores, target, 2, 0, True)
    assert judge(judged)["calibration_error"] == pytest.approx((0.2 * 10 + 0.0 * 10) / 20)
    bins = [b for b in calibration(judged) if b[0]]
    assert bins == [[10, 0.6, 0.6], [10, 0.9, 0.7]]


def test_scores_that_are_no_probabilities_have_no_log_loss() -> None:
    hinge = Judged("classification", SCORES, TARGET, 4, 3, False)
    assert judge(hinge)["log_loss"] is None
    assert judge(hinge)["calibration_error"] is None
    assert judge(hinge)["accuracy"] is not None


def test_the_metric_that_decides() -> None:
    assert headline("classification", 4.0)[0] == "accuracy"
    assert headline("binary", 4.1)[0] == "balanced_accuracy"
    assert headline("regression", 1.0)[0] == "mae"
    assert set(METRICS) >= {"accuracy", "balanced_accuracy", "mae"}
