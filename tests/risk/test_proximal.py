"""The proximal step reaches the minimum of scikit-learn and skglm, whatever the optimiser."""

import copy

import numpy as np
import pytest
import torch
from sklearn.linear_model import ElasticNet, Lasso, MultiTaskLasso
from torch import nn, optim

import lossmith
from risk.peers import penalties as peers

N, P, ALPHA = 60, 12, 0.15
_RNG = np.random.default_rng(0)
X = _RNG.normal(size=(N, P))
Y = X[:, :4] @ np.array([2.0, -1.0, 0.5, 1.0]) + 0.3 * _RNG.normal(size=N)
# Centred, so that no intercept is needed: its slope goes to 0, and Adam's metric with it, which
# slows every optimiser of that kind down and has nothing to do with penalties.
X, Y = X - X.mean(0), Y - Y.mean()
XT, YT = torch.tensor(X), torch.tensor(Y)

# An optimiser, and rounds enough for it.
OPTIMIZERS = {
    "SGD": (lambda p: optim.SGD(p, lr=0.3), 150),
    "momentum": (lambda p: optim.SGD(p, lr=0.05, momentum=0.9), 350),
    "Nesterov": (lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True), 350),
    "dampening": (lambda p: optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.5), 400),
    "Adam": (lambda p: optim.Adam(p, lr=0.05), 400),
    "AMSGrad": (lambda p: optim.Adam(p, lr=0.2, amsgrad=True), 400),
    "AdamW": (lambda p: optim.AdamW(p, lr=0.05, weight_decay=0.0), 400),
    "RMSprop": (lambda p: optim.RMSprop(p, lr=0.02), 400),
    "RMSprop with momentum": (
        lambda p: optim.RMSprop(p, lr=0.002, alpha=0.9, momentum=0.9),
        500,
    ),
    "Adagrad": (lambda p: optim.Adagrad(p, lr=0.5, lr_decay=1e-4), 300),
}


def half_mse(model):
    return 0.5 * ((model(XT)[:, 0] - YT) ** 2).mean()


def started(outputs=1):
    torch.manual_seed(0)
    model = nn.Linear(P, outputs, bias=False).double()
    nn.init.normal_(model.weight)
    return model


def train(model, optimizer, rounds, penalties=None, loss=half_mse):
    prox = lossmith.ProximalStep(optimizer, penalties, model) if penalties else None
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, 0.9995)
    for _ in range(rounds):
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()
        scheduler.step()  # before the proximal step, which has to know the lr of the step taken
        if prox:
            prox.step()
    optimizer.zero_grad()
    loss(model).backward()
    return model.weight.detach().numpy()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_lasso(name):
    make, rounds = OPTIMIZERS[name]
    expected = Lasso(alpha=ALPHA, fit_intercept=False, tol=1e-13, max_iter=100_000).fit(X, Y)
    model, penalty = started(), lossmith.L1Penalty()
    (got,) = train(model, make(model.parameters()), rounds, {penalty: ALPHA})
    np.testing.assert_allclose(got, expected.coef_, atol=1e-6)
    assert 4 < (got == 0).sum() < P
    np.testing.assert_array_equal(got == 0, expected.coef_ == 0)
    assert penalty.distance(model, weight=ALPHA) <= 1e-6


@pytest.mark.parametrize("name", ["SGD", "momentum", "Adam"])
def test_the_plain_subgradient_road_has_no_zero(name):
    make, rounds = OPTIMIZERS[name]
    model, penalty = started(), lossmith.L1Penalty()

    def loss(model):
        return half_mse(model) + ALPHA * penalty(model)

    (got,) = train(model, make(model.parameters()), rounds, loss=loss)
    assert (got == 0).sum() == 0
    assert (np.abs(got) < 0.05).sum() >= 5  # it does come near


@pytest.mark.parametrize("name", ["SGD", "momentum", "Adam"])
def test_the_elastic_net(name):
    make, rounds = OPTIMIZERS[name]
    options = {"fit_intercept": False, "tol": 1e-13, "max_iter": 100_000}
    expected = ElasticNet(alpha=ALPHA, l1_ratio=0.6, **options).fit(X, Y).coef_
    model, penalty = started(), lossmith.ElasticNet(0.6)
    (got,) = train(model, make(model.parameters()), rounds, (penalty, ALPHA))
    np.testing.assert_allclose(got, expected, atol=1e-6)
    np.testing.assert_array_equal(got == 0, expected == 0)
    # The same in two steps: λ·ρ of one, λ·(1 - ρ) of the other.
    model = started()
    both = {lossmith.L2Penalty(): ALPHA * 0.4, lossmith.L1Penalty(): ALPHA * 0.6}
    (got,) = train(model, make(model.parameters()), rounds, both)
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["SGD", "momentum", "Adam"])
def test_the_group_lasso(name):
    """Many tasks: one group for each input; scikit-learn's minimum, at rest by skglm's measure."""
    make, rounds = OPTIMIZERS[name]
    tasks = np.stack([Y, Y[::-1] + X[:, 5], X[:, 0] * 0.3], 1)
    weight = 0.2
    options = {"fit_intercept": False, "tol": 1e-13, "max_iter": 100_000}
    expected = MultiTaskLasso(alpha=weight, **options).fit(X, tasks).coef_

    def loss(model):
        return 0.5 * ((XT @ model.weight.T - torch.tensor(tasks)) ** 2).sum(1).mean()

    ours = lossmith.GroupLasso("columns", only="weight")
    model = started(3)
    ours_weight = weight / 3**0.5  # neither of them has √size
    got = train(model, make(model.parameters()), rounds, {ours: ours_weight}, loss=loss)
    np.testing.assert_allclose(got, expected, atol=1e-6)
    gradient = model.weight.grad.numpy().T
    rest = peers.L2_1(weight).subdiff_distance(got.T, gradient, np.arange(P))
    assert rest.max() <= 1e-6
    np.testing.assert_array_equal((got == 0).all(0), (expected == 0).all(0))
    assert 0 < (got == 0).all(0).sum() < P
    assert ours.distance(model, weight=ours_weight) == pytest.approx(rest.max(), abs=1e-9)


@pytest.mark.parametrize("name", ["mcp", "scad"])
def test_penalties_that_are_not_convex_reach_skglms_point(name):
    lam, step = 0.3, 0.3
    theirs = {"mcp": peers.MCPenalty(lam, 3.0), "scad": peers.SCAD(lam, 3.7)}[name]
    expected = np.zeros(P)
    for _ in range(300):
        forward = expected - step * X.T @ (X @ expected - Y) / N
        expected = np.array([theirs.prox_1d(v, step, 0) for v in forward])
    linear = nn.Linear(P, 1, bias=False).double()
    nn.init.zeros_(linear.weight)  # as skglm does
    penalty = lossmith.Penalty(name, scale=lam)
    optimizer = optim.SGD(linear.parameters(), lr=0.3)
    (got,) = train(linear, optimizer, 300, {penalty: lam})
    np.testing.assert_allclose(got, expected, atol=1e-6)
    np.testing.assert_array_equal(got == 0, expected == 0)
    assert penalty.distance(linear, weight=lam) <= 1e-6


@pytest.mark.parametrize(
    "penalty",
    [
        lossmith.L1Penalty(),
        lossmith.ElasticNet(0.6),
        lossmith.MCP(),
        lossmith.GroupLasso("columns"),
    ],
)
def test_lambda_max_is_where_everything_turns_zero(penalty):
    model = nn.Linear(P, 2, bias=False).double()
    target = torch.stack([YT, -0.5 * YT.roll(3)], 1)

    def loss(model):
        return 0.5 * ((model(XT) - target) ** 2).sum(1).mean()

    nn.init.zeros_(model.weight)
    loss(model).backward()
    largest = penalty.lambda_max(model)
    for factor, zero in ((1.001, True), (0.999, False)):
        nn.init.zeros_(model.weight)
        optimizer = optim.SGD(model.parameters(), lr=0.05)
        train(model, optimizer, 200, {penalty: largest * factor}, loss=loss)
        assert bool((model.weight == 0).all()) == zero


def test_lambda_max_is_scikit_learns():
    model = started()
    nn.init.zeros_(model.weight)
    half_mse(model).backward()
    for ratio in (0.25, 1.0):
        found = lossmith.ElasticNet(ratio).lambda_max(model)
        for factor, zero in ((1.001, True), (0.999, False)):
            theirs = ElasticNet(
                alpha=found * factor, l1_ratio=ratio, fit_intercept=False, tol=1e-14
            )
            assert bool((theirs.fit(X, Y).coef_ == 0).all()) == zero
    assert lossmith.L2Penalty().lambda_max(model) == float("inf")


def test_momentum_is_momentum_on_the_sum_while_no_sign_changes():
    """Step for step, from the first, and through a change of the learning rate."""
    for options in ({}, {"nesterov": True}, {"dampening": 0.3}):
        one, other = started(), started()
        for model in (one, other):
            model.weight.data += model.weight.sign() * 3
        first = one.weight.sign()
        a = optim.SGD(one.parameters(), lr=0.01, momentum=0.8, **options)
        b = optim.SGD(other.parameters(), lr=0.01, momentum=0.8, **options)
        prox, penalty = lossmith.ProximalStep(a, {lossmith.L1Penalty(): 0.01}, one), 0.01
        for k in range(12):
            if k == 6:
                a.param_groups[0]["lr"] = b.param_groups[0]["lr"] = 0.003
            for model, optimizer in ((one, a), (other, b)):
                optimizer.zero_grad()
                loss = half_mse(model)
                (loss + penalty * other.weight.abs().sum() if model is other else loss).backward()
                optimizer.step()
            prox.step()
            assert bool((one.weight.sign() == first).all()), "the test needs weights that keep it"
            np.testing.assert_allclose(one.weight.detach(), other.weight.detach(), rtol=1e-12)


def test_a_run_that_is_loaded_goes_on_with_a_full_momentum():
    """The state comes after the ProximalStep was made: c is that of the buffers it brings."""

    def made():
        model = started()
        optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.8)
        return (
            model,
            optimizer,
            lossmith.ProximalStep(optimizer, {lossmith.L1Penalty(): 0.1}, model),
        )

    def advance(model, optimizer, prox, steps):
        for _ in range(steps):
            optimizer.zero_grad()
            half_mse(model).backward()
            optimizer.step()
            prox.step()

    one, other = made(), made()
    advance(*one, 200)
    other[0].load_state_dict(one[0].state_dict())
    other[1].load_state_dict(copy.deepcopy(one[1].state_dict()))
    for run in (one, other):
        advance(*run, 3)
    torch.testing.assert_close(other[0].weight, one[0].weight, rtol=1e-12, atol=0)


def test_groups_have_their_own_learning_rate():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)).double()
    optimizer = optim.SGD(
        [{"params": model[0].parameters(), "lr": 0.5}, {"params": model[1].parameters(), "lr": 0.1}]
    )
    prox = lossmith.ProximalStep(optimizer, {lossmith.L1Penalty(): 1.0}, model)
    before = [layer.weight.detach().clone() for layer in model]
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    optimizer.param_groups[0]["lr"] = 9.0  # after the step: of no effect on it
    prox.step()
    for layer, w, lr in zip(model, before, (0.5, 0.1), strict=True):
        torch.testing.assert_close(layer.weight.detach(), torch.sign(w) * (w.abs() - lr).clamp(0))


def test_no_step_no_shrinking():
    model = started()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    prox = lossmith.ProximalStep(optimizer, {lossmith.L1Penalty(): 1.0}, model)
    before = model.weight.detach().clone()
    prox.step()  # the optimiser did nothing, as when a gradient scaler skips a step
    optimizer.step()  # no gradients
    prox.step()
    assert torch.equal(model.weight, before)
    for rounds in (1, 2):  # two steps at once shrink twice as far
        model.weight.data.copy_(before)
        for _ in range(rounds):
            model.weight.grad = torch.zeros_like(before)
            optimizer.step()
        prox.step()
        expected = torch.sign(before) * (before.abs() - 0.1 * rounds).clamp(min=0)
        torch.testing.assert_close(model.weight.detach(), expected)


def test_what_has_no_step_size_is_refused():
    model = started()
    l1, mcp = lossmith.L1Penalty(), lossmith.MCP()
    sgd = optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(lossmith.UnsupportedError, match="NAdam"):
        lossmith.ProximalStep(optim.NAdam(model.parameters()), {l1: 1.0}, model)
    with pytest.raises(lossmith.UnsupportedError, match="maximises"):
        lossmith.ProximalStep(optim.SGD(model.parameters(), maximize=True), {l1: 1.0}, model)
    with pytest.raises(lossmith.UnsupportedError, match="weight is penalised by"):
        lossmith.ProximalStep(sgd, {l1: 1.0, mcp: 1.0}, model)
    with pytest.raises(lossmith.InputError, match="moves no parameter"):
        lossmith.ProximalStep(sgd, {l1: 1.0}, started())
    with pytest.raises(lossmith.ParameterError, match="λ = -1"):
        lossmith.ProximalStep(sgd, (l1, -1), model)
    with pytest.raises(lossmith.DtypeError, match="penalty: λ"):
        lossmith.ProximalStep(sgd, l1, model)
    wide = started(2)
    adam = optim.Adam(wide.parameters())
    prox = lossmith.ProximalStep(adam, {lossmith.GroupLasso("columns", of=mcp): 1.0}, wide)
    wide(XT).sum().backward()
    adam.step()
    with pytest.raises(lossmith.UnsupportedError, match="its metric"):
        prox.step()


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_penalties_that_share_weights_take_the_step_of_their_sum(name):
    """Sparse group lasso with decay: no neighbour of the result is better in the step's metric."""
    generator = torch.Generator().manual_seed(5)
    model = started(3)
    kinds = {"SGD": optim.SGD, "Adam": optim.Adam}
    optimizer = kinds[name](model.parameters(), lr=0.7)
    terms = {lossmith.L2Penalty(): 0.3, lossmith.GroupLasso("columns"): 0.6}
    terms[lossmith.L1Penalty()] = 0.2
    prox = lossmith.ProximalStep(optimizer, terms, model)
    model.weight.grad = torch.randn(3, P, generator=generator, dtype=torch.float64)
    optimizer.step()
    x = model.weight.detach().clone()
    tau = 0.7 if name == "SGD" else 0.7 / (model.weight.grad.abs() + 1e-8)
    prox.step()
    u = model.weight.detach().clone()

    def cost(w):
        return (0.5 * (w - x) ** 2 / tau).sum() + sum(c * p([w]) for p, c in terms.items())

    least = cost(u)
    assert (u == 0).any()
    assert not (u == 0).all()
    for size in (1e-1, 1e-3, 1e-5):
        for k in range(60):
            move = torch.randn(3, P, generator=generator, dtype=torch.float64) * size
            alone = torch.zeros_like(move)
            alone[:, k % P] = move[:, k % P]  # one group by itself
            assert cost(u + move) >= least
            assert cost(u + alone) >= least
