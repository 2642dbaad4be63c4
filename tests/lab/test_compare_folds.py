"""What is spoiled, what is held back, and that the test rows stay as they are."""

import numpy as np
import pytest
import torch
from sklearn.model_selection import StratifiedKFold

from lossmith.lab.compare.conditions import CLEAN, Condition, read
from lossmith.lab.compare.folds import Place, groups, outer, rowset
from lossmith.lab.compare.settings import Settings
from lossmith.lab.compare.spoil import spoil, thinned, wrong_labels
from lossmith.lab.data.load import load

SETTINGS = Settings()
SEED = (3, 0, 0)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4, 0.75])
def test_the_stated_share_of_labels_is_wrong(share: float) -> None:
    labels = np.arange(1000, dtype=np.int64) % 7
    spoiled = wrong_labels(labels, share, 7, SEED)
    assert (spoiled != labels).sum() == round(share * 1000)
    assert spoiled.min() >= 0
    assert spoiled.max() < 7


def test_wrong_labels_are_drawn_evenly_among_the_other_classes() -> None:
    counts = np.bincount(wrong_labels(np.zeros(90_000, np.int64), 1.0, 10, SEED), minlength=10)
    assert counts[0] == 0
    assert abs(counts[1:] - 10_000).max() < 500  # five standard deviations


def test_a_larger_share_keeps_the_wrong_labels_of_a_smaller_one() -> None:
    labels = np.arange(200, dtype=np.int64) % 3
    less, more = (wrong_labels(labels, share, 3, SEED) for share in (0.2, 0.5))
    assert (more[less != labels] == less[less != labels]).all()


def test_thinning_leaves_the_stated_ratio_and_the_larger_classes() -> None:
    labels = np.repeat([0, 1, 2, 3], [400, 300, 200, 100])
    kept = np.bincount(labels[thinned(labels, 100, 4, SEED)])
    assert kept.tolist() == [400, 300, 4, 4]
    assert np.bincount(labels[thinned(labels, 1e6, 4, SEED)]).tolist() == [400, 300, 2, 2]


def test_outlying_targets_lie_5_to_10_deviations_above() -> None:
    target = np.random.default_rng(0).normal(10, 2, 1000)
    rows = np.arange(800)
    spoiled = spoil(rows, target, Condition("outliers", 0.1), 0, SEED)
    shift = (spoiled.target - target[:800]) / target[:800].std()
    assert (shift != 0).sum() == 80
    assert shift[shift != 0].min() >= 5
    assert shift.max() <= 10


def test_outlying_rows_are_the_same_whatever_part_they_are_in() -> None:
    labels = np.arange(100) % 2
    rows = np.arange(100)
    spoiled = spoil(rows, labels, Condition("outliers", 0.2), 2, SEED)
    assert (spoiled.target == labels).all()
    whole, half = np.zeros((100, 3), np.float32), np.zeros((50, 3), np.float32)
    spoiled.move(whole, rows)
    spoiled.move(half, rows[50:])
    assert (whole[50:] == half).all()
    assert (whole != 0).any(1).sum() == 20
    assert np.abs(whole[whole != 0]).min() >= 5


@pytest.mark.parametrize(
    ("name", "condition"),
    [
        ("digits", Condition("label_noise", 0.4)),
        ("breast_cancer", Condition("imbalance", 100)),
        ("breast_cancer", Condition("outliers", 0.2)),
        ("diabetes", Condition("outliers", 0.1)),
    ],
)
def test_the_test_rows_are_never_spoiled(name: str, condition: Condition) -> None:
    data = load(name)
    spoiled = rowset(data, SETTINGS, Place(condition, 1, 2))
    _, test = outer(data, SETTINGS, 1, 2)
    assert (spoiled.truth == data.target[test]).all()
    clean = rowset(data, SETTINGS, Place(CLEAN, 1, 2))
    if condition.kind == "outliers":  # under the others the scaling sees other rows
        assert torch.equal(spoiled.test, clean.test)
        moved = not torch.equal(spoiled.rows, clean.rows)
        assert moved or not torch.equal(spoiled.target, clean.target)


def test_no_test_row_is_trained_on_and_every_row_is_tested_once() -> None:
    data = load("wine")
    seen = np.concatenate([outer(data, SETTINGS, 0, fold)[1] for fold in range(5)])
    assert sorted(seen) == list(range(data.rows))
    for fold in range(5):
        train, test = outer(data, SETTINGS, 0, fold)
        assert not set(train) & set(test)
        shares = np.bincount(data.target[test]) / len(test)
        assert abs(shares - data.counts / data.rows).max() < 0.05


def test_a_rare_class_is_trained_on_and_validated_with() -> None:
    target = np.array([0] * 50 + [1] * 2 + [2] * 3)
    dealt = groups(target, 3, SEED)
    for place in (1, 2):
        assert (dealt[target == place] == 0).any()
        assert (dealt[target == place] != 0).any()
    assert abs((dealt == 0).mean() - 0.2) < 0.05


def test_numbers_are_standardised_by_the_median_and_its_deviation() -> None:
    data = load("diabetes")
    rows = rowset(data, SETTINGS, Place(CLEAN, 0, 0))
    assert float(rows.target.median()) == pytest.approx(0, abs=0.02)
    assert float(rows.target.abs().median()) == pytest.approx(1 / 1.4826, rel=0.02)
    again = rows.parts["test"].target * rows.unit + rows.origin
    np.testing.assert_allclose(again, rows.truth)


def test_conditions_are_read_in_order_and_clean_comes_first() -> None:
    found = read((0.4, 0.0), (0.1,), (100.0,))
    assert [c.key for c in found] == ["clean", "label_noise=0.4", "outliers=0.1", "imbalance=100"]


def test_the_folds_are_those_of_scikit_learn() -> None:
    data = load("digits")
    expected = list(
        StratifiedKFold(5, shuffle=True, random_state=1).split(data.target, data.target)
    )
    assert (outer(data, SETTINGS, 1, 3)[1] == expected[3][1]).all()
