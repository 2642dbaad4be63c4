"""What the experiments compute, against scikit-learn and algebra."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import HuberRegressor, Lasso, LinearRegression, QuantileRegressor, Ridge
from sklearn.linear_model import LogisticRegression as Logistic
from sklearn.svm import SVC

import lossmith
from lossmith.lab.claims import boosting, center, jumps, linear, ramp, samples, sparsity, structural


@pytest.fixture(scope="module")
def cancer() -> samples.Split:
    return samples.classes("breast_cancer", 0)


@pytest.fixture(scope="module")
def diabetes() -> samples.Split:
    return samples.diabetes(0)


def test_the_support_vectors_are_those_of_scikit_learn(cancer: samples.Split) -> None:
    x, penalty = linear.with_ones(cancer.x), 0.01
    ours = linear.support_vector_machine(x, cancer.y, penalty)
    theirs = SVC(kernel="linear", C=1 / (penalty * len(x)), tol=1e-8).fit(cancer.x, cancer.y)
    np.testing.assert_allclose(ours[:-1], theirs.coef_[0], atol=1e-3)
    np.testing.assert_allclose(ours[-1], theirs.intercept_[0], atol=1e-3)
    support = np.flatnonzero(linear.margins(x, cancer.y, ours) < 1 + 1e-3)
    assert set(support) == set(theirs.support_)


def test_newton_and_descent_end_where_logistic_regression_does(cancer: samples.Split) -> None:
    x, penalty, target = linear.with_ones(cancer.x), 0.01, torch.tensor(cancer.y)
    theirs = Logistic(C=1 / (penalty * len(x)), tol=1e-10, max_iter=2000).fit(cancer.x, cancer.y)
    truth = np.append(theirs.coef_[0], theirs.intercept_)
    newton = linear.newton("logistic", x, cancer.y, penalty)
    descent = linear.descend(lambda z: lossmith.logistic(z, target), x, penalty)
    np.testing.assert_allclose(newton, truth, atol=1e-5)
    np.testing.assert_allclose(descent, truth, atol=1e-4)


def test_reweighting_finds_the_minimum_of_residual_losses(diabetes: samples.Split) -> None:
    x, y = linear.with_ones(diabetes.x), samples.with_outliers(diabetes.y, 0.1, 0)
    l2 = LinearRegression().fit(diabetes.x, y)
    np.testing.assert_allclose(linear.reweighted("l2", x, y)[:-1], l2.coef_, atol=1e-8)
    l1 = QuantileRegressor(quantile=0.5, alpha=0.0).fit(diabetes.x, y)
    ours = np.abs(x @ linear.reweighted("l1", x, y) - y).mean()
    best = np.abs(l1.predict(diabetes.x) - y).mean()
    assert best * (1 - 1e-9) <= ours <= best * (1 + 1e-4)
    # scikit-learn's Huber learns its scale as well; at that scale both minimise the same thing.
    huber = HuberRegressor(epsilon=1.35, alpha=0.0, tol=1e-9, max_iter=10_000).fit(diabetes.x, y)
    found = linear.reweighted("smooth_l1", x, y, beta=1.35 * huber.scale_)
    np.testing.assert_allclose(found[:-1], huber.coef_, atol=1e-3)


def test_ramp_is_lower_after_the_concave_convex_procedure(cancer: samples.Split) -> None:
    x, y = linear.with_ones(cancer.x), samples.flipped(cancer.labels, 0.2, 2, 0).astype(float)
    start = linear.support_vector_machine(x, y, ramp.PENALTY, sharp=1e-2)
    end = ramp.fit_ramp(x, y, ramp.PENALTY, start)

    def risk(w: samples.Array) -> float:
        height = lossmith.curve("ramp", linear.margins(x, y, w), s=ramp.CAP).mean()
        return float(height + ramp.PENALTY / 2 * (w[:-1] ** 2).sum())

    assert risk(end) < risk(start) - 1e-3


def test_soft_thresholds_end_where_lasso_does(diabetes: samples.Split) -> None:
    x = sparsity.with_decoys(diabetes.x, 0)
    ours = sparsity.shrunk(x, diabetes.y, 0.1)
    theirs = Lasso(alpha=0.1, fit_intercept=False, tol=1e-10).fit(x, diabetes.y)
    np.testing.assert_allclose(ours, theirs.coef_, atol=1e-7)
    assert set(np.flatnonzero(ours)) == set(np.flatnonzero(theirs.coef_))
    ridge = Ridge(alpha=0.1 * len(x), fit_intercept=False).fit(x, diabetes.y)
    np.testing.assert_allclose(sparsity.ridge(x, diabetes.y, 0.1), ridge.coef_, atol=1e-9)


def test_decoys_are_shuffled_columns(diabetes: samples.Split) -> None:
    x = sparsity.with_decoys(diabetes.x, 0)
    np.testing.assert_array_equal(np.sort(x[:, 10:], axis=0), np.sort(diabetes.x, axis=0))
    assert np.abs(np.corrcoef(x.T)[range(10), range(10, 20)]).max() < 0.3


def test_the_best_line_through_two_points_is_the_best_of_all() -> None:
    x, y = jumps.patients(0, 0)
    found = jumps.lines(x, y)
    theirs = QuantileRegressor(quantile=0.5, alpha=0.0).fit(x[:, None], y)
    best = np.abs(theirs.predict(x[:, None]) - y).mean()
    for slope, height in found:
        assert np.abs(slope * x + height - y).mean() == pytest.approx(best, rel=1e-8)


def test_several_best_lines_are_found_where_there_are_some() -> None:
    x, y = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 1.0, 2.0, 5.0])
    assert sorted(map(tuple, jumps.lines(x, y))) == [(1, 1), (2, 0), (4, 1), (5, 0)]
    assert len(jumps.lines(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 2.0]))) == 1


def test_the_walk_under_l2_is_least_squares() -> None:
    x, y = jumps.patients(1, 0)
    _, l2 = jumps.walk(x, y, np.array([-1.0, 2.0]))
    for place, slope in zip((-1.0, 2.0), l2, strict=True):
        x[0] = place
        assert slope == pytest.approx(np.polyfit(x, y, 1)[0])


def test_a_line_that_stands_still_on_one_walk_is_no_missing_number() -> None:
    assert jumps.remaining([(0.0, 0.0), (0.5, 0.5), (1.0, 0.25)]) == [0.5]
    assert jumps.remaining([(0.0, 0.1), (0.4, 0.1)]) == [0.5]
    assert jumps.remaining([(0.0, 0.0), (0.0, 0.0)]) == []


def test_distances_between_and_within_are_those_of_a_drawing() -> None:
    middles = torch.arange(10.0).unsqueeze(1) * torch.tensor([[10.0, 0.0]])
    labels = torch.arange(10).repeat_interleave(2)
    features = middles[labels] + torch.tensor([[0.0, 1.0], [0.0, -1.0]]).repeat(10, 1)
    gaps = [10.0 * (b - a) for a in range(10) for b in range(a + 1, 10)]
    assert center.apart(features, labels) == pytest.approx(np.mean(gaps))


def test_the_line_search_of_boosting_is_adaboosts_step(cancer: samples.Split) -> None:
    trees, steps = boosting.boosted("exponential", cancer.x, cancer.y, 1, 0)
    wrong = (trees[0].predict(cancer.x) != cancer.y).mean()
    assert steps[0] == pytest.approx(0.5 * np.log((1 - wrong) / wrong))


def test_ridge_of_the_structural_risk_is_scikit_learns(diabetes: samples.Split) -> None:
    x, y = linear.with_ones(diabetes.x[:40]), diabetes.y[:40]
    found = structural._fit("diabetes", x, y, 0.2)
    theirs = Ridge(alpha=0.2 / 2 * 40).fit(diabetes.x[:40], y)
    np.testing.assert_allclose(found[:-1], theirs.coef_, atol=1e-10)


def test_small_samples_have_both_classes(cancer: samples.Split) -> None:
    for draw in range(20):
        order = structural._mixed(cancer.labels, 0, draw)
        assert sorted(order) == list(range(len(cancer.y)))
        assert 5 <= cancer.labels[order[:20]].sum() <= 15


def test_spoiling_touches_the_share_that_was_asked_for(cancer: samples.Split) -> None:
    flipped = samples.flipped(cancer.labels, 0.2, 2, 0)
    assert (flipped != cancer.labels).sum() == round(0.2 * len(flipped))
    digits = samples.classes("digits", 0)
    assert (samples.flipped(digits.labels, 0.3, 10, 0) != digits.labels).mean() == pytest.approx(
        0.3, abs=1e-3
    )
    moved = samples.with_outliers(digits.y, 0.1, 0) - digits.y
    assert set(np.round(moved, 6)) == {0.0, round(10 * digits.y.std(), 6)}
