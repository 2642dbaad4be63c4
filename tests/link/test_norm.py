"""ψ(‖prediction - target‖₂) against plain torch, at its target, far out, and between its doors."""

import contextlib
import copy
import math
import pickle

import mpmath as mp
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import grad, hessian, vmap

import lossmith
from engine import cases
from lossmith.formula.ledger import LEDGER
from lossmith.lab.definition.loss import EVEN
from lossmith.lab.definition.psi import RESIDUAL
from lossmith.link.links import link

F64 = torch.float64


def points(seed: int, n: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    z, t = (torch.randn(n, size, dtype=F64, generator=g) for _ in range(2))
    return z, t


def away(name: str, z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Whether a distance keeps off the kinks."""
    d = torch.linalg.vector_norm(z - t, dim=-1)
    return torch.stack([(d - k).abs() > 0.02 for k in (*RESIDUAL[name].kinks(), -1.0)]).all(0)


def test_the_losses_that_take_a_distance_are_those_that_are_even():
    for name, record in LEDGER.items():
        if record.family == "residual" and name in EVEN:
            assert lossmith.Radial(name).loss.name == f"norm_{name}"
        else:
            with pytest.raises(lossmith.InputError, match=r"sign|residual loss"):
                lossmith.Radial(name)
    tilted = lossmith.residual(_tilted)
    with pytest.raises(lossmith.InputError, match="a distance has no sign"):
        lossmith.Radial(tilted)


def _tilted(u, c: lossmith.Positive = 1.0):
    return lossmith.primitives.where(u < 0, u**2, c * u**2)  # even at c = 1 alone


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.integers(0, 999), st.sampled_from(EVEN), st.integers(1, 5), st.booleans(), st.booleans())
def test_values_slopes_and_curvature(seed, name, size, weighted, masked):
    """The plain composition, differentiated by torch, and the closed forms."""
    z, t = points(seed, 6, size)
    z, t = z[away(name, z, t)], t[away(name, z, t)]
    w = torch.arange(1.0, 1.0 + len(z), dtype=F64) if weighted else None
    m = torch.arange(len(z)) % 3 != 1 if masked else None
    psi = RESIDUAL[name].psi

    def one(z, t):
        return psi(torch.linalg.vector_norm(z - t))

    scale = torch.ones(len(z), dtype=F64) if w is None else w
    scale = scale if m is None else torch.where(m, scale, 0.0)
    value, slope = vmap(one)(z, t) * scale, vmap(grad(one))(z, t) * scale[:, None]
    curved = vmap(hessian(one))(z, t).diagonal(dim1=1, dim2=2) * scale[:, None]
    loss = lossmith.Radial(name, reduction="none")
    found = lossmith.derivatives(loss, z, t, sample_weight=w, mask=m)
    torch.testing.assert_close(found.value, value)
    torch.testing.assert_close(found.gradient, slope)
    torch.testing.assert_close(found.hessian, curved, rtol=1e-6, atol=1e-9)
    leaf = z.clone().requires_grad_()
    with cases.on_reference():
        losses, (total, mass) = loss(leaf, t, w, m), loss.total(leaf, t, w, m)
        mean = lossmith.Radial(name)(leaf, t, w, m)
    torch.testing.assert_close(losses, value)
    torch.testing.assert_close(torch.autograd.grad(losses.sum(), leaf)[0], slope)
    torch.testing.assert_close(total, value.sum())
    assert float(mass) == pytest.approx(float(scale.sum()))
    torch.testing.assert_close(mean, value.sum() / scale.sum() if scale.sum() else mean * 0)


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 0, 3), (70, 41, 3)])
def test_the_kernel(shape):
    """One plan, points in every place, some of them at their targets and some dropped."""
    g = torch.Generator().manual_seed(1)
    z, t = (torch.randn(shape, dtype=F64, generator=g) for _ in range(2))
    m = torch.rand(shape[:-1], generator=g) < 0.8
    at = torch.rand(shape[:-1], generator=g) < 0.2
    z = torch.where(at.unsqueeze(-1), t, z)
    found = []
    for engine in (contextlib.nullcontext(), cases.on_reference()):
        leaf = z.clone().requires_grad_()
        with engine:
            value = lossmith.Radial("huber")(leaf, t, mask=m)
        found += [value, torch.autograd.grad(value, leaf)[0]]
    torch.testing.assert_close(found[0], found[2], rtol=1e-14, atol=0.0)
    torch.testing.assert_close(found[1], found[3], rtol=1e-13, atol=1e-18)
    assert lossmith.engine_for(lossmith.Radial("huber"), z, t).startswith("cpu")


@pytest.mark.parametrize("name", EVEN)
def test_at_the_target_itself(name):
    """Gradient 0, and where ψ is smooth the Hessian ψ''(0)·1, to the last digit."""
    z = torch.zeros(2, 3, dtype=F64)
    loss = lossmith.Radial(name, reduction="sum")
    found = lossmith.derivatives(loss, z, z)
    bend = (
        float(lossmith.curve(name, [0.0], order=2)[0]) if 0.0 not in RESIDUAL[name].kinks() else 0.0
    )
    if name == "fair":
        bend = 1.0  # its definition has a corner there, and the loss has none
    leaf = z.clone().requires_grad_()
    with cases.on_reference():
        value = loss(leaf, z)
    (slope,) = torch.autograd.grad(value, leaf)
    assert (slope == 0).all()
    assert (found.gradient == 0).all()
    torch.testing.assert_close(found.hessian, torch.full_like(z, bend), rtol=1e-12, atol=0.0)
    whole = torch.func.hessian(lambda x: loss(x, z[:1]))(z[:1]).reshape(3, 3)
    torch.testing.assert_close(whole, bend * torch.eye(3, dtype=F64), rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("power", [-1040, -500, -140, -100, -40, 0, 40, 100, 500, 1000])
def test_no_square_leaves_its_range(dtype, power):
    """End-point errors over the whole range of a dtype, against 60 digits."""
    numbers = torch.tensor([[3.0, -4.0], [1.0, 0.0], [-0.6, 0.3]], dtype=F64)
    z = (numbers * 2.0**power).to(dtype).requires_grad_()
    if not z.isfinite().all() or (z.abs().sum(1) == 0).any():
        return  # no such numbers in this dtype
    value = lossmith.Radial("l1", reduction="none")(z, torch.zeros_like(z))
    (slope,) = torch.autograd.grad(value.sum(), z)
    near = 1e-6 if dtype == torch.float32 else 4e-16
    for row, got, way in zip(z.tolist(), value.tolist(), slope.tolist(), strict=True):
        with mp.workdps(60):
            length = mp.sqrt(sum(mp.mpf(x) ** 2 for x in row))
            least = 2.0**-149 if dtype == torch.float32 else 2.0**-1074
            assert abs(got - length) <= near * length + least
            for x, w in zip(row, way, strict=True):
                assert abs(w - x / length) <= 2 * near


def test_infinities_have_their_limits():
    z = torch.tensor([[math.inf, 1.0], [-math.inf, math.inf]], requires_grad=True)
    for name, far in (("l1", math.inf), ("tukey_biweight", 4.685**2 / 6), ("l2", math.inf)):
        with cases.on_reference():
            value = lossmith.Radial(name, reduction="none")(z, torch.zeros(2, 2))
        assert value.tolist() == pytest.approx([far, far])
        (slope,) = torch.autograd.grad(value.sum(), z)
        assert not slope.isnan().any()
        if name == "l1":
            assert slope[0].tolist() == pytest.approx([1.0, 0.0])
    nan = lossmith.Radial("l1", reduction="none")(
        torch.tensor([[math.nan, 0.0]]), torch.zeros(1, 2)
    )
    assert nan.isnan()
    far = lossmith.Radial("l1", reduction="none")(z.detach(), torch.zeros(2, 2))
    assert far.tolist() == [math.inf, math.inf]


@pytest.mark.parametrize("name", ["l1", "huber", "log_cosh", "barron"])
def test_every_mode(name):
    z, t = points(5, 4, 3)
    z = z.requires_grad_()
    loss = lossmith.Radial(name, reduction="none")
    assert torch.autograd.gradgradcheck(lambda x: loss(x, t), z, check_fwd_over_rev=True)
    each = vmap(grad(lambda a, b: loss(a, b)))(z.detach(), t)
    with cases.on_reference():
        losses = loss(z, t)
    torch.testing.assert_close(each, torch.autograd.grad(losses.sum(), z)[0])


@pytest.mark.usefixtures("fresh_dynamo")
def test_the_compiler_takes_it_whole():
    z, t = points(6, 4, 3)
    t[0] = z[0]
    z = z.requires_grad_()
    loss = lossmith.Radial("huber", delta=0.7)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    got = compiled(z, t)
    with cases.on_reference():
        want = loss(z, t)
    torch.testing.assert_close(got, want)
    slopes = (torch.autograd.grad(value, z)[0] for value in (got, want))
    torch.testing.assert_close(next(slopes), next(slopes))


def test_learned_and_given_for_each_point():
    z, t = points(7, 5, 2)
    delta = torch.tensor([0.5, 1.0, 1.5, 0.2, 3.0], dtype=F64, requires_grad=True)
    value = lossmith.Radial("huber", reduction="sum").function(z, t, delta, reduction="sum")
    d = torch.linalg.vector_norm(z - t, dim=1)
    expected = torch.where(d <= delta, d**2 / 2, delta * (d - delta / 2))
    torch.testing.assert_close(value, expected.sum())
    (slope,) = torch.autograd.grad(value, delta)
    torch.testing.assert_close(slope, torch.where(d <= delta, 0.0, d - delta).detach())
    module = lossmith.Radial("huber", delta=torch.nn.Parameter(torch.tensor(1.0)))
    module(z.float(), t.float()).backward()
    assert module.delta.grad is not None
    with pytest.raises(lossmith.ShapeError, match="repeats along the losses"):
        module.function(z, t, torch.ones(5, 2))


def test_as_a_module():
    z, t = points(8, 3, 2)
    loss = lossmith.Radial(lossmith.Huber(delta=2.0), reduction="sum")
    again = pickle.loads(pickle.dumps(copy.deepcopy(loss)))
    with cases.on_reference():
        assert again(z, t) == loss(prediction=z, target=t)
    assert repr(again) == "Radial('huber', delta=2.0, reduction='sum')"
    assert lossmith.mass_of(loss, t) == 3
    assert lossmith.mass_of(loss, t, mask=torch.tensor([True, False, True])) == 2
    objective = 2 * lossmith.Radial("l1")
    d = torch.linalg.vector_norm(z - t, dim=1)
    with cases.on_reference():
        torch.testing.assert_close(objective(prediction=z, target=t), 2 * d.mean())
    found = objective.properties()
    assert (found.convex, found.lowest) == (True, 0.0)
    for wrong, words in (((z, t[:, :1]), "must be equal"), ((z[0, 0], t[0, 0]), "last dimension")):
        with pytest.raises(lossmith.ShapeError, match=words):
            loss(*wrong)
    with pytest.raises(lossmith.ShapeError, match=r"losses have \(3,\)"):
        loss(z, t, torch.ones(3, 2))


@pytest.mark.parametrize("name", ["l1", "huber", "tukey_biweight", "cauchy", "log_cosh"])
def test_constants_in_the_prediction(name):
    """Gradient and Hessian of points at distances from 0 on, in three dimensions."""
    psi = RESIDUAL[name].psi
    d = torch.linspace(1e-3, 12, 4000, dtype=F64)
    way = torch.tensor([0.6, 0.0, -0.8], dtype=F64)
    z = d[:, None] * way
    made = link(LEDGER[name], "norm")
    found = made.link.reach(made.link.curve(made.formula))

    def one(x):
        return psi(torch.linalg.vector_norm(x))

    slopes, bends = vmap(grad(one))(z).norm(dim=1), torch.linalg.eigvalsh(vmap(hessian(one))(z))
    assert slopes.max() == pytest.approx(found.lipschitz, rel=1e-3)
    if math.isfinite(found.smooth):
        assert bends.abs().max() == pytest.approx(found.smooth, rel=1e-3)
    assert found.convex is bool(bends.min() >= -1e-9)
