"""Numbers at the ends of their range: a result that a type can hold is right.

Oracles: formulas by hand in Python's own floats, torch in float64, and for drawn numbers the
expression at 60 digits (lab/fuzz/numbers.py).
"""

import math
from random import Random

import mpmath as mp
import pytest
import torch
from torch.autograd import forward_ad

import lossmith
from engine import cases
from lossmith.engine.cpu import machine, source
from lossmith.formula.exact import DEFINITIONS
from lossmith.lab.fuzz.numbers import ENGINES, Case, draw, judge

inf, nan = math.inf, math.nan


def value_and_slope(function, z, t, reduction="none", **options):
    z = torch.as_tensor(z).requires_grad_()
    value = function(z, torch.as_tensor(t), reduction=reduction, **options)
    (slope,) = torch.autograd.grad(value, z, torch.ones_like(value))
    return value.detach(), slope


def both_engines(*args, **options):
    yield value_and_slope(*args, **options)
    with forward_ad.dual_level():
        yield value_and_slope(*args, **options)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "names", [cases.RESIDUAL, cases.MARGIN, cases.PROBABILITY], ids=["residual", "margin", "class"]
)
def test_numbers_drawn_over_the_whole_range(names, engine):
    """The losses with the most to go wrong, so that few kernels are compiled."""
    few = {"huber", "cauchy", "barron", "logistic", "binary_focal", "poly1", "focal"}
    names = [n for n in names if n in few or n == "generalized_cross_entropy"]
    random, count, found = Random(names[0]), 0, []
    while count < 25:
        case = draw(random, names)
        if case.engine != engine or case.dtype in ("float16", "float64"):
            continue
        count += 1
        found.append(judge(case))
    assert [f for f in found if f] == []


def test_the_judge_sees_what_is_wrong(monkeypatch):
    case = Case("huber", "float32", "kernel", (("delta", 1.0),), (0.5, 3.0))
    assert judge(case) is None
    right = lossmith.huber
    monkeypatch.setattr(lossmith, "huber", lambda *a, **k: right(*a, **k) * 1.00001)
    said = judge(case)
    assert said.startswith("value 0.125001")
    assert "points=(0.5,)" in said


@pytest.mark.parametrize("scale", [1e-30, 0.25, 1e20, 3e38])
@pytest.mark.parametrize("name", ["huber", "pseudo_huber", "fair", "cauchy", "welsch", "smooth_l1"])
def test_a_scale_of_any_size(name, scale):
    """Against torch's own arithmetic in float64, where none of these leaves the range."""
    function = getattr(lossmith, name)
    c = float(torch.tensor(scale))
    r = torch.tensor([1.0, -1e-10, 1e18, 2e38, -3e-30, 0.0])
    wide = r.double()
    truth, slope = value_and_slope(function, wide, torch.zeros_like(wide), **{name_of(function): c})
    u = wide / c
    by_hand = {
        "huber": torch.where(u.abs() <= 1, wide**2 / 2, c * (wide.abs() - c / 2)),
        "smooth_l1": torch.where(u.abs() < 1, wide * u / 2, wide.abs() - c / 2),
        "pseudo_huber": wide * (wide / (1 + torch.sqrt(1 + u * u))),
        "cauchy": c * c * torch.log1p(u * u) / 2,
        "welsch": -c * c * torch.expm1(-u * u) / 2,
    }
    if name in by_hand:
        torch.testing.assert_close(truth, by_hand[name], rtol=1e-12, atol=0.0)
    for got in both_engines(function, r, torch.zeros_like(r), **{name_of(function): c}):
        for found, wanted in zip(got, (truth, slope), strict=True):
            torch.testing.assert_close(found, wanted.float(), rtol=1e-6, atol=1.2e-38)


def name_of(function):
    return function.formula.scale.name


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("alpha", [-0.01, -0.3, -2.0])
def test_a_bounded_loss_of_a_residual_beyond_its_type_in_units_of_the_scale(
    alpha, dropped, reduction
):
    """r / c is beyond the largest float, and the loss is not yet at its bound: no sum shows it."""
    r, c = [0.5, -3.4e38, 2.0, 3e38], 0.65
    expected = [
        float(abs(mp.mpf(alpha) - 2) / mp.mpf(alpha)
              * ((1 + (mp.mpf(x) / c) ** 2 / abs(mp.mpf(alpha) - 2)) ** (mp.mpf(alpha) / 2) - 1))
        for x in map(lambda x: float(torch.tensor(x)), r)
    ]  # fmt: skip
    options = {"alpha": alpha, "c": c, "reduction": reduction}
    z, zeros = torch.tensor(r, requires_grad=True), torch.zeros(4)
    if dropped:  # what is dropped has no say
        z = torch.cat((z.detach(), torch.tensor([3.4e38, inf, nan]))).requires_grad_()
        zeros = torch.zeros(7)
        options["mask"] = torch.tensor([True] * 4 + [False] * 3)
    value = lossmith.barron(z, zeros, **options)
    wanted = expected if reduction == "none" else [sum(expected) / 4]
    assert value.detach().reshape(-1)[: len(wanted)].tolist() == pytest.approx(wanted, rel=2e-6)
    value.sum().backward()
    again = lossmith.barron(z.detach()[:4], zeros[:4], alpha=alpha, c=c, reduction="none")
    assert again.tolist() == pytest.approx(expected, rel=2e-6)  # without a gradient


def test_a_mean_is_finite_where_only_the_sum_overflows():
    z = torch.tensor([1e38, 3e38, 3e38])
    value, slope = value_and_slope(lossmith.l1, z, torch.zeros(3), reduction="mean")
    assert value.item() == pytest.approx(7e38 / 3, rel=1e-6)
    assert slope.tolist() == pytest.approx([1 / 3] * 3)
    value, slope = value_and_slope(lossmith.barron, z, torch.zeros(3), alpha=1.5)
    assert torch.isinf(value).all()
    wide = [float(mp.mpf(x) * (1 + mp.mpf(x) ** 2 / 0.5) ** -0.25) for x in z.tolist()]
    assert slope.tolist() == pytest.approx(wide, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "truth"),
    [
        ("generalized_cross_entropy", {"q": 1e-45}, math.log(3)),
        ("focal", {"gamma": 1e300}, 0.0),
        ("focal", {"gamma": 1e-300}, math.log(3)),
        ("poly1", {"epsilon": -1.0}, math.log(3) - 2 / 3),
    ],
)
def test_parameters_at_the_ends_of_their_domain(name, options, truth):
    for value, slope in both_engines(getattr(lossmith, name), torch.zeros(2, 3), [0, 1], **options):
        assert value.tolist() == pytest.approx([truth] * 2, rel=1e-6)
        assert torch.isfinite(slope).all()


def test_poly1_keeps_its_digits_where_log_p_and_its_complement_nearly_agree():
    margins = [0.3, 10.0, 20.0, 40.0]
    z = torch.tensor([[m, 0.0] for m in margins])
    with mp.workdps(60):
        tails = [1 / (1 + mp.exp(mp.mpf(m))) for m in torch.tensor(margins).tolist()]
        truth = [float(-mp.log1p(-n) - n) for n in tails]
    for value, _ in both_engines(lossmith.poly1, z, [0] * 4, epsilon=-1.0):
        assert value.tolist() == pytest.approx(truth, rel=1e-6)


def test_divergences_of_two_distributions_that_nearly_agree():
    draw = torch.Generator().manual_seed(0)
    z = torch.randn(20, 7, generator=draw)
    other = z + 1e-3 * torch.randn(20, 7, generator=draw)
    log_q, log_p = (torch.log_softmax(x.double(), 1) for x in (z, other))
    truth = torch.nn.functional.kl_div(log_q, log_p, log_target=True, reduction="none").sum(1)
    found = lossmith.kl_divergence(z, target_logits=other, reduction="none")
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, truth.float(), rtol=1e-6, atol=0.0)


def test_the_curvature_of_focal_at_gamma_0_is_0_at_subnormal_scores():
    z = torch.tensor([[0.0, -1e-42], [1e-42, 0.0], [0.0, 0.0]])
    found = lossmith.derivatives(lossmith.focal, z, torch.tensor([0, 0, 1]), gamma=0.0)
    torch.testing.assert_close(found.hessian, torch.full((3, 2), 0.25))


@pytest.mark.parametrize("name", cases.PROBABILITY)
def test_an_infinite_score_is_the_limit(name):
    """One +∞ is certain of its class; two have no limit. As far out as a finite score shows it."""
    function = getattr(lossmith, name)
    z = [[inf, 0.0, 1.0], [0.0, inf, 1.0], [inf, inf, 0.0]]
    far = torch.tensor([[3e38, 0.0, 1.0], [0.0, 3e38, 1.0]])
    expected, slopes = value_and_slope(function, far, [0, 0])
    expected = torch.where(expected > 1e30, inf, expected)
    for value, slope in both_engines(function, z, [0, 0, 0]):
        torch.testing.assert_close(value[:2], expected)
        torch.testing.assert_close(slope[:2], slopes)
        assert torch.isnan(value[2])
        assert torch.isnan(slope[2]).any()


@pytest.mark.parametrize("name", cases.MARGIN)
def test_an_infinite_margin_is_the_limit(name):
    function = getattr(lossmith, name)
    far, t = torch.tensor([3e37, -3e37]), torch.tensor([1.0, 1.0])
    expected, slopes = value_and_slope(function, far, t)
    expected = torch.where(expected > 1e30, inf, expected)
    slopes = torch.where(slopes.abs() > 1e30, slopes * inf, slopes)
    for value, slope in both_engines(function, [inf, -inf], t):
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(slope, slopes)


RISES = {
    "exp_excess(u)": ("exp_excess", (), "both"),
    "exp_rise(u, a)": ("exp_rise", (1e-45, 1e-12, 0.3, 1.0), "negative"),
    "exp_rise_da(u, a)": ("exp_rise_da", (1e-12, 0.3, 1.0), "negative"),
}


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("expression", RISES)
def test_how_far_exponentials_rise(expression, bits):
    name, parameters, side = RISES[expression]
    scope = machine._library(source.library(f"float{bits}", halves=False, stream=False))
    number, njit = scope["K"], scope["njit"]
    text = f"def run(x, y, a):\n for i in range(len(x)):\n  u = x[i]\n  y[i] = {expression}\n"
    names = {**scope}
    exec(text, names)
    run = njit(error_model="numpy", fastmath={"contract"})(names["run"])
    random, np = Random(3), scope["np"]
    sizes = [10 ** random.uniform(-18, 1.9) for _ in range(200)] + [0.34, 0.3399, 1.0, 0.5, 1.5]
    x = np.array([-s for s in sizes] + (sizes if side == "both" else []), dtype=number)
    for a in parameters or (0.0,):
        y = np.empty_like(x)
        run(x, y, number(a))
        for u, found in zip(x.tolist(), y.tolist(), strict=True):
            with mp.workdps(80):
                arguments = [mp.mpf(u), *([mp.mpf(float(number(a)))] if parameters else [])]
                truth = DEFINITIONS[name](*arguments)
                slope = abs(u * mp.expm1(mp.mpf(u)) if side == "both" else 0)
                error = abs(found - truth) / (abs(truth) + slope)
            tiny = abs(truth) < float(np.finfo(number).tiny)
            assert tiny or error < (6e-7 if bits == 32 else 2e-15), (u, a, found, truth)
