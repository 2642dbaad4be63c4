"""Penalties against skglm, SciPy and algebra. A record in the ledger is tested by being there."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import nn

import lossmith
from lossmith.formula.penalty import PENALTIES
from lossmith.formula.pieces import pieces
from lossmith.formula.properties import of as properties
from lossmith.risk.penalty.scalar import Scalar
from risk.peers import penalties as peers

F64 = torch.float64
LAMBDA, STEP = 0.7, 0.6


def settings(name):
    """Parameters of a record: defaults, and a point inside each domain, all scales too."""
    record = PENALTIES[name]
    inner = {p.name: p.domain.samples()[1] for p in record.parameters}
    return [record.defaults, inner]


CASES = [(name, i) for name in PENALTIES for i in range(2)]


def scalar(name, which):
    return Scalar(PENALTIES[name], tuple(settings(name)[which].values()))


def points(count=40, width=5.0):
    return torch.randn(count, dtype=F64, generator=torch.Generator().manual_seed(1)) * width


@pytest.mark.parametrize(("name", "which"), CASES)
def test_prox_is_the_minimum(name, which):
    """Against a fine grid, then SciPy from its best point; at every step size, non-convex too."""
    psi, x = scalar(name, which), points()
    grid = torch.linspace(-20, 20, 4001, dtype=F64)
    on_grid = psi.value(grid)
    for t in (0.05, 0.9, 1.0, 2.9, 3.0, 7.0):
        u = psi.prox(x, t)
        cost = 0.5 * (u - x) ** 2 + t * psi.value(u)
        rough = 0.5 * (grid - x[:, None]) ** 2 + t * on_grid
        assert float((cost - rough.min(1).values).max()) <= 1e-12
        for i in (0, 7, 20):
            start = float(grid[rough[i].argmin()])

            def objective(v, i=i, t=t):
                return float(0.5 * (v - x[i]) ** 2 + t * psi.value(torch.tensor(v, dtype=F64)))

            best = minimize_scalar(objective, bounds=(start - 0.01, start + 0.01), method="bounded")
            assert float(cost[i]) <= best.fun + 1e-12


@pytest.mark.parametrize(("name", "which"), CASES)
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_prox_keeps_its_digits_at_the_thresholds(name, which, dtype):
    """The stationarity u + t·ψ'(u) ∋ x, to rounding, a hair above and below every threshold."""
    psi, t = scalar(name, which), 0.3
    kinks = torch.tensor([0.0, *(float(c) for c in (0.3, 1, 1.3, 3, 3.3, 3.7))], dtype=dtype)
    hair = torch.tensor([1 - 1e-6, 1.0, 1 + 1e-6], dtype=dtype)
    x = (kinks[:, None] * hair).flatten()
    u = psi.prox(x, t)
    assert u.dtype == dtype
    gap = psi.distance(u, (x - u), t)
    assert float(gap.max()) <= 8 * torch.finfo(dtype).eps * 4


@pytest.mark.parametrize(("name", "which"), CASES)
def test_moreau(name, which):
    """x = prox_tψ(x) + t·prox_ψ*/t(x/t), with ψ* worked out by SciPy from ψ alone."""
    psi = scalar(name, which)
    if not properties(PENALTIES[name], **settings(name)[which]).convex:
        assert name in ("mcp", "scad")
        return
    grid = torch.linspace(-60, 60, 240001, dtype=F64)
    values = psi.value(grid)
    t = 0.8
    for x in (-3.0, -0.4, 0.2, 2.5):
        # prox_{ψ*/t}(y) = argmin ½(v - y)² + ψ*(v)/t, y = x/t; ψ*(v) = max uv - ψ(u).
        def conjugate(v):
            return float((grid * v - values).max())

        found = minimize_scalar(
            lambda v, y=x / t: 0.5 * (v - y) ** 2 + conjugate(v) / t,
            bounds=(-6, 6), method="bounded", options={"xatol": 1e-10},
        )  # fmt: skip
        other = x - t * found.x
        assert psi.prox(torch.tensor(x, dtype=F64), t).item() == pytest.approx(other, abs=2e-3)


def peer(name, alpha=LAMBDA):
    """Our penalty whose λ = alpha is skglm's."""
    return {
        "l1": (lossmith.L1Penalty(), peers.L1(alpha)),
        "l2": (lossmith.L2Penalty(), peers.L2(alpha)),
        "elastic_net": (lossmith.ElasticNet(0.3), peers.L1_plus_L2(alpha, 0.3)),
        "mcp": (lossmith.MCP(2.5, scale=alpha), peers.MCPenalty(alpha, 2.5)),
        "scad": (lossmith.SCAD(3.2, scale=alpha), peers.SCAD(alpha, 3.2)),
    }[name]


@pytest.mark.parametrize("name", PENALTIES)
def test_value_prox_and_distance_are_skglms(name):
    ours, theirs = peer(name)
    x = torch.cat([torch.zeros(3, dtype=F64), points(60, 2.0)])
    assert LAMBDA * ours([x]).item() == pytest.approx(theirs.value(x.numpy()), rel=1e-13)
    gradient = points(63, 1.0)
    if name == "l2":  # of which skglm has no more
        np.testing.assert_allclose(theirs.gradient(x.numpy()), LAMBDA * x.numpy())
        return
    # skglm's SCAD and MCP formulas are for steps below their curvature.
    expected = [theirs.prox_1d(float(v), STEP, 0) for v in x]
    np.testing.assert_allclose(ours.prox(x, STEP * LAMBDA), expected, atol=1e-14)
    distances = theirs.subdiff_distance(x.numpy(), gradient.numpy(), np.arange(len(x)))
    got = ours.distances([x], [gradient], LAMBDA)["0"]
    np.testing.assert_allclose(got, distances, atol=1e-14)
    assert ours.distance([x], [gradient], LAMBDA).item() == pytest.approx(max(distances))
    if name in ("l1", "mcp"):
        assert ours.lambda_max([x], [gradient]) == theirs.alpha_max(gradient.numpy())


GROUPS = {
    "lasso": (lossmith.GroupLasso("rows"), lambda a: peers.L2_1(a)),
    "mcp": (
        lossmith.GroupLasso("rows", of=lossmith.MCP(2.5, scale=LAMBDA)),
        lambda a: peers.BlockMCPenalty(a, 2.5),
    ),
    "scad": (
        lossmith.GroupLasso("rows", of=lossmith.SCAD(3.2, scale=LAMBDA)),
        lambda a: peers.BlockSCAD(a, 3.2),
    ),
}


@pytest.mark.parametrize("name", GROUPS)
def test_groups_are_skglms(name):
    ours, make = GROUPS[name]
    theirs = make(LAMBDA)
    x, gradient = points(48, 1.0).view(12, 4), points(96, 1.0)[48:].view(12, 4)
    x[:3] = 0
    factor = 2.0  # √4, which skglm does not have
    weight = LAMBDA / factor
    assert weight * ours([x]).item() == pytest.approx(theirs.value(x.numpy()), rel=1e-13)
    expected = np.stack([theirs.prox_1feat(row.numpy(), STEP, 0) for row in x[3:]])
    np.testing.assert_allclose(ours.prox(x[3:], STEP * weight), expected, atol=1e-14)
    assert not ours.prox(x[:3], STEP * weight).any()
    distances = theirs.subdiff_distance(x.numpy(), gradient.numpy(), np.arange(12))
    np.testing.assert_allclose(ours.distances([x], [gradient], weight)["0"], distances, atol=1e-14)


def test_groups_of_each_kind():
    conv, up = nn.Conv2d(3, 5, 2), nn.ConvTranspose1d(3, 5, 2)
    for groups, layer, split, size in (
        ("channels", conv, 0, 12), ("columns", conv, 1, 20), ("channels", up, 1, 6),
        ("rows", up, 0, 10),
    ):  # fmt: skip
        penalty = lossmith.GroupLasso(groups)
        rows = layer.weight.detach().movedim(split, 0).flatten(1)
        expected = math.sqrt(size) * rows.norm(dim=1).sum()
        assert rows.shape[1] == size
        torch.testing.assert_close(penalty(layer).detach(), expected)
        penalty(layer).backward()
        gradient = math.sqrt(size) * rows / rows.norm(dim=1, keepdim=True)
        torch.testing.assert_close(layer.weight.grad.movedim(split, 0).flatten(1), gradient)
        layer.weight.grad = None


@pytest.mark.parametrize(("name", "which"), CASES)
def test_gradients(name, which):
    penalty = lossmith.Penalty(name, **settings(name)[which])
    w = points(12, 2.0).requires_grad_()
    torch.autograd.gradcheck(lambda w: penalty([w]), w)
    torch.autograd.gradgradcheck(lambda w: penalty([w]), w)
    group = lossmith.GroupLasso("rows", of=penalty)
    torch.autograd.gradcheck(lambda w: group([w.view(3, 4)]), w)
    zero = torch.zeros(2, 3, requires_grad=True)
    assert not torch.autograd.grad(penalty([zero]) + group([zero]), zero)[0].any()
    some = torch.tensor([[0.0, 0.0], [0.3, 0.4]], dtype=F64)
    curved = torch.autograd.functional.hessian(lambda w: group([w]), some)
    alone = torch.autograd.functional.hessian(lambda w: group([w]), some[1:])
    torch.testing.assert_close(curved[1, :, 1], alone[0, :, 0])
    assert not curved[0].any()  # 0, not NaN


def test_a_persons_own_formula_gets_the_same():
    """The log penalty (Candès 2008) and counting (ℓ0), neither of which is in the ledger."""
    where = lossmith.primitives.where

    @lossmith.residual
    def log_penalty(u, epsilon: lossmith.Positive = 0.5):
        return lossmith.primitives.log1p(abs(u) / epsilon)

    @lossmith.residual
    def count(u):
        return where(lossmith.primitives.Eq(u, 0), 0 * u, 1)

    x = points(60, 2.0)
    theirs = peers.LogSumPenalty(0.2, 0.5)
    got = lossmith.Penalty(log_penalty).prox(x, 0.2)
    # skglm bisects to 1e-8.
    np.testing.assert_allclose(got, [theirs.prox_1d(float(v), 1.0, 0) for v in x], atol=1e-7)
    hard = torch.where(x.abs() > math.sqrt(2 * 0.3), x, 0.0)
    torch.testing.assert_close(lossmith.Penalty(count).prox(x, 0.3), hard)
    with pytest.raises(lossmith.UnsupportedError, match="no short solution"):
        lossmith.Penalty("log_cosh").prox(x, 1.0)
    huber = lossmith.Penalty(lossmith.huber, delta=0.5)
    # Its Moreau envelope's prox, in closed form: x·(1 - t/max(|x|/δ, 1 + t)).
    expected = x * (1 - 0.3 / torch.clamp(x.abs() / 0.5, min=1.3))
    torch.testing.assert_close(huber.prox(x, 0.3), expected)


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm = nn.Linear(3, 4), nn.BatchNorm1d(4)
        self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 2)
        self.tied = self.b
        self.c.weight.requires_grad_(False)
        self.rnn = nn.LSTM(4, 2)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, {"a.weight", "b.weight", "rnn.weight_ih_l0", "rnn.weight_hh_l0"}),
        ({"only": "a"}, {"a.weight", "a.bias"}),
        ({"only": "*.bias"}, {"a.bias", "norm.bias", "b.bias", "c.bias"}),
        ({"only": nn.Linear, "skip": "*.bias"}, {"a.weight", "b.weight"}),
        ({"only": lambda f: f.parameter.dim() == 1, "skip": [nn.Linear, nn.LSTM]},
         {"norm.weight", "norm.bias"}),
        ({"skip": ["a", nn.LSTM]}, {"b.weight"}),
    ],
)  # fmt: skip
def test_which_parameters(options, names):
    model, penalty = Model(), lossmith.L1Penalty(**options)
    assert {f.name for f in penalty.select(model)} == names
    by_name = dict(model.named_parameters())
    expected = sum(by_name[n].abs().sum() for n in names)
    torch.testing.assert_close(penalty(model), expected)
    plain = lossmith.L1Penalty()  # a list is taken as it is
    torch.testing.assert_close(plain(parameters=[by_name[n] for n in names]), expected)


def test_bad_input():
    model = Model()
    with pytest.raises(lossmith.InputError, match="no parameter is left"):
        lossmith.L1Penalty(only="nothing")(model)
    with pytest.raises(lossmith.ParameterError, match="gamma = 1 is outside"):
        lossmith.MCP(gamma=1.0)
    with pytest.raises(lossmith.ParameterError, match="l1_ratio"):
        lossmith.ElasticNet(1.5)
    with pytest.raises(lossmith.InputError, match="is a margin loss"):
        lossmith.Penalty("logistic")
    with pytest.raises(lossmith.ParameterError, match="channels"):
        lossmith.GroupLasso("features")
    with pytest.raises(lossmith.ShapeError, match="has no columns"):
        lossmith.GroupLasso("columns")([torch.ones(3)])
    with pytest.raises(lossmith.InputError, match=r"a\.weight has no gradient"):
        lossmith.L1Penalty().distance(model)
    with pytest.raises(lossmith.ShapeError, match="gradient of 0"):
        lossmith.L1Penalty().distance([torch.ones(3)], [torch.ones(2)])
    with pytest.raises(lossmith.ParameterError, match="step"):
        lossmith.L1Penalty().prox(torch.ones(3), -1.0)
    with pytest.raises(lossmith.DtypeError, match="floating"):
        lossmith.L1Penalty()([torch.ones(3, dtype=torch.int64)])
    with pytest.raises(lossmith.InputError, match="not even"):
        lossmith.GroupLasso(of=lossmith.Penalty("pinball", tau=0.3))


def test_zeros_are_plain_and_nan_stays():
    x = torch.tensor([-0.1, 0.1, -0.0, float("nan"), float("inf"), -float("inf")])
    for name in PENALTIES:
        u = lossmith.Penalty(name).prox(x, 0.5)
        assert not torch.signbit(u[u == 0]).any()
        assert u[3].isnan()
        assert u[4] == torch.inf
        assert u[5] == -torch.inf


def test_every_record_has_the_slope_at_zero_that_the_page_says():
    for name, record in PENALTIES.items():
        right = pieces(record, tuple(record.defaults.values()))
        slope = next(p for p in right if p.low == 0).limit(1, right=False)
        expected = {"l2": 0.0, "elastic_net": 0.5}.get(name, 1.0)
        assert float(slope) == expected


def test_copies_are_the_same_penalty():
    x = points(9, 1.0)
    for penalty in (
        *(lossmith.Penalty(name) for name in PENALTIES), lossmith.MCP(2.0, scale=0.5),
        lossmith.Penalty("huber", delta=0.4), lossmith.Penalty("l2"), lossmith.Penalty(lossmith.l2),
        lossmith.GroupLasso("rows", of=lossmith.SCAD(), only="a*"),
    ):  # fmt: skip
        for again in (pickle.loads(pickle.dumps(penalty)), copy.deepcopy(penalty)):
            assert repr(again) == repr(penalty)
            assert again.formula is penalty.formula
            assert torch.equal(again.prox(x, 0.3), penalty.prox(x, 0.3))


def test_other_transforms():
    w = points(6, 1.0)
    penalty = lossmith.L2Penalty()
    torch.testing.assert_close(
        torch.func.hessian(lambda w: penalty([w]))(w), torch.eye(6, dtype=F64)
    )
    rows = torch.func.vmap(lambda w: lossmith.MCP()([w]))(w.view(2, 3))
    torch.testing.assert_close(rows, torch.stack([lossmith.MCP()([r]) for r in w.view(2, 3)]))
