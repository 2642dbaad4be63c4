"""One formula runs once; a loss that may get stuck starts from its convex relative."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_regression

import lossmith
from lossmith.formula import properties
from lossmith.formula.ledger import LEDGER
from lossmith.lab.compare import robust
from lossmith.lab.compare.candidates import CHOSEN, parse
from lossmith.lab.compare.metrics import Judged
from lossmith.lab.compare.models import build
from lossmith.lab.compare.same import apart, factor
from lossmith.lab.compare.train import HEAD_START, Budget, Part, fit

SIZES = st.floats(0.05, 50, allow_subnormal=False)


def times(text: str, task: str) -> float | None:
    first, second = parse([text], task)[-2:]
    return factor(first, second)


@given(SIZES)
@settings(max_examples=15, deadline=None)
def test_huber_is_delta_times_smooth_l1(delta: float) -> None:
    found = times(f"huber:delta={delta!r},smooth_l1:beta={delta!r}", "regression")
    assert found == pytest.approx(delta, rel=1e-9)


@given(SIZES, SIZES)
@settings(max_examples=15, deadline=None)
def test_another_parameter_is_another_formula(one: float, other: float) -> None:
    found = times(f"huber:delta={one!r},huber:delta={other!r}", "regression") if one != other else 1
    assert (found is None) == (one != other)


@pytest.mark.parametrize(
    ("task", "text", "expected"),
    [
        ("regression", "l1,pinball", 2.0),
        ("regression", "l1,pinball:tau=0.6", None),
        ("regression", "barron:alpha=0,cauchy:c=1.4142135623730951", 1.0),
        ("regression", "huber:delta=1e6,expectile", None),  # they part a million away
        ("binary", "logistic,focal:gamma=0", 1.0),
        ("binary", "sigmoid_loss,generalized_cross_entropy:q=1", 1.0),
        ("classification", "hinge,smoothed_hinge", None),
        ("classification", "logistic,focal:gamma=0", None),  # of a margin, and of a softmax
        ("binary", "hinge,hinge:seed=1", None),
        ("binary", "hinge,hinge:balanced=1", None),
    ],
)
def test_formulas_that_are_and_are_not_one(task: str, text: str, expected: float | None) -> None:
    found = times(text, task)
    assert found == (None if expected is None else pytest.approx(expected))


def test_the_second_name_of_a_formula_is_left_out_and_said() -> None:
    kept, said = apart(parse(["huber,smooth_l1,huber:delta=2,smooth_l1:beta=2"], "regression"))
    assert [c.spec for c in kept] == ["l2", "huber:delta=1", "huber:delta=2"]
    assert said[0].startswith("Smooth L1 (beta = 1) is the formula of Huber (delta = 1)")
    assert "0.5 times Huber (delta = 2)" in said[1]


@pytest.mark.parametrize("task", CHOSEN)
def test_no_two_chosen_losses_are_one(task: str) -> None:
    assert apart(parse([], task))[1] == []


@pytest.mark.parametrize("name", [n for n, r in LEDGER.items() if r.start])
def test_a_start_is_a_convex_relative(name: str) -> None:
    record = LEDGER[name]
    first = LEDGER[record.start]
    assert first.family == record.family
    assert properties.of(first).convex
    assert not properties.of(record).convex
    candidate = parse([f"{name}:seed=2"], "binary" if first.family == "margin" else "regression")[1]
    assert candidate.start is not None
    assert candidate.start.spec.startswith(record.start)
    assert candidate.start.extra("seed") == 2
    assert candidate.start.extra("balanced") == (first.family == "margin")


def test_every_redescending_loss_has_a_start() -> None:
    found = {
        n for n, r in LEDGER.items() if r.family == "residual" and properties.of(r).redescending
    }
    assert found >= {"tukey_biweight", "welsch"}
    assert all(LEDGER[name].start == "huber" for name in found)


def test_the_first_half_is_trained_by_the_start() -> None:
    """By itself a ramp of a margin far below its cap moves nothing at all."""
    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    target = (x[:, 0] > 0).long()
    ramp = parse(["ramp"], "binary")[1]
    assert ramp.start is not None
    part = Part(x, Judged("binary", np.empty(0), target.numpy(), 2))
    made = {}
    for start in (None, ramp.start):
        net = build("linear", (2,), 1, 1)
        with torch.no_grad():
            net.head.weight.copy_(torch.tensor([[-30.0, 0.0]]))  # wrong about nearly every row
            net.head.bias.zero_()
        made[start is not None] = fit(
            *(net, ramp.build(2, 2, None), x, target, {"validation": part}, 0.6),
            *(Budget(30, 30, 20), "accuracy", torch.Generator().manual_seed(1)),
            None if start is None else start.build(2, 2, np.ones(2)),
        )
    assert made[False].score < 0.6
    assert made[True].score > 0.9
    assert made[True].epoch > 30 // HEAD_START
    assert len(made[True].curves["validation"]) == 30


@given(st.floats(0.02, 20), st.integers(0, 5))
@settings(max_examples=8, deadline=None)
def test_residuals_are_measured_by_what_a_fit_leaves(noise: float, seed: int) -> None:
    x, y = make_regression(600, 4, noise=0.0, random_state=seed)
    y = y / y.std() + noise * np.random.default_rng(seed).standard_normal(600)
    y[::20] += 100 * noise  # a twentieth is wild, and changes little
    scaled = (y - np.median(y)) / (1.4826 * np.median(np.abs(y - np.median(y))))
    ratio = (y - np.median(y)).max() / scaled.max()
    assert robust.unit(x.astype(np.float32), scaled) == pytest.approx(
        min(1.0, max(robust.LEAST, noise / ratio)), rel=0.2
    )


def test_a_target_that_is_mostly_one_number_has_no_robust_spread() -> None:
    target = np.where(np.arange(300) % 4, 0.0, np.arange(300.0))
    assert robust.unit(np.ones((300, 2), np.float32), target) == 1.0
    assert robust.unit(np.ones((4, 2), np.float32), np.arange(4.0)) == 1.0


def test_parameters_count_in_the_unit_of_residuals() -> None:
    scores, target = torch.randn(9), torch.randn(9)
    huber = parse(["huber"], "regression")[1]
    found = huber.build(0, 0, None, unit=0.25)(scores, None, target)
    torch.testing.assert_close(found, lossmith.huber(scores, target, delta=0.25) / 0.25**2)
    plain = replace(
        huber, loss=lambda prediction, target: (prediction - target).sum(), parameters=()
    )
    found = plain.build(0, 0, None, unit=0.25)(scores, None, target)
    torch.testing.assert_close(found, (scores - target).sum())  # a function of one's own: as it is
