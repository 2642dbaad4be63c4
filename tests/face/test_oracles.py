"""Curves, values and derivatives against statsmodels, scikit-learn and SciPy."""

import numpy as np
import pytest
import scipy.special as special
import sklearn._loss.loss as sk
import sklearn.metrics as metrics
import statsmodels.robust.norms as norms
import torch

import lossmith

CLOSE = {"rtol": 1e-11, "atol": 1e-12}
draw = np.random.default_rng(20)
RESIDUALS = np.concatenate([draw.normal(0, 3, 60), [0.0, 1e-8, 30.0, -30.0]])

# Ours, its parameters, the norm of statsmodels, our curve times what.
NORMS = {
    "tukey": ("tukey_biweight", {}, norms.TukeyBiweight(), 1),
    "tukey, c 2": ("tukey_biweight", {"c": 2.0}, norms.TukeyBiweight(2.0), 1),
    "huber": ("huber", {"delta": 1.345}, norms.HuberT(), 1),
    "huber, t 0.5": ("huber", {"delta": 0.5}, norms.HuberT(0.5), 1),
    "squares": ("l2", {}, norms.LeastSquares(), 0.5),
    # (c²·df/2)·log(1 + z²/(c²·df)): the Cauchy loss whose scale is c·√df.
    "student, df 1": ("cauchy", {"c": 2.385}, norms.StudentT(c=2.385, df=1), 1),
    "student, df 4": ("cauchy", {"c": 2.0}, norms.StudentT(c=1.0, df=4), 1),
}


@pytest.mark.parametrize("case", NORMS)
@pytest.mark.parametrize("what", ["rho", "psi", "psi_deriv", "weights"])
def test_statsmodels_norms(case, what):
    name, parameters, norm, times = NORMS[case]
    u = RESIDUALS[np.abs(RESIDUALS) > 0] if what == "weights" else RESIDUALS
    theirs = np.broadcast_to(getattr(norm, what)(u), u.shape)
    if what == "weights":
        ours = lossmith.curve(name, u, order=1, **parameters) / u
    else:
        order = ("rho", "psi", "psi_deriv").index(what)
        ours = lossmith.curve(name, u, order=order, **parameters)
    np.testing.assert_allclose(times * ours, theirs, **CLOSE)


@pytest.mark.parametrize("tau", [0.2, 0.7])
def test_statsmodels_m_quantiles(tau):
    """Their residual is target - prediction, ours prediction - target; their square has a half."""
    squares = norms.MQuantileNorm(tau, norms.LeastSquares())
    value, slope = (lossmith.curve("expectile", RESIDUALS, order=k, tau=tau) for k in (0, 1))
    np.testing.assert_allclose(value / 2, squares.rho(-RESIDUALS), **CLOSE)
    np.testing.assert_allclose(slope / 2, -squares.psi(-RESIDUALS), **CLOSE)


def targets_and_predictions(seed=3, count=50):
    g = np.random.default_rng(seed)
    return g.normal(size=count), 2 * g.normal(size=count)


def labels_and_scores(seed=4, count=50):
    g = np.random.default_rng(seed)
    return g.integers(0, 2, count).astype(float), 3 * g.normal(size=count)


# Ours, their loss object, draws, our number times what is theirs, whether hessians agree.
SKLEARN = {
    "squared": (lossmith.L2(), sk.HalfSquaredError(), targets_and_predictions, 0.5, True),
    "absolute": (lossmith.L1(), sk.AbsoluteError(), targets_and_predictions, 1, False),
    "pinball": (
        lossmith.Pinball(0.3),
        sk.PinballLoss(quantile=0.3),
        targets_and_predictions,
        1,
        False,
    ),
    "huber": (lossmith.Huber(0.7), sk.HuberLoss(delta=0.7), targets_and_predictions, 1, False),
    "binomial": (lossmith.BinaryCrossEntropy(), sk.HalfBinomialLoss(), labels_and_scores, 1, True),
    "logistic": (lossmith.Logistic(), sk.HalfBinomialLoss(), labels_and_scores, 1, True),
    "exponential": (lossmith.Exponential(), sk.ExponentialLoss(), labels_and_scores, 1, True),
}


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("case", SKLEARN)
def test_sklearn_losses_and_derivatives(case, soft):
    ours, theirs, make, times, hessians = SKLEARN[case]
    y, raw = make()
    if soft:
        if make is targets_and_predictions:
            raw[:10] = y[:10]  # residuals of exactly 0: the stated slope is scikit-learn's
            if case == "absolute":
                raw[:10] += 1e-3  # whose slope is -1 there, torch's and ours 0
        else:
            y = np.random.default_rng(5).uniform(size=len(y))
    found = lossmith.derivatives(ours, torch.tensor(raw), torch.tensor(y))
    gradient, hessian = theirs.gradient_hessian(y_true=y, raw_prediction=raw)
    np.testing.assert_allclose(
        times * found.value, theirs.loss(y_true=y, raw_prediction=raw), **CLOSE
    )
    np.testing.assert_allclose(times * found.gradient, gradient, **CLOSE)
    if hessians:
        expected = np.broadcast_to(hessian, found.hessian.shape)  # constant ones have one entry
        np.testing.assert_allclose(times * found.hessian, expected, **CLOSE)


def test_sklearn_multinomial_loss():
    """Gradient and the diagonal of the Hessian, rows of 4 classes, with sample weights."""
    g = np.random.default_rng(6)
    raw, y, w = 2 * g.normal(size=(30, 4)), g.integers(0, 4, 30), g.uniform(0.1, 3, 30)
    theirs = sk.HalfMultinomialLoss(n_classes=4)
    found = lossmith.derivatives(
        lossmith.cross_entropy, torch.tensor(raw), torch.tensor(y), sample_weight=torch.tensor(w)
    )
    given = {"y_true": y.astype(float), "raw_prediction": raw, "sample_weight": w}
    gradient, hessian = theirs.gradient_hessian(**given)
    np.testing.assert_allclose(found.value, theirs.loss(**given), **CLOSE)
    np.testing.assert_allclose(found.gradient, gradient, **CLOSE)
    np.testing.assert_allclose(found.hessian, hessian, **CLOSE)


def test_hinge_metric():
    y, scores = labels_and_scores(7)
    sign, w = 2 * y - 1, np.random.default_rng(8).uniform(0, 2, len(y))
    scores[:3] = sign[:3]  # margins of exactly 1
    ours = lossmith.hinge(torch.tensor(scores), torch.tensor(y), sample_weight=torch.tensor(w))
    np.testing.assert_allclose(ours, metrics.hinge_loss(sign, scores, sample_weight=w), **CLOSE)


def test_multiclass_hinge_metric():
    g = np.random.default_rng(9)
    scores, y = g.normal(size=(40, 5)), g.integers(0, 5, 40)
    ours = lossmith.CrammerSinger("hinge")(torch.tensor(scores), torch.tensor(y))
    np.testing.assert_allclose(ours, metrics.hinge_loss(y, scores, labels=range(5)), **CLOSE)


def test_log_loss_metric():
    y, scores = labels_and_scores(10)
    p = special.expit(scores)
    ours = lossmith.binary_cross_entropy(torch.tensor(scores), torch.tensor(y))
    np.testing.assert_allclose(ours, metrics.log_loss(y, p), **CLOSE)
    g = np.random.default_rng(11)
    logits, classes = 3 * g.normal(size=(40, 6)), g.integers(0, 6, 40)
    ours = lossmith.cross_entropy(torch.tensor(logits), torch.tensor(classes))
    theirs = metrics.log_loss(classes, special.softmax(logits, 1), labels=range(6))
    np.testing.assert_allclose(ours, theirs, **CLOSE)


def test_zero_one_metric():
    y, scores = labels_and_scores(12)
    ours = lossmith.zero_one(torch.tensor(scores), torch.tensor(y))
    np.testing.assert_allclose(ours, metrics.zero_one_loss(y, scores > 0), **CLOSE)
    tie = lossmith.zero_one(torch.zeros(2), torch.tensor([0.0, 1.0]), reduction="none")
    assert tie.tolist() == [1.0, 1.0]
    g = np.random.default_rng(13)
    rows, classes = g.normal(size=(40, 4)), g.integers(0, 4, 40)
    ours = lossmith.CrammerSinger("zero_one")(torch.tensor(rows), torch.tensor(classes))
    np.testing.assert_allclose(ours, metrics.zero_one_loss(classes, rows.argmax(1)), **CLOSE)


def test_brier_metric():
    y, scores = labels_and_scores(14)
    ours = lossmith.brier(torch.tensor(scores), torch.tensor(y))
    np.testing.assert_allclose(ours, metrics.brier_score_loss(y, special.expit(scores)), **CLOSE)


@pytest.mark.parametrize("delta", [0.3, 1.0, 4.0])
def test_scipy_huber(delta):
    np.testing.assert_allclose(
        lossmith.curve("huber", RESIDUALS, delta=delta), special.huber(delta, RESIDUALS), **CLOSE
    )
    np.testing.assert_allclose(
        lossmith.curve("pseudo_huber", RESIDUALS, delta=delta),
        special.pseudo_huber(delta, RESIDUALS),
        **CLOSE,
    )


def test_scipy_logistic_words():
    """log_expit, expit and xlogy: logistic, sigmoid_loss, brier, savage and the binary entropy."""
    m = np.concatenate([np.linspace(-40, 40, 41), [-700.0, 700.0]])
    tail = special.expit(-m)
    close = {"rtol": 1e-12, "atol": 0.0}
    np.testing.assert_allclose(lossmith.curve("logistic", m), -special.log_expit(m), **close)
    np.testing.assert_allclose(lossmith.curve("sigmoid_loss", m), tail, **close)
    np.testing.assert_allclose(lossmith.curve("brier", m), tail**2, **close)
    np.testing.assert_allclose(lossmith.curve("savage", m / 8), special.expit(-m / 4) ** 2, **close)
    np.testing.assert_allclose(
        lossmith.curve("binary_focal", m, gamma=1.5), -(tail**1.5) * special.log_expit(m), **close
    )


def test_scipy_log_softmax_and_relative_entropy():
    """Cross-entropy with a distribution q is Σ rel_entr(q, p) plus the entropy of q."""
    g = np.random.default_rng(15)
    logits, q = 4 * g.normal(size=(20, 5)), g.dirichlet(np.ones(5), 20)
    q[0] = [1, 0, 0, 0, 0]
    u = special.log_softmax(logits, 1)
    ours = lossmith.cross_entropy(torch.tensor(logits), torch.tensor(q), reduction="none")
    divergence = special.rel_entr(q, np.exp(u)).sum(1)
    np.testing.assert_allclose(ours, divergence + special.entr(q).sum(1), **CLOSE)
    classes = g.integers(0, 5, 20)
    log_p = u[np.arange(20), classes]
    for name, parameters, expected in (
        ("focal", {"gamma": 3.0}, -((1 - np.exp(log_p)) ** 3) * log_p),
        ("generalized_cross_entropy", {"q": 0.4}, -special.boxcox(np.exp(log_p), 0.4)),
        ("poly1", {"epsilon": 2.0}, -log_p - 2 * special.expm1(log_p)),
    ):
        ours = getattr(lossmith, name)(
            torch.tensor(logits), torch.tensor(classes), reduction="none", **parameters
        )
        np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-12)


def test_barron_is_the_known_losses_at_its_special_values():
    """Barron 2019, eq. 8: squares, pseudo-Huber, Cauchy, Geman-McClure, and Welsch in the limit."""
    u, same = RESIDUALS, {"rtol": 1e-9, "atol": 1e-11}
    np.testing.assert_allclose(lossmith.curve("barron", u, alpha=2.0), u**2 / 2, **same)
    np.testing.assert_allclose(
        lossmith.curve("barron", u, alpha=1.0), special.pseudo_huber(1, u), **same
    )
    np.testing.assert_allclose(lossmith.curve("barron", u, alpha=0.0), np.log1p(u**2 / 2), **same)
    np.testing.assert_allclose(
        lossmith.curve("barron", u, alpha=-2.0), 2 * u**2 / (u**2 + 4), **same
    )
    np.testing.assert_allclose(
        lossmith.curve("barron", u, alpha=-1e9), -np.expm1(-(u**2) / 2), rtol=1e-6, atol=1e-9
    )
