"""Splits, and labels that are spoiled where and as often as stated."""

import numpy as np
import pytest
import torch

from lossmith.lab.compare.data import SHIPPED, load, split, spoil


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4, 0.75])
def test_the_stated_share_of_labels_is_wrong(share: float) -> None:
    labels = np.arange(1000, dtype=np.int64) % 7
    spoiled = spoil(labels, share, 7, seed=3)
    assert (spoiled != labels).sum() == round(share * 1000)
    assert spoiled.min() >= 0
    assert spoiled.max() < 7


def test_wrong_labels_are_drawn_evenly_among_the_other_classes() -> None:
    spoiled = spoil(np.zeros(90_000, dtype=np.int64), 1.0, 10, seed=0)
    counts = np.bincount(spoiled, minlength=10)
    assert counts[0] == 0
    assert abs(counts[1:] - 10_000).max() < 500  # five standard deviations


def test_a_larger_share_keeps_the_wrong_labels_of_a_smaller_one() -> None:
    labels = np.arange(200, dtype=np.int64) % 3
    less, more = (spoil(labels, share, 3, seed=1) for share in (0.2, 0.5))
    assert (more[less != labels] == less[less != labels]).all()


def test_noise_reaches_the_training_labels_only() -> None:
    digits = load("digits")
    clean, noisy = (split(digits, 0, share, 0.3) for share in (0.0, 0.4))
    assert torch.equal(clean.test_labels, noisy.test_labels)
    assert torch.equal(clean.test_features, noisy.test_features)
    assert torch.equal(clean.train_features, noisy.train_features)
    wrong = int((clean.train_labels != noisy.train_labels).sum())
    assert wrong == round(0.4 * len(clean.train_labels))


def test_columns_are_scaled_by_the_training_part() -> None:
    parts = split(load("wine"), 0, 0.0, 0.3)
    torch.testing.assert_close(parts.train_features.mean(0), torch.zeros(13), atol=1e-5, rtol=0)
    assert parts.test_features.mean(0).abs().max() > 1e-3


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_set_splits_by_class(name: str) -> None:
    dataset = load(name)
    parts = split(dataset, 1, 0.0, 0.3)
    assert len(parts.train_labels) + len(parts.test_labels) == len(dataset.labels)
    assert set(parts.test_labels.tolist()) == set(range(dataset.classes))
