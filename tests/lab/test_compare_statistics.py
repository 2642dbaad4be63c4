"""The statistics against SciPy, against numbers worked by hand, and against chance itself."""

import gc
from math import isnan

import numpy as np
import pytest
from scipy import stats

from lossmith.lab.compare.statistics import all_pairs, among_best, interval, paired_p

VALUES = [0.971, 0.968, 0.975, 0.980, 0.966]
OTHERS = [0.960, 0.961, 0.970, 0.969, 0.965]


def test_interval_is_scipys_t_interval() -> None:
    found = interval(VALUES)
    low, high = stats.t.interval(0.95, len(VALUES) - 1, np.mean(VALUES), stats.sem(VALUES))
    assert found.mean == pytest.approx(np.mean(VALUES))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-12)


def test_one_value_has_no_interval() -> None:
    assert interval([0.9]).mean == 0.9
    assert isnan(interval([0.9]).half_width)
    assert paired_p([0.9], [0.1]) == 1.0


def test_p_value_is_scipys_paired_test() -> None:
    assert paired_p(VALUES, OTHERS) == pytest.approx(stats.ttest_rel(VALUES, OTHERS).pvalue)


def test_two_equal_gaps_are_a_coincidence_and_not_a_proof() -> None:
    row = 1 / 540
    assert paired_p([0.5, 0.6], [0.5 - row, 0.6 - row], finest=row) > 0.3
    assert interval([0.5, 0.5], finest=row).half_width > row
    # Many rows at every seed are more than a coincidence.
    assert paired_p([0.9] * 5, [0.5] * 5, finest=row) < 1e-6


def test_holm_by_hand() -> None:
    rows = {
        "a": [0.90, 0.92, 0.91, 0.93, 0.90],
        "b": [0.89, 0.92, 0.90, 0.93, 0.90],
        "c": [0.80, 0.83, 0.82, 0.82, 0.81],
    }
    raw = {pair: paired_p(rows[pair[0]], rows[pair[1]]) for pair in ("ab", "ac", "bc")}
    small, middle, large = sorted(raw, key=raw.__getitem__)
    expected = {
        small: 3 * raw[small],
        middle: max(3 * raw[small], 2 * raw[middle]),
        large: max(3 * raw[small], 2 * raw[middle], raw[large]),
    }
    found = all_pairs(rows)
    for pair, p in expected.items():
        assert found[frozenset(pair)] == pytest.approx(min(p, 1.0))
    assert among_best(rows, found) == ["a", "b"]


def test_equal_losses_are_told_apart_no_more_often_than_promised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Five losses that differ by luck alone: in 95 % of the cases none may be ruled out."""
    monkeypatch.setattr(gc, "collect", int)  # statsmodels collects garbage at every call
    luck = np.random.default_rng(0)
    trials = 400
    wrong = 0
    for _ in range(trials):
        draw = luck.normal(0, 0.02, (1, 5)) + luck.normal(0, 0.01, (5, 5))
        rows = {name: list(values) for name, values in zip("abcde", draw, strict=True)}
        wrong += len(among_best(rows, all_pairs(rows))) < len(rows)
    assert wrong / trials < 0.05 + 2 * (0.05 * 0.95 / trials) ** 0.5
