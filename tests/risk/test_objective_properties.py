"""What an objective claims of itself, attacked with numbers."""

import math

import pytest
import torch

import lossmith
from risk.objectives import F64

CE, L1, L2, Huber = lossmith.CrossEntropy, lossmith.L1, lossmith.L2, lossmith.Huber
W = torch.tensor([0.2, 3.0, 1.0, 0.7, 2.0], dtype=F64)
CASES = {
    "ce": (1 * CE(), True, 2.0, 0.0),
    "ce + huber": (CE() + 0.5 * Huber(delta=2.0).on(target="goal"), True, 3.0, 0.0),
    "smoothed": (CE(label_smoothing=0.2, class_weight=W) + CE(), True, 4.0, 0.0),
    "difference": (L2().on(target="goal") - Huber().on(target="goal"), None, math.inf, None),
    "curves add": (3 * L1().on(target="goal") - L1().on(target="goal"), None, 4.0, None),
    "truncated": (
        lossmith.TukeyBiweight(c=2.0).on(target="goal") + CE(), None, None, 0.0,
    ),
    "focal": (lossmith.Focal(alpha=W) + L1().on(target="goal"), None, None, 0.0),
    "gce": (lossmith.GeneralizedCrossEntropy(q=0.5) + 0.1 * CE(), None, None, 0.0),
    "multiclass": (
        lossmith.CrammerSinger("hinge") + 2 * lossmith.CrammerSinger("logistic"), True, 6.0, 0.0,
    ),
    "ramp of hinge": (lossmith.CrammerSinger("ramp"), None, 2.0, None),
    "rest": (lossmith.OneVsRest("logistic") + CE(), True, None, 0.0),
    "center": (
        CE() + 0.1 * lossmith.CenterLoss(5, 3, update="gradient", loss=L1()), True, 2.3, 0.0,
    ),
    "center, squared": (
        CE() + 0.1 * lossmith.CenterLoss(5, 3, update="gradient"), True, math.inf, 0.0,
    ),
    "linear": (1 * lossmith.LinearLoss(3, 5, dtype=F64), True, None, 0.0),
    "js": (lossmith.JSDivergence() - 2 * CE(), None, None, -math.inf),
    "learned": (
        lossmith.Uncertainty("regression", 0.8) * Huber().on(target="goal") + CE(), True,
        2 + math.exp(-0.8) / 2, 0.4,
    ),
    "scheduled": (lossmith.LinearRamp(0.25, 1, 3) * CE(), True, 0.5, 0.0),
    "nested": (2 * lossmith.Objective(inner=CE() + Huber().on(target="goal")), True, 6.0, 0.0),
    "lasso": (CE() + 0.01 * lossmith.L1Penalty(), True, None, 0.0),
    "groups": (CE() + 0.01 * lossmith.GroupLasso("rows"), True, None, 0.0),
    "ridge": (CE() + 0.01 * lossmith.L2Penalty(), True, math.inf, 0.0),
    "scad": (CE() + 0.01 * lossmith.SCAD(), None, None, 0.0),
    "a function": (CE() + (lambda features: features.sum()), None, None, None),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_claims_are_the_expected_ones(case):
    objective, convex, lipschitz, lowest = CASES[case]
    found = lossmith.Objective.of(objective).properties()
    assert found.convex is convex
    for claim, value in (("lipschitz", lipschitz), ("lowest", lowest)):
        if value is None and case in ("truncated", "focal", "gce", "ramp of hinge"):
            continue  # whatever the curve says; the attack below tells whether it holds
        got = getattr(found, claim)
        assert got == (None if value is None else pytest.approx(value, rel=1e-6)), claim


@pytest.mark.parametrize("case", CASES)
def test_no_batch_breaks_a_claim(case):
    """Seeds 0 to 119: chords, quotients and values at random points, near and far."""
    objective = lossmith.Objective.of(CASES[case][0]).eval()  # nothing is trained here
    found = objective.properties()
    users = objective.inputs()
    y = torch.tensor([0, 3, 4, 1])
    fixed = {"target": y, "goal": torch.linspace(-1, 1, 12, dtype=F64).view(4, 3)}
    fixed["target_probs"] = torch.full((4, 5), 0.2, dtype=F64)
    shapes = {"logits": (4, 5), "prediction": (4, 3), "features": (4, 3), "parameters": (6, 2)}
    fixed = {k: v for k, v in fixed.items() if k in users}
    shapes = {k: v for k, v in shapes.items() if k in users}

    def value(point):
        if "parameters" in point:  # a list of tensors is taken as it is
            point = point | {"parameters": [point["parameters"].requires_grad_()]}
        return objective(**point, **fixed).item()

    for seed in range(120):
        g = torch.Generator().manual_seed(seed)
        size, step = 10 ** (seed % 4 - 1.0), 10 ** (seed % 7 - 4.0)
        a = {k: size * torch.randn(s, generator=g, dtype=F64) for k, s in shapes.items()}
        b = {k: a[k] + step * torch.randn(s, generator=g, dtype=F64) for k, s in shapes.items()}
        at, to = value(a), value(b)
        slack = 1e-12 * (1 + abs(at) + abs(to))
        if found.convex:
            middle = value({k: ((a[k] + b[k]) / 2).detach() for k in shapes})
            assert middle <= (at + to) / 2 + slack, seed
        if found.lipschitz is not None:
            move = max((a[k] - b[k]).detach().abs().max().item() for k in shapes)
            assert abs(at - to) <= found.lipschitz * move * (1 + 1e-9) + slack, seed
        for v in (at, to):
            assert found.lowest is None or v >= found.lowest - slack, seed
            assert found.highest is None or v <= found.highest + slack, seed


def test_constants_are_reached():
    """Without slack in the norm: all entries move, each against its slope."""
    objective = CE() + 0.5 * Huber(delta=2.0).on(target="goal")
    y = torch.zeros(4, dtype=torch.long)
    z = torch.full((4, 2), 40.0, dtype=F64)
    z[:, 0] = -40
    change = torch.tensor([-1.0, 1.0], dtype=F64)
    goal = torch.zeros(4, 3, dtype=F64)
    x = torch.full((4, 3), 9.0, dtype=F64)
    low = objective(logits=z, target=y, prediction=x, goal=goal)
    high = objective(logits=z + change, target=y, prediction=x + 1, goal=goal)
    assert (high - low).item() == pytest.approx(objective.properties().lipschitz, rel=1e-9)


def test_terms_of_the_same_u_are_added_as_curves():
    objective = L2() + 0.5 * Huber(delta=1.0) + CE()
    found = objective.properties()
    curve = found.curves["l2", "huber"]
    assert curve.strong_convexity == pytest.approx(2.0)
    assert curve.smooth == pytest.approx(2.5)
    assert ("convex", "yes") in found.rows()
    assert not (L2() + CE() - Huber().on(target="goal")).properties().convex


def test_a_bounded_sum():
    found = (2 * lossmith.JSDivergence() + lossmith.CrammerSinger("ramp")).properties()
    assert found.bounded
    assert found.highest == pytest.approx(2 * math.log(2) + 2, rel=1e-9)
