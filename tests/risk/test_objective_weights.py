"""Weights that follow a schedule, or are learned from the size of their loss."""

import copy
import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

import lossmith
from risk.objectives import F64


def test_ramps_meet_their_ends_exactly():
    ramp = lossmith.LinearRamp(0.1, 0.7, steps=3, after=2)
    expected = np.interp(range(9), [2, 5], [0.1, 0.7])
    np.testing.assert_allclose([ramp(k) for k in range(9)], expected, rtol=1e-15)
    assert (ramp(0), ramp(2), ramp(5), ramp(10**9)) == (0.1, 0.1, 0.7, 0.7)
    cosine = lossmith.CosineRamp(0.1, 0.7, steps=3, after=2)
    assert (cosine(0), cosine(2), cosine(5), cosine(10**9)) == (0.1, 0.1, 0.7, 0.7)
    # torch's scheduler anneals by the same formula.
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.9)
    anneal = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=6, eta_min=0.2)
    for k in range(7):
        rate = optimizer.param_groups[0]["lr"]
        assert lossmith.CosineRamp(0.9, 0.2, steps=6)(k) == pytest.approx(rate, rel=1e-12)
        optimizer.step()
        anneal.step()


def ramped():
    ramp = lossmith.LinearRamp(0.0, 1.0, steps=4)
    own = lossmith.CosineRamp(2.0, 0.0, steps=5) * lossmith.L1().on(target="other")
    return ramp * (lossmith.L2() + lossmith.Huber()) + own


def test_a_run_goes_on_exactly_where_it_stopped():
    x = torch.linspace(-2, 2, 9, dtype=F64)
    given = {"prediction": x, "target": x * 0, "other": x * 0}
    parts = {
        "l2": x.square().mean(), "huber": torch.nn.functional.huber_loss(x, x * 0),
        "l1": x.abs().mean(),
    }  # fmt: skip

    def expected(k):
        w, v = min(k / 4, 1), 1 + math.cos(math.pi * min(k / 5, 1))
        return w * (parts["l2"] + parts["huber"]) + v * parts["l1"]

    objective = ramped()
    for k in range(3):
        torch.testing.assert_close(objective(**given), expected(k), rtol=1e-14, atol=0)
        objective.advance()
    saved = copy.deepcopy(objective.state_dict())
    assert sorted(saved) == [f"weighting.{name}.step" for name in ("huber", "l1", "l2")]
    resumed = ramped()
    resumed.load_state_dict(saved)
    for k in range(3, 7):
        assert torch.equal(resumed(**given), objective(**given))
        torch.testing.assert_close(resumed(**given), expected(k), rtol=1e-14, atol=1e-15)
        objective.advance()
        resumed.advance()
    resumed.set_step(1)
    torch.testing.assert_close(resumed(**given), expected(1), rtol=1e-14, atol=0)
    with pytest.raises(lossmith.ParameterError, match="step = -1"):
        resumed.set_step(-1)


def test_a_tensor_as_weight_is_changed_in_place():
    weight = torch.tensor(0.5)
    objective = weight * lossmith.L2()
    x = torch.ones(3)
    weight.fill_(3.0)
    assert objective(prediction=x, target=x - 1) == 3.0
    assert not objective.state_dict()


@pytest.mark.parametrize(("form", "c"), [("classification", 1.0), ("regression", 0.5)])
@pytest.mark.parametrize("size", [1e-3, 0.7, 420.0])
def test_the_learned_weight_is_the_closed_form_optimum(form, c, size):
    objective = (lossmith.Uncertainty(form) * lossmith.L2()).double()
    s = objective.weighting.l2.log_variance
    x = torch.full((3,), math.sqrt(size), dtype=F64)

    def value(log_variance):
        with torch.no_grad():
            s.fill_(log_variance)
        return objective(prediction=x, target=x * 0)

    best = minimize_scalar(lambda v: value(v).item(), tol=1e-12)
    assert best.x == pytest.approx(math.log(2 * c * size), abs=1e-5)
    at = value(math.log(2 * c * size))
    at.backward()
    assert abs(s.grad.item()) < 1e-12  # stationary
    assert objective.weights()["l2"].item() * size == pytest.approx(0.5, rel=1e-12)


def tasks():
    """Two regressions that share a slope and nothing else; the second is far noisier."""
    g = torch.Generator().manual_seed(5)
    x = torch.randn(60, 2, generator=g, dtype=F64)
    a = x @ torch.tensor([1.0, -2.0], dtype=F64) + 0.1 * torch.randn(60, generator=g, dtype=F64)
    b = x @ torch.tensor([1.1, -1.8], dtype=F64) + 1.0 * torch.randn(60, generator=g, dtype=F64)
    return x, a, b


def fit(scale):
    """Weights of two tasks with common coefficients, the second loss multiplied by `scale`."""
    x, a, b = tasks()
    form = lossmith.Uncertainty
    second = scale * lossmith.L2().on(prediction="two", target="b")
    objective = form("regression") * lossmith.L2().on(target="a").named("first")
    objective = (objective + form("regression") * second.named("second")).double()
    coefficients = torch.zeros(2, dtype=F64, requires_grad=True)
    learned = [coefficients, *objective.parameters()]
    assert len(learned) == 3
    optimizer = torch.optim.LBFGS(learned, max_iter=400, line_search_fn="strong_wolfe",
                                  tolerance_grad=1e-10, tolerance_change=1e-14)  # fmt: skip

    def closure():
        optimizer.zero_grad()
        y = x @ coefficients
        value = objective(prediction=y, two=y, a=a, b=b)
        value.backward()
        return value

    optimizer.step(closure)
    weights = list(objective.weights().values())
    return coefficients.detach(), (weights[0] / weights[1]).item(), objective


def test_a_loss_times_1000_leaves_the_effective_ratio():
    one, ratio, _ = fit(1.0)
    thousand, far, _ = fit(1000.0)
    # The weight of the second task, its factor included, over that of the first.
    assert far == pytest.approx(ratio, rel=0.05)
    torch.testing.assert_close(thousand, one, rtol=1e-3, atol=1e-4)


def test_the_learned_variances_are_those_of_maximum_likelihood():
    """Reweighted least squares, by NumPy, has the same fixed point."""
    coefficients, _, objective = fit(1.0)
    x, a, b = (t.numpy() for t in tasks())
    variance = np.ones(2)
    for _ in range(200):
        w = 1 / variance
        beta = np.linalg.solve(w.sum() * x.T @ x, x.T @ (w[0] * a + w[1] * b))
        variance = np.array([np.mean((a - x @ beta) ** 2), np.mean((b - x @ beta) ** 2)])
    np.testing.assert_allclose(coefficients.numpy(), beta, rtol=1e-4)
    learned = [p.item() for p in objective.weighting.parameters()]
    np.testing.assert_allclose(np.exp(learned), variance, rtol=1e-3)


def test_log_variances_are_learned_and_restored():
    objective = lossmith.Uncertainty() * lossmith.CrossEntropy() + lossmith.L2()
    assert [n for n, _ in objective.named_parameters()] == ["weighting.cross_entropy.log_variance"]
    with torch.no_grad():
        objective.weighting.cross_entropy.log_variance.fill_(0.3)
    fresh = lossmith.Uncertainty() * lossmith.CrossEntropy() + lossmith.L2()
    fresh.load_state_dict(objective.state_dict())
    assert fresh.weighting.cross_entropy.log_variance.item() == pytest.approx(0.3)
