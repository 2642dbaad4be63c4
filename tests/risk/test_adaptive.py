"""Barron's adaptive loss against mpmath, SciPy, closed forms, and data of known shape and scale."""

import copy
import math
import pickle

import mpmath as mp
import numpy as np
import pytest
import scipy.stats
import torch
import torch.nn.functional as F

import lossmith
from lossmith.risk.partition import log_partition

ALPHAS = [0.0, 1e-6, 0.001, 0.05, 0.3, 0.7, 1.0, 1.3, 1.7, 1.95, 1.999, 2.0]


def rho(x, alpha):
    """Eq. 8 of the paper, as it stands there."""
    if alpha == 2:
        return x**2 / 2
    if alpha == 0:
        return mp.log(x**2 / 2 + 1)
    b = abs(alpha - 2)
    return b / alpha * ((x**2 / b + 1) ** (alpha / 2) - 1)


def partition(alpha):
    """The integral itself, by mpmath, in the variable in which both ends fall off fast."""
    alpha = mp.mpf(alpha)
    with mp.workdps(20):
        knots = [0, 1, 2, 3, 5, 8, 12, 18, *([30, 50] if alpha < 0.5 else [])]
        return 2 * mp.quad(lambda t: mp.cosh(t) * mp.exp(-rho(mp.sinh(t), alpha)), knots)


@pytest.fixture(scope="module")
def exact():
    return {a: partition(a) for a in ALPHAS}


def test_the_partition_function_is_the_integral(exact):
    for dtype, allowed in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        got = log_partition(torch.tensor(ALPHAS, dtype=dtype))
        assert got.dtype == dtype
        for alpha, log_z in zip(ALPHAS, got.tolist(), strict=True):
            want = partition(float(np.float32(alpha))) if dtype == torch.float32 else exact[alpha]
            assert abs(mp.exp(log_z) / want - 1) < allowed, alpha


def test_the_partition_function_has_its_closed_forms():
    got = log_partition(torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)).exp()
    want = [math.pi * math.sqrt(2), float(2 * mp.e * mp.besselk(1, 1)), math.sqrt(2 * math.pi)]
    np.testing.assert_allclose(got, want, rtol=1e-13)


def test_the_partition_function_has_its_derivatives():
    alphas = [0.05, 0.7, 1.3, 1.95]
    a = torch.tensor(alphas, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(log_partition(a).sum(), a, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), a)
    for i, alpha in enumerate(alphas):
        h = mp.mpf("1e-3")
        # Five points: the error is h⁴ times a derivative of order one.
        y = [mp.log(partition(mp.mpf(alpha) + k * h)) for k in (-2, -1, 0, 1, 2)]
        first = (y[0] - 8 * y[1] + 8 * y[3] - y[4]) / (12 * h)
        second = (-y[0] + 16 * y[1] - 30 * y[2] + 16 * y[3] - y[4]) / (12 * h**2)
        assert abs(slope[i].item() / first - 1) < 1e-6
        assert abs(curvature[i].item() / second - 1) < 1e-3
    assert torch.autograd.gradcheck(log_partition, a)


@pytest.mark.parametrize("alpha", [0.0, 0.2, 1.0, 1.9, 2.0])
def test_the_density_integrates_to_one(alpha):
    """∫ exp(-loss) du = 1: the loss and its partition function are of one family."""
    loss = lossmith.AdaptiveLoss(
        alpha=alpha, scale=0.7, learn_alpha=False, learn_scale=False, reduction="none"
    )
    t = torch.linspace(-35, 35, 4001, dtype=torch.float64)
    u = torch.sinh(t)
    density = torch.exp(-loss(u, torch.zeros_like(u)))
    whole = (density * torch.cosh(t)).sum() * (t[1] - t[0])
    assert abs(whole.item() - 1) < 1e-10


def test_its_ends_are_the_normal_and_the_cauchy_likelihood():
    u = torch.linspace(-9, 9, 41, dtype=torch.float64)
    zero = torch.zeros_like(u)
    given = {"learn_alpha": False, "learn_scale": False, "scale": 0.7, "reduction": "none"}
    normal = lossmith.AdaptiveLoss(alpha=2.0, **given)(u, zero)
    var = torch.full_like(u, 0.49)  # 0.7 has more digits than float32
    torch.testing.assert_close(
        normal, F.gaussian_nll_loss(u, zero, var, full=True, reduction="none")
    )
    cauchy = lossmith.AdaptiveLoss(alpha=0.0, **given)(u, zero)
    want = -scipy.stats.cauchy.logpdf(u.numpy(), scale=0.7 * math.sqrt(2))
    np.testing.assert_allclose(cauchy.numpy(), want, rtol=1e-12)
    beside = lossmith.AdaptiveLoss(
        alpha=2.0 - 1e-9, scale=0.7, learn_scale=False, alpha_range=(0, 2)
    )
    assert beside.scale.item() == 0.7


@pytest.mark.parametrize("columns", [None, 3])
def test_gradients_of_the_latent_variables(columns):
    loss = lossmith.AdaptiveLoss(columns, alpha=1.3, scale=0.8).double()
    u = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2
    weight = torch.linspace(0.1, 2, 5, dtype=torch.float64).unsqueeze(1)
    mask = torch.ones(5, 3, dtype=torch.bool)
    mask[2, 1] = False

    def run(prediction, latent_alpha, latent_scale):
        settings = {"latent_alpha": latent_alpha, "latent_scale": latent_scale}
        batch = (prediction, torch.zeros_like(u), weight, mask)
        return torch.func.functional_call(loss, settings, batch)

    shape = () if columns is None else (3,)
    a = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    u, a, c = u.requires_grad_(), a.requires_grad_(), (a - 0.3).detach().requires_grad_()
    assert torch.autograd.gradcheck(run, (u, a, c))
    assert torch.autograd.gradgradcheck(lambda u, c: run(u, a.detach(), c), (u, c))
    (slope,) = torch.autograd.grad(run(u, a, c), a, create_graph=True)
    with pytest.raises(lossmith.FormulaError, match="∂/∂alpha"):  # the one that is not offered
        torch.autograd.grad(slope.sum(), a)


def draw(alpha, c, count, seed):
    """Residuals of that very density: the inverse of its distribution function, by integration."""
    t = np.linspace(-25, 25, 100_001)
    x = np.sinh(t)
    b = 2 - alpha
    density = np.exp(-b / alpha * np.expm1(alpha / 2 * np.log1p(x**2 / b))) * np.cosh(t)
    below = np.cumsum((density[1:] + density[:-1]) / 2)
    below = np.concatenate([[0.0], below]) / below[-1]
    uniform = np.random.default_rng(seed).uniform(size=count)
    return c * np.sinh(np.interp(uniform, below, t))


def fit(loss, residuals, parameters=None):
    optimiser = torch.optim.LBFGS(
        parameters or list(loss.parameters()), max_iter=100, line_search_fn="strong_wolfe"
    )

    def closure():
        optimiser.zero_grad()
        value = loss(residuals, torch.zeros_like(residuals))
        value.backward()
        return value

    optimiser.step(closure)


def test_it_recovers_shape_and_scale():
    """2500 residuals a column: within 0.17 in alpha and 11 % in c, about three standard errors."""
    truth = [(0.3, 0.5), (1.0, 20.0), (1.6, 0.07)]  # columns of very different units
    residuals = np.stack([draw(a, c, 2_500, seed) for seed, (a, c) in enumerate(truth)], 1)
    loss = lossmith.AdaptiveLoss(3).double()
    fit(loss, torch.from_numpy(residuals))
    for (alpha, c), got_alpha, got_c in zip(
        truth, loss.alpha.tolist(), loss.scale.tolist(), strict=True
    ):
        assert abs(got_alpha - alpha) < 0.17
        assert abs(got_c / c - 1) < 0.11


def test_one_shape_for_all_columns_is_one_sample():
    residuals = torch.from_numpy(draw(0.8, 1.5, 15_000, seed=5))
    together = lossmith.AdaptiveLoss().double()
    fit(together, residuals.reshape(-1, 3))
    assert together.alpha.shape == ()
    assert abs(together.alpha.item() - 0.8) < 0.06
    assert abs(together.scale.item() / 1.5 - 1) < 0.04


def test_without_the_partition_function_nothing_is_recovered():
    """What it is for: barron's own alpha runs to whatever makes residuals cheapest."""
    residuals = torch.from_numpy(draw(1.6, 1.0, 2_000, seed=6))
    alpha = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    for _ in range(100):
        (slope,) = torch.autograd.grad(
            lossmith.barron(residuals, torch.zeros_like(residuals), alpha=alpha), alpha
        )
        assert slope > 0  # ever smaller is ever cheaper
        with torch.no_grad():
            alpha -= slope


def test_it_beats_squared_error_among_outliers():
    random = np.random.default_rng(7)
    x = random.normal(size=(400, 4))
    truth = np.array([1.0, -2.0, 0.5, 3.0])
    y = x @ truth + 0.1 * random.normal(size=400)
    wild = random.uniform(size=400) < 0.15
    y[wild] += random.uniform(5, 50, size=wild.sum())
    x, y = torch.from_numpy(x), torch.from_numpy(y)

    def error(loss):
        weights = torch.zeros(4, dtype=torch.float64, requires_grad=True)
        model = [weights, *loss.parameters()]
        optimiser = torch.optim.LBFGS(model, max_iter=300, line_search_fn="strong_wolfe")

        def closure():
            optimiser.zero_grad()
            value = loss(x @ weights, y)
            value.backward()
            return value

        optimiser.step(closure)
        return float((weights.detach() - torch.from_numpy(truth)).norm())

    adaptive = lossmith.AdaptiveLoss().double()
    squared, robust = error(lossmith.L2()), error(adaptive)
    assert robust < 0.05 < 0.5 < squared
    assert adaptive.alpha < 0.5  # it has seen the outliers


def test_weights_masks_and_reductions():
    generator = torch.Generator().manual_seed(3)
    u = torch.randn(6, 2, dtype=torch.float64, generator=generator)
    zero = torch.zeros_like(u)
    weight = torch.tensor([0, 1, 2, 3, 1, 1.0], dtype=torch.float64).unsqueeze(1)
    mask = torch.ones(6, 1, dtype=torch.bool)
    mask[5] = False
    u[0], u[5, 1] = torch.nan, torch.nan  # dropped, by weight and by mask
    loss = lossmith.AdaptiveLoss(2, alpha=0.4, scale=2.0).double()
    repeated = torch.cat([u[1:2], u[2:3], u[2:3], u[3:4], u[3:4], u[3:4], u[4:5]])
    want = loss(repeated, torch.zeros_like(repeated))
    torch.testing.assert_close(loss(u, zero, weight, mask), want)
    total, mass = loss.total(u, zero, weight, mask)
    assert mass.item() == 14
    torch.testing.assert_close(total / mass, want)
    loss.reduction = "sum"
    torch.testing.assert_close(loss(u, zero, weight, mask), total)
    loss.reduction = "none"
    each = loss(u, zero, weight, mask)
    torch.testing.assert_close(each.sum(), total)
    assert (each[0] == 0).all()
    assert (each[5] == 0).all()
    loss.reduction = "mean"
    empty = torch.zeros(0, 2, dtype=torch.float64, requires_grad=True)
    nothing = loss(empty, torch.zeros(0, 2, dtype=torch.float64))
    nothing.backward()
    assert nothing.item() == 0
    assert torch.equal(loss.latent_alpha.grad, torch.zeros(2, dtype=torch.float64))


def test_it_travels():
    loss = lossmith.AdaptiveLoss(2, alpha=0.5, scale=3.0, scale_min=1e-3)
    u = torch.tensor([[1.0, -4.0], [0.2, 7.0]])
    zero = torch.zeros_like(u)
    with torch.no_grad():
        loss.latent_alpha += torch.tensor([0.3, -0.7])
    for copied in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert torch.equal(copied(u, zero), loss(u, zero))
    other = lossmith.AdaptiveLoss(2, scale_min=1e-3)
    other.load_state_dict(loss.state_dict())
    assert torch.equal(other(u, zero), loss(u, zero))
    assert list(loss.state_dict()) == ["latent_alpha", "latent_scale"]
    assert list(lossmith.AdaptiveLoss(learn_alpha=False).state_dict()) == ["latent_scale"]
    start = lossmith.AdaptiveLoss(2, alpha=0.5, scale=3.0)
    torch.testing.assert_close(start.alpha, torch.full((2,), 0.5))
    torch.testing.assert_close(start.scale, torch.full((2,), 3.0))
    assert "alpha=0.5, scale=3" in repr(start)
    half = loss(u.bfloat16(), zero.bfloat16())
    assert half.dtype == torch.float32


def test_latent_variables_at_their_ends_stay_finite():
    loss = lossmith.AdaptiveLoss(alpha_range=(0.0, 2.0))
    u = torch.tensor([0.0, 1e-3, 5.0, -1e4])
    for step in (-200.0, -20.0, 20.0, 200.0):
        with torch.no_grad():
            loss.latent_alpha.fill_(step)
            loss.latent_scale.fill_(abs(step))
        value = loss(u, torch.zeros(4))
        value.backward()
        assert math.isfinite(value.item())
        assert math.isfinite(loss.latent_alpha.grad.item())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"columns": 0}, "columns = 0"),
        ({"columns": 2.5}, "columns = 2.5"),
        ({"alpha": 2.0}, "strictly inside"),
        ({"alpha": 2.5, "learn_alpha": False}, "outside"),
        ({"alpha": -1.0, "learn_alpha": False}, "outside"),
        ({"scale": 0.0}, "scale = 0.0"),
        ({"scale": math.inf}, "scale = inf"),
        ({"scale_min": 0.0}, "scale_min = 0.0"),
        ({"alpha_range": (1.0, 1.0)}, "alpha_range"),
        ({"alpha_range": (-1.0, 1.0)}, "finite integral"),
        ({"alpha_range": (0.5, 3.0)}, "alpha_range"),
        ({"reduction": "average"}, "average"),
    ],
)
def test_settings_without_a_meaning_are_refused(given, says):
    with pytest.raises(lossmith.InputError, match=says):
        lossmith.AdaptiveLoss(**given)


def test_batches_without_a_meaning_are_refused():
    loss = lossmith.AdaptiveLoss(3)
    with pytest.raises(lossmith.ShapeError, match="columns = 3"):
        loss(torch.zeros(3, 2), torch.zeros(3, 2))
    with pytest.raises(lossmith.ShapeError, match="nothing is broadcast"):
        loss(torch.zeros(2, 3), torch.zeros(3))
