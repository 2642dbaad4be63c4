"""First and second derivatives of the public functions against finite differences, in float64."""

import warnings

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

import lossmith
from engine import cases
from lossmith.formula.ledger import LEDGER

REDUCTIONS = ["mean", "sum", "none"]


def both(function, *inputs):
    with warnings.catch_warnings():
        # A loss with slope 0 everywhere has nothing that depends on its input.
        warnings.filterwarnings("ignore", message=".*not attached to the graph.*")
        assert gradcheck(function, inputs)
        assert gradgradcheck(function, inputs)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", cases.ELEMENTWISE)
def test_elementwise(name, reduction):
    loss = cases.function(name)
    prediction, target = cases.elementwise(name, 6, seed=1)
    weight = torch.linspace(0.5, 2.0, 6, dtype=torch.float64)
    mask = torch.tensor([True, True, False, True, True, True])
    assert lossmith.engine_for(loss, prediction, target).startswith("cpu")
    both(
        lambda z: loss(z, target, sample_weight=weight, mask=mask, reduction=reduction),
        prediction.requires_grad_(),
    )


@pytest.mark.parametrize("name", cases.MARGIN)
def test_soft_and_signed_labels(name):
    loss, u = cases.function(name), cases.smooth_points(name, 12, seed=2)
    options = {"sample_weight": torch.ones(12, dtype=torch.float64), "mask": torch.ones(12).bool()}
    signs = torch.where(torch.arange(12) % 2 == 0, 1.0, -1.0).double()
    both(lambda z: loss(z, signs, labels="signed"), (signs * u).requires_grad_())
    # A soft label meets ψ(z) and ψ(-z): both must be smooth there.
    u = u[[bool((cases.smooth_points(name, 400) + x).abs().min() < 0.05) for x in u]][:5]
    soft = torch.linspace(0.1, 0.9, len(u), dtype=torch.float64)
    options = {k: v[: len(u)] for k, v in options.items()}
    assert len(u) >= 3
    both(lambda z: loss(z, soft, **options), u.clone().requires_grad_())


# Reductions do not depend on the margin formula behind a link; the mean stands for all.
ROWS = [(n, r) for n in cases.CLASSES for r in (REDUCTIONS if "(" not in n else ["mean"])]


@pytest.mark.parametrize(("name", "reduction"), ROWS)
def test_rows_of_scores(name, reduction):
    loss = cases.function(name)
    logits, target = cases.rows(name, (4, 3), seed=3)
    weight = torch.tensor([1.0, 0.5, 2.0, 0.0], dtype=torch.float64)
    mask = torch.tensor([True, True, True, True])
    both(
        lambda z: loss(z, target, sample_weight=weight, mask=mask, reduction=reduction),
        logits.requires_grad_(),
    )


@pytest.mark.parametrize("name", cases.PROBABILITY)
def test_soft_smoothed_and_weighted_classes(name):
    loss = cases.function(name)
    logits, target = cases.rows(name, (2, 3, 2), seed=4)
    logits.requires_grad_()
    soft = cases.soft_labels((2, 3, 2), seed=5)
    class_weight = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    both(lambda z: loss(z, soft, class_weight=class_weight), logits)
    both(lambda z: loss(z, target, class_weight=class_weight, label_smoothing=0.2), logits)
    both(lambda z: loss(z, soft, label_smoothing=0.2, reduction="none"), logits)


@pytest.mark.parametrize("name", [n for n, r in LEDGER.items() if r.parameters])
def test_learned_parameters(name):
    loss, record = cases.function(name), LEDGER[name]
    if record.family == "probability":
        prediction, target = cases.rows(name, (4, 3), seed=6)
    else:
        prediction, target = cases.elementwise(name, 6, seed=6)
    parameters = [
        torch.tensor(p.default, dtype=torch.float64, requires_grad=True) for p in record.parameters
    ]

    def run(z, *values):
        names = (p.name for p in record.parameters)
        return loss(z, target, **dict(zip(names, values, strict=True)), reduction="none")

    assert gradcheck(run, (prediction.requires_grad_(), *parameters))
    if name != "barron":  # a second derivative in alpha is not offered
        assert gradgradcheck(run, (prediction, *parameters))


def test_barron_at_the_limits_of_alpha():
    """The derivative in alpha through Cauchy (0), between the branches, and near the square."""
    prediction, target = cases.elementwise("barron", 6, seed=7)
    for alpha in (-2.0, -1e-9, 0.0, 1e-9, 1.0, 1.9):
        a = torch.tensor(alpha, dtype=torch.float64, requires_grad=True)
        assert gradcheck(
            lambda z, a: lossmith.barron(z, target, a), (prediction.requires_grad_(), a)
        )


# What the slope is exactly at a kink, read off torch's twin or the record's own words.
KINKS = [
    ("l1", {}, 0.0, 0.0),
    ("huber", {"delta": 2.0}, 2.0, 2.0),
    ("huber", {"delta": 2.0}, -2.0, -2.0),
    ("smooth_l1", {"beta": 2.0}, 2.0, 1.0),
    ("tukey_biweight", {"c": 2.0}, 2.0, 0.0),
    ("pinball", {"tau": 0.3}, 0.0, -0.3),
    ("expectile", {"tau": 0.3}, 0.0, 0.0),
    ("epsilon_insensitive", {"epsilon": 0.5}, 0.5, 0.0),
    ("epsilon_insensitive", {"epsilon": 0.5}, -0.5, 0.0),
    ("epsilon_insensitive", {"epsilon": 0.0}, 0.0, 0.0),
    ("squared_epsilon_insensitive", {"epsilon": 0.5}, 0.5, 0.0),
    ("zero_one", {}, 0.0, 0.0),
    ("hinge", {}, 1.0, 0.0),
    ("squared_hinge", {}, 1.0, 0.0),
    ("smoothed_hinge", {"gamma": 0.5}, 0.5, -1.0),
    ("smoothed_hinge", {"gamma": 0.5}, 1.0, 0.0),
    ("ramp", {"s": -1.0}, -1.0, -1.0),
    ("ramp", {"s": -1.0}, 1.0, 0.0),
    ("perceptron", {}, 0.0, 0.0),
    ("modified_huber", {}, -1.0, -4.0),
    ("modified_huber", {}, 1.0, 0.0),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("name", "parameters", "u", "slope"), KINKS)
def test_the_stated_slope_at_a_kink(name, parameters, u, slope, dtype):
    loss = cases.function(name)
    z = torch.tensor([u], dtype=dtype, requires_grad=True)
    options = {"reduction": "none", **parameters}
    target = torch.zeros_like(z)
    if LEDGER[name].family == "margin":
        target, options["labels"] = torch.ones_like(z), "signed"
    expected = torch.tensor([slope], dtype=dtype)
    found = cases.gradient(loss(z, target, **options), z, torch.ones_like(z))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0.0)
    with cases.on_reference():
        value = loss(z, target, **options)
    found = cases.gradient(value, z, torch.ones_like(z))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0.0)


def test_every_kink_is_stated():
    from lossmith.lab.accuracy.points import kinks

    smooth = {"barron"}  # its branches meet where alpha = 2, which is no kink in u
    for name, record in LEDGER.items():
        kinked = kinks(record, record.defaults)
        if record.family != "probability" and kinked and name not in smooth:
            assert name in {row[0] for row in KINKS}, f"{name} has kinks {kinked}, none stated"


@lossmith.residual
def half_square(u):
    """Squared error, half of it: its slope is u itself."""
    return u**2 / 2


def test_a_slope_that_is_the_residual_itself():
    z = torch.randn(6, dtype=torch.float64, requires_grad=True)
    target = torch.randn(6, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: half_square(z, target), (z,))
    assert torch.autograd.gradgradcheck(lambda z: half_square(z, target), (z,))
    slope = torch.func.grad(lambda z: half_square(z, target, reduction="sum"))
    assert torch.equal(slope(z), z - target)
