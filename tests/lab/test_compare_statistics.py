"""The statistics against SciPy, against numbers worked by hand, and against rows drawn anew."""

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lossmith.lab.compare.simulated import EQUAL, Regime, by_bootstrap, drawn, errors
from lossmith.lab.compare.statistics import Table, behind, estimate, model_confidence_set

ROWS_ONLY = Regime(600, 1, 0.4, 0.0)
SHIFT = (-0.15, -0.1, 0.0, 0.0, 0.05, 0.1)


def table(seed: int, repeats: int = 2, rows: int = 60, losses: int = 3) -> Table:
    luck = np.random.default_rng(seed)
    fold = np.stack([luck.permutation(np.arange(rows) % 5) for _ in range(repeats)])
    return Table(luck.normal(0, 1, (repeats, rows, losses)) + np.arange(losses) / 5, fold)


def test_the_covariance_by_hand() -> None:
    made = table(0)
    e = estimate(made, centred=False)
    gap = made.z[:, :, 0] - made.z[:, :, 1]
    by_row = gap.mean(0).var(ddof=1) / 60
    folds = [gap[r][made.fold[r] == f].mean() for r in range(2) for f in range(5)]
    by_fold = np.var(folds, ddof=1) / 10
    assert e.errors[0, 1] ** 2 == pytest.approx(by_row + by_fold)
    assert e.floor[0, 1] ** 2 == pytest.approx(by_row)
    assert e.gaps[0, 1] == pytest.approx(gap.mean())
    # Satterthwaite's degrees of freedom, and an interval from them.
    freedom = (by_row + by_fold) ** 2 / (by_row**2 / 59 + by_fold**2 / 9)
    error = (by_row + by_fold) ** 0.5
    low, high = stats.t.interval(0.95, min(freedom, 59), gap.mean(), error)
    assert (e.gap(0, 1).low, e.gap(0, 1).high) == pytest.approx((low, high))


def test_what_all_losses_share_changes_no_difference() -> None:
    made = table(1)
    shared = np.random.default_rng(2).normal(0, 5, (2, 60, 1))
    moved = Table(made.z + shared, made.fold)
    for one, two in ((made, moved), (moved, Table(made.z, made.fold))):
        assert estimate(one).errors == pytest.approx(estimate(two).errors)
    assert estimate(moved).errors == pytest.approx(estimate(moved, centred=False).errors)
    assert model_confidence_set(estimate(moved)) == pytest.approx(
        model_confidence_set(estimate(made))
    )


def test_without_luck_of_trainings_an_interval_is_scipys() -> None:
    made = table(3, repeats=1, losses=1)
    e = estimate(made, centred=False, trainings=False)
    values = made.z[0, :, 0]
    low, high = stats.t.interval(0.95, 59, values.mean(), stats.sem(values))
    assert (e.interval(0).low, e.interval(0).high) == pytest.approx((low, high))


def test_one_training_has_no_interval() -> None:
    made = Table(np.ones((1, 4, 2)), np.zeros((1, 4), int))
    assert isnan(estimate(made, centred=False).interval(0).half_width)


def test_one_row_more_that_differs_is_never_ruled_out() -> None:
    """Two losses that differ in one row of 500: its finest step is in the error."""
    z = np.zeros((2, 500, 2))
    z[:, 0, 1] = 1
    fold = np.tile(np.arange(500) % 5, (2, 1))
    assert model_confidence_set(estimate(Table(z, fold, 1 / 500))).min() > 0.2


def test_equal_predictions_have_no_gap_and_no_error() -> None:
    made = table(4, losses=1)
    z = np.repeat(made.z, 3, axis=2)
    e = estimate(Table(z, made.fold))
    assert (e.scores == 0).all()
    assert (model_confidence_set(e) == 1).all()
    assert (behind(e, 0.05) == 0).all()


def test_one_loss_alone_is_in_and_behind_nobody() -> None:
    e = estimate(table(5, losses=1))
    assert model_confidence_set(e).tolist() == [1.0]
    assert behind(e, 0.05).tolist() == [0.0]


def test_the_set_over_rows_is_that_of_drawing_rows_anew() -> None:
    """The oracle shares no step with it: a bootstrap by the letter of Hansen, Lunde & Nason."""
    luck = np.random.default_rng(6)
    for _ in range(12):
        z = errors(drawn(luck, ROWS_ONLY, SHIFT))
        e = estimate(Table(z.z, z.fold), trainings=False)
        assert model_confidence_set(e) == pytest.approx(by_bootstrap(z.z[0]), abs=0.04)


@given(seed=st.integers(0, 2**31))
def test_no_order_matters(seed: int) -> None:
    """Losses, rows and folds in another order: the same set and bounds, but for the draws."""
    luck = np.random.default_rng(seed)
    made = errors(drawn(luck, Regime(200, 2, 0.4, 0.15), SHIFT))
    losses, rows = luck.permutation(6), luck.permutation(200)
    names = luck.permutation(5)
    other = Table(made.z[:, rows][:, :, losses], names[made.fold[:, rows]], made.finest)
    p, q = (model_confidence_set(estimate(each)) for each in (made, other))
    assert q == pytest.approx(p[losses], abs=0.04)
    b, c = (behind(estimate(each), 0.05) for each in (made, other))
    assert c == pytest.approx(b[losses], rel=0.05, abs=1e-4)


@given(seed=st.integers(0, 2**31), scale=st.floats(1e-6, 1e6))
def test_the_unit_does_not_matter(seed: int, scale: float) -> None:
    made = table(seed)
    larger = Table(made.z * scale, made.fold)
    assert model_confidence_set(estimate(larger)) == pytest.approx(
        model_confidence_set(estimate(made)), abs=0.01
    )
    limits = behind(estimate(made), 0.05)
    assert behind(estimate(larger), 0.05) == pytest.approx(limits * scale, rel=1e-3)


def test_a_worse_loss_goes_out_and_the_best_is_behind_nobody() -> None:
    made = table(7, rows=400)
    worse = np.concatenate((made.z, made.z[:, :, :1] + 2.0), axis=2)
    e = estimate(Table(worse, made.fold))
    p = model_confidence_set(e)
    assert p[3] < 0.001
    limits = behind(e, 0.05)
    assert limits[3] > 1.999 > limits[0]
    assert int(limits.argmin()) == 0


def test_alone_among_equals_nobody_is_favoured() -> None:
    """By symmetry each of six equal losses is the one that stays last about as often."""
    luck = np.random.default_rng(8)
    last = [
        int(model_confidence_set(estimate(errors(drawn(luck, ROWS_ONLY, EQUAL)))).argmax())
        for _ in range(120)
    ]
    assert stats.chisquare(np.bincount(last, minlength=6)).pvalue > 0.001
