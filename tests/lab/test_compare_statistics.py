"""The statistics against SciPy, against numbers worked by hand, and against chance itself."""

from math import isnan

import numpy as np
import pytest
from scipy import stats

from lossmith.lab.compare.check import simulated
from lossmith.lab.compare.statistics import all_pairs, among_best, interval, paired_p

VALUES = [0.971, 0.968, 0.975, 0.980, 0.966]
OTHERS = [0.960, 0.961, 0.970, 0.969, 0.965]


def test_interval_is_scipys_t_interval_where_nothing_is_shared() -> None:
    found = interval(VALUES, overlap=0.0)
    low, high = stats.t.interval(0.95, len(VALUES) - 1, np.mean(VALUES), stats.sem(VALUES))
    assert found.mean == pytest.approx(np.mean(VALUES))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-12)


def test_one_value_has_no_interval() -> None:
    assert interval([0.9], 0.25).mean == 0.9
    assert isnan(interval([0.9], 0.25).half_width)
    assert paired_p([0.9], [0.1], 0.25) == 1.0


def test_p_value_is_scipys_paired_test_where_nothing_is_shared() -> None:
    expected = stats.ttest_rel(VALUES, OTHERS).pvalue
    assert paired_p(VALUES, OTHERS, 0.0) == pytest.approx(expected)


def test_the_correction_of_nadeau_and_bengio_by_hand() -> None:
    gaps = np.subtract(VALUES, OTHERS)
    error = np.sqrt((1 / 5 + 1 / 4) * gaps.var(ddof=1))  # their equation 16
    expected = 2 * stats.t.sf(gaps.mean() / error, 4)
    assert paired_p(VALUES, OTHERS, 1 / 4) == pytest.approx(expected)
    low, high = stats.t.interval(0.95, 4, gaps.mean(), error)
    found = interval(gaps.tolist(), 1 / 4)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_two_equal_gaps_are_a_coincidence_and_not_a_proof() -> None:
    row = 1 / 540
    assert paired_p([0.5, 0.6], [0.5 - row, 0.6 - row], 0.0, finest=row) > 0.3
    assert interval([0.5, 0.5], 0.0, finest=row).half_width > row
    # Many rows at every fold are more than a coincidence.
    assert paired_p([0.9] * 5, [0.5] * 5, 0.0, finest=row) < 1e-6


def test_holm_by_hand() -> None:
    rows = {
        "a": [0.90, 0.92, 0.91, 0.93, 0.90],
        "b": [0.89, 0.92, 0.90, 0.93, 0.90],
        "c": [0.80, 0.83, 0.82, 0.82, 0.81],
    }
    raw = {pair: paired_p(rows[pair[0]], rows[pair[1]], 0.25) for pair in ("ab", "ac", "bc")}
    small, middle, large = sorted(raw, key=raw.__getitem__)
    expected = {
        small: 3 * raw[small],
        middle: max(3 * raw[small], 2 * raw[middle]),
        large: max(3 * raw[small], 2 * raw[middle], raw[large]),
    }
    found = all_pairs(rows, 0.25)
    for pair, p in expected.items():
        assert found[frozenset(pair)] == pytest.approx(min(p, 1.0))
    assert among_best(rows, found) == ["a", "b"]


def test_an_error_is_best_where_it_is_lowest() -> None:
    rows = {"a": [3.0, 3.1, 2.9, 3.05], "b": [1.0, 1.2, 0.9, 1.05]}
    assert among_best(rows, all_pairs(rows, 0.25), higher_is_better=False) == ["b"]
    assert among_best(rows, all_pairs(rows, 0.25), higher_is_better=True) == ["a"]


def test_equal_losses_are_told_apart_no_more_often_than_promised() -> None:
    """Five losses that differ by luck alone: in 95 % of the comparisons none may be ruled out."""
    times = 400
    assert simulated(times) < 0.05 + 2 * (0.05 * 0.95 / times) ** 0.5


def test_without_the_correction_it_would_be_said_too_often() -> None:
    """The simulation can find a fault: the plain paired t-test fails it."""
    plain = simulated(200, overlap=0.0)
    assert plain > 0.15
