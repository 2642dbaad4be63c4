"""KL and JS against SciPy and torch, at zeros, at the borders, and in every mode."""

import copy
import math
import pickle
from typing import Any

import mpmath as mp
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr
from torch import Tensor
from torch.nn import functional

import lossmith
from lossmith.engine.pointwise import partials, register
from lossmith.face import values
from lossmith.formula.calculus import base, derivative
from lossmith.formula.exact import function
from lossmith.formula.ledger import DIVERGENCES, find
from lossmith.link.forms import mirrored

INF = math.inf
KINDS = ("forward", "reverse", "js")


def divergence(kind: str, logits: Tensor, target: Tensor | None = None, **options: Any) -> Tensor:
    if kind == "js":
        return lossmith.js_divergence(logits, target, **options)
    return lossmith.kl_divergence(logits, target, direction=kind, **options)


def oracle(kind: str, q: Tensor, p: Tensor) -> Tensor:
    """SciPy's, one number for each row; classes on dimension 1."""
    first, second = q.movedim(1, -1).numpy(), p.movedim(1, -1).numpy()
    if kind == "js":
        return torch.from_numpy(jensenshannon(second, first, axis=-1) ** 2)
    if kind == "forward":
        first, second = second, first
    return torch.from_numpy(rel_entr(first, second).sum(-1))


def draw(*shape: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits, and a distribution with a zero in every row."""
    g = torch.Generator().manual_seed(seed)
    z = 4 * torch.randn(*shape, generator=g, dtype=torch.float64)
    p = torch.randn(*shape, generator=g, dtype=torch.float64).mul(3).softmax(1)
    p[:, 0] = 0.0
    return z, p / p.sum(1, keepdim=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(7, 5), (3, 4, 6), (2, 3, 4, 5)])
def test_scipy_agrees(kind: str, shape: tuple[int, ...]) -> None:
    z, p = draw(*shape)
    if kind == "reverse":
        p = p * 0.9 + 0.1 / shape[1]  # a zero would make it infinite
    truth = oracle(kind, z.softmax(1), p)
    torch.testing.assert_close(divergence(kind, z, p, reduction="none"), truth)
    torch.testing.assert_close(divergence(kind, z, p, reduction="sum"), truth.sum())
    torch.testing.assert_close(divergence(kind, z, p), truth.mean())
    single = divergence(kind, z.float(), p.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), truth.mean(), rtol=1e-5, atol=0.0)


def test_torch_agrees_and_its_mean_does_not() -> None:
    z, p = draw(6, 5)
    log_q = torch.log_softmax(z, 1)
    ours = lossmith.kl_divergence(z, p)
    torch.testing.assert_close(ours, functional.kl_div(log_q, p, reduction="batchmean"))
    # Divided by rows × classes: 1/5 of the divergence.
    with pytest.warns(UserWarning, match="batchmean"):
        theirs = functional.kl_div(log_q, p, reduction="mean")
    torch.testing.assert_close(ours, 5 * theirs)


def test_cross_entropy_less_kl_is_the_entropy() -> None:
    z, p = draw(9, 6)
    entropy = torch.special.entr(p).sum(1)
    ce = lossmith.cross_entropy(z, p, reduction="none")
    torch.testing.assert_close(ce - lossmith.kl_divergence(z, p, reduction="none"), entropy)


def test_js_is_symmetric_and_kl_is_two_sided() -> None:
    a, b = draw(5, 4)[0], draw(5, 4, seed=1)[0]
    js, kl = lossmith.js_divergence, lossmith.kl_divergence
    torch.testing.assert_close(js(a, target_logits=b), js(b, target_logits=a))
    torch.testing.assert_close(kl(a, target_logits=b), kl(b, target_logits=a, direction="reverse"))
    torch.testing.assert_close(kl(a, target_logits=b), kl(a, b.softmax(1)))
    torch.testing.assert_close(js(a, target_logits=b), js(a, b.softmax(1)))


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_of_both_sides(kind: str) -> None:
    z, target = (draw(4, 3, 2, seed=s)[0].div(2).requires_grad_() for s in (2, 3))

    def none(z: Tensor, target: Tensor) -> Tensor:
        return divergence(kind, z, target_logits=target, reduction="none")

    assert torch.autograd.gradcheck(none, (z, target))
    assert torch.autograd.gradgradcheck(none, (z, target))


def test_gradient_of_forward_kl_is_q_minus_p() -> None:
    z, p = draw(5, 4)
    z.requires_grad_()
    (gradient,) = torch.autograd.grad(lossmith.kl_divergence(z, p, reduction="sum"), z)
    torch.testing.assert_close(gradient, z.softmax(1).detach() - p)


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_beside_zeros(kind: str) -> None:
    z, p = draw(4, 5)
    allowed = torch.tensor([True, True, True, False, True])
    if kind == "reverse":
        p = torch.full_like(p, 0.25)
    p = torch.where(allowed, p, 0.0)
    p = p / p.sum(1, keepdim=True)
    free = z[:, allowed].clone().requires_grad_()

    def masked(free: Tensor) -> Tensor:
        full = torch.full_like(p, -INF).masked_scatter(allowed.expand_as(p), free)
        return divergence(kind, full, p, reduction="none")

    torch.testing.assert_close(
        masked(free), divergence(kind, free, p[:, allowed], reduction="none")
    )
    assert torch.autograd.gradcheck(masked, free)
    assert torch.autograd.gradgradcheck(masked, free)


def test_zeros_are_exact() -> None:
    z = torch.tensor([[0.0, -INF, 0.0]], requires_grad=True)  # q = ½, 0, ½
    one = torch.tensor([[0.0, 1.0, 0.0]])
    assert lossmith.kl_divergence(z, one) == INF  # q = 0 where p = 1
    assert lossmith.kl_divergence(z, one, direction="reverse") == INF  # p = 0 where q = ½
    js = lossmith.js_divergence(z, one)  # disjoint: log 2, and no closer to it anywhere
    assert js.item() == pytest.approx(math.log(2), rel=1e-7)
    (gradient,) = torch.autograd.grad(js, z)
    assert gradient.abs().max() < 1e-6
    same = torch.tensor([[0.5, 0.0, 0.5]])
    for kind in KINDS:
        value = divergence(kind, z, same)
        (gradient,) = torch.autograd.grad(value, z)
        assert value == 0
        assert gradient.abs().max() < 1e-6
    # p = (1, 0, 0): KL(p‖q) = log 2; JS = ½[log(4/3)] + ½[½ log(2/3) + ½ log 2].
    first = torch.tensor([[1.0, 0.0, 0.0]])
    assert lossmith.kl_divergence(z, first).item() == pytest.approx(math.log(2), rel=1e-6)
    expected = 0.5 * math.log(4 / 3) + 0.25 * math.log(2 / 3) + 0.25 * math.log(2)
    assert lossmith.js_divergence(z, first).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_far_logits_stay_finite(kind: str, dtype: torch.dtype) -> None:
    far = 1e4
    z = torch.tensor([[0.0, far, -far], [0.0, 1.0, 2.0]], dtype=dtype, requires_grad=True)
    t = torch.tensor([[far, 0.0, far], [-far, 0.0, 0.0]], dtype=dtype, requires_grad=True)
    value = divergence(kind, z, target_logits=t, reduction="none")
    gradients = torch.autograd.grad(value.sum(), (z, t), create_graph=True)
    (second,) = torch.autograd.grad(gradients[0].square().sum(), z)
    assert all(x.isfinite().all() for x in (value, *gradients, second))
    if kind == "js":
        assert (value <= math.log(2) * (1 + 1e-6)).all()
        assert value[0].item() == pytest.approx(math.log(2))
    if kind == "forward":  # p = ½ at scores 0 and -1e4 against 1e4
        assert value[0].item() == pytest.approx(1.5e4, rel=1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [1e-3, 1e-5])
def test_near_agreement_keeps_its_digits(kind: str, step: float) -> None:
    z, _ = draw(1, 6)
    t = z + step * torch.randn(1, 6, generator=torch.Generator().manual_seed(4)).double()
    with mp.workdps(40):
        a, b = ([mp.exp(mp.mpf(x)) for x in v[0].tolist()] for v in (t, z))
        p, q = ([x / sum(v) for x in v] for v in (a, b))

        def kl(a: list[Any], b: list[Any]) -> Any:
            return sum(x * mp.log(x / y) for x, y in zip(a, b, strict=True))

        m = [(x + y) / 2 for x, y in zip(p, q, strict=True)]
        truth = {"forward": kl(p, q), "reverse": kl(q, p), "js": (kl(p, m) + kl(q, m)) / 2}[kind]
    ours = divergence(kind, z, target_logits=t).item()
    # log q is rounded to 2e-16 · 10, and that is 2e-15 / step of u; a plain sum loses step² of it.
    assert ours == pytest.approx(float(truth), rel=4e-14 / step)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_the_mirrored_formula_is_the_same_divergence(name: str) -> None:
    record = find(name)
    plain, other = (function(e, ("u",)) for e in (base(record), mirrored(record)))
    with mp.workdps(30):
        for u in (-8, -2.5, -1, -0.3, 0.1, 1.9, 2.1, 11):
            assert abs(mp.exp(u) * plain(-mp.mpf(u)) - other(mp.mpf(u))) < 1e-20


@pytest.mark.parametrize("name", DIVERGENCES)
@pytest.mark.parametrize("mirror", [False, True])
def test_the_formula_at_sixty_digits(name: str, mirror: bool) -> None:
    """Where the link evaluates it: ψ for u ≤ 1, ψ* for w < -1, value, slope and curvature."""
    record = find(name)
    expression = mirrored(record) if mirror else base(record)
    sizes = [k * 10.0**e for e in range(-8, 4) for k in (1.0, 2.7, 6.4)]
    points = [-u for u in sizes] + [0.0, 2.0, -2.0] + [u for u in sizes if u <= 1]
    u = torch.tensor([v for v in points if v < -1 or not mirror], dtype=torch.float64)
    key = register(f"{name}:tested{mirror}", expression, ("u",))
    for order in range(3):
        (ours,) = partials(key, order)(u)
        exact = function(expression, ("u",))
        slope = function(derivative(expression, "u"), ("u",))
        for at, value in zip(u.tolist(), ours.broadcast_to(u.shape).tolist(), strict=True):
            with mp.workdps(60):
                true, rise = exact(mp.mpf(at)), slope(mp.mpf(at))
                # e^u - 1 - u is rounded as u is, which is a difference of rounded logs, and its
                # slope e^u - 1 as 1 is: the gradient q - p is no more exact than q and p.
                floor = 1 if order else min(abs(at), 1)
                allowed = 2e-15 * (abs(true) + abs(at * rise) + floor)
            assert abs(value - true) <= allowed, (order, at)
        expression = derivative(expression, "u")


@pytest.mark.parametrize("kind", KINDS)
def test_weight_mask_and_mass(kind: str) -> None:
    z, p = draw(4, 3)
    p = 0.9 * p + 0.1 / 3
    rows = divergence(kind, z, p, reduction="none")
    w = torch.tensor([2.0, 0.0, 1.0, 0.5])
    keep = torch.tensor([True, True, False, True])
    bad_z, bad_p = z.clone(), p.clone()
    bad_z[1:3], bad_p[1:3] = math.nan, math.nan
    bad_z.requires_grad_()
    value = divergence(kind, bad_z, bad_p, sample_weight=w, mask=keep)
    torch.testing.assert_close(value, (2 * rows[0] + 0.5 * rows[3]) / 2.5)
    (gradient,) = torch.autograd.grad(value, bad_z)
    assert gradient.isfinite().all()
    assert (gradient[1:3] == 0).all()
    none = divergence(kind, bad_z, bad_p, mask=torch.zeros(4, dtype=torch.bool))
    assert none == 0
    assert (torch.autograd.grad(none, bad_z)[0] == 0).all()
    whole = lossmith.js_divergence if kind == "js" else lossmith.kl_divergence
    options = {} if kind == "js" else {"direction": kind}
    total, mass = whole.total(bad_z, bad_p, sample_weight=w, mask=keep, **options)
    torch.testing.assert_close(total / mass, value)
    assert mass == 2.5
    poisoned = z.clone()
    poisoned[0, 1] = math.nan
    assert divergence(kind, poisoned, p).isnan()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    z, p = draw(6, 5)
    z, p = z.to(dtype).requires_grad_(), (p * 0.9 + 0.02).to(dtype)
    for kind in KINDS:
        value = divergence(kind, z, p)
        wide = divergence(kind, z.detach().float(), p)
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, wide)
        (gradient,) = torch.autograd.grad(value, z)
        assert gradient.dtype == dtype


@pytest.mark.parametrize("kind", KINDS)
def test_transforms_agree(kind: str) -> None:
    z, p = draw(3, 4)
    p = 0.9 * p + 0.025

    def one(z: Tensor, p: Tensor) -> Tensor:
        return divergence(kind, z.unsqueeze(0), p.unsqueeze(0))

    by_row = torch.func.vmap(torch.func.grad(one))(z, p)
    z.requires_grad_()
    (gradient,) = torch.autograd.grad(divergence(kind, z, p, reduction="sum"), z)
    torch.testing.assert_close(by_row, gradient)


@pytest.mark.usefixtures("fresh_dynamo")
@pytest.mark.parametrize("kind", KINDS)
def test_the_compiler_takes_it_whole(kind: str) -> None:
    z, p = draw(3, 4)
    p = 0.9 * p + 0.025
    compiled = torch.compile(lambda z: divergence(kind, z, p), fullgraph=True, backend="aot_eager")
    z.requires_grad_()
    value, plain = compiled(z), divergence(kind, z, p)
    torch.testing.assert_close(value, plain)
    torch.testing.assert_close(torch.autograd.grad(value, z)[0], torch.autograd.grad(plain, z)[0])


def test_modules() -> None:
    z, p = draw(4, 3)
    reverse = lossmith.KLDivergence(direction="reverse", reduction="sum")
    again = pickle.loads(pickle.dumps(copy.deepcopy(reverse)))
    soft = 0.9 * p + 0.1 / 3
    truth = lossmith.kl_divergence(z, soft, direction="reverse", reduction="sum")
    assert reverse(z, soft) == again(z, soft) == truth
    assert "reverse" in repr(again)
    js = lossmith.JSDivergence()
    w = torch.tensor([1.0, 2.0, 0.0, 1.0])
    assert js(z, p, w) == lossmith.js_divergence(z, p, sample_weight=w)
    assert js.total(z, target_logits=z, sample_weight=w)[1] == 4
    assert isinstance(js, lossmith.Loss)
    assert lossmith.formula_of("js_divergence") is js.loss.formula


Z, HALF = torch.zeros(2, 2), torch.full((2, 2), 0.5)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((Z,), {}, lossmith.InputError, "neither of target_probs and target_logits"),
        ((Z, HALF), {"target_logits": Z}, lossmith.InputError, "both of target_probs"),
        ((Z, HALF + 0.1), {}, lossmith.LabelError, r"row \[0\].*0.6, 0.6.*sums to 1.2"),
        ((Z, HALF + 0.1), {}, lossmith.LabelError, "use target_logits="),
        ((Z, HALF * math.nan), {}, lossmith.LabelError, r"\(2 such rows\)"),
        ((Z, torch.tensor([[1.5, -0.5]] * 2)), {}, lossmith.LabelError, "not be negative"),
        ((Z, HALF[:1]), {}, lossmith.ShapeError, r"target_probs \(1, 2\)"),
        ((Z,), {"target_logits": Z.T[:, :1]}, lossmith.ShapeError, r"target_logits \(2, 1\)"),
        ((Z[0], HALF[0]), {}, lossmith.ShapeError, r"logits have shape \(2,\).*unsqueeze"),
        ((Z, torch.zeros(2).long()), {}, lossmith.DtypeError, "torch.int64.*cross_entropy"),
        ((Z.long(), HALF), {}, lossmith.DtypeError, "logits has dtype torch.int64"),
        (([0.0], HALF), {}, lossmith.DtypeError, "logits must be a torch.Tensor, got list"),
        ((Z, HALF.clone().requires_grad_()), {}, lossmith.InputError, "target_logits= to learn"),
        ((Z - INF, HALF), {}, lossmith.InputError, r"logits at row \[0\] are all -inf"),
        ((Z,), {"target_logits": Z - INF}, lossmith.InputError, "target_logits at row"),
        ((Z, HALF), {"reduction": "batchmean"}, lossmith.InputError, "'batchmean'"),
        (
            (Z, HALF),
            {"sample_weight": torch.ones(3)},
            lossmith.ShapeError,
            r"sample_weight has shape \(3,\)",
        ),
        ((Z, HALF), {"mask": torch.ones(2)}, lossmith.DtypeError, "mask has dtype"),
    ],
)
def test_bad_input_is_named(
    arguments: Any, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    for function_ in (lossmith.kl_divergence, lossmith.js_divergence):
        with pytest.raises(error, match=words):
            function_(*arguments, **options)


def test_probabilities_as_logits_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "_calls", {})
    with pytest.warns(UserWarning, match="look like probabilities") as seen:
        lossmith.js_divergence(HALF, HALF)
    assert seen[0].filename == __file__


def test_an_unknown_direction_is_named() -> None:
    with pytest.raises(lossmith.InputError, match="'backward' is not known"):
        lossmith.kl_divergence(Z, HALF, direction="backward")  # type: ignore[arg-type]
    with pytest.raises(lossmith.InputError, match="'backward' is not known"):
        lossmith.KLDivergence(direction="backward")  # type: ignore[arg-type]
