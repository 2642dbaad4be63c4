"""What every loss obeys whatever its formula: weights, masks, NaN, empty batches, sums, limits."""

import math

import pytest
import torch
import torch.nn.functional as F

import lossmith
from engine import cases

nan, inf = float("nan"), float("inf")
# Rows of scores: the probability losses, and two margins behind each link.
CLASSES = [
    *cases.PROBABILITY,
    *(f"{link}({m!r})" for link in ("CrammerSinger", "OneVsRest") for m in ("hinge", "savage")),
]
LOSSES = [*cases.ELEMENTWISE, *CLASSES]
ENGINES = ["cpu", "reference"]


def inputs(name, count=8, seed=1):
    if name in cases.ELEMENTWISE:
        return cases.elementwise(name, count, seed)
    return cases.rows(name, (count, 3), seed)


def run(name, engine, prediction, target, **options):
    """(value, gradient of a weighted sum of it) on one engine.

    A weight and a mask are always given, so that a loss has few kernels to compile here; calls
    without them are compared in test_engines_agree.py.
    """
    distribution = name not in cases.ELEMENTWISE and target.is_floating_point()
    rows = target[:, 0].shape if distribution else target.shape
    options.setdefault("sample_weight", torch.ones(rows, dtype=torch.float64))
    options.setdefault("mask", torch.ones(rows, dtype=torch.bool))
    loss = cases.function(name)
    z = prediction.clone().requires_grad_()
    if engine == "cpu":
        assert lossmith.engine_for(
            loss, z, target, **{k: v for k, v in options.items() if k != "reduction"}
        ).startswith("cpu")
        value = loss(z, target, **options)
    else:
        with cases.on_reference():
            value = loss(z, target, **options)
    upstream = torch.linspace(1, 2, value.numel(), dtype=value.dtype).reshape(value.shape)
    return value.detach(), cases.gradient(value, z, upstream)


def same(a, b, **options):
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12, **options)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", LOSSES)
def test_weight_2_is_the_row_twice_and_weight_0_the_row_dropped(name, engine):
    z, t = inputs(name)
    weight = torch.tensor([1, 2, 0, 1, 1, 2, 1, 0], dtype=torch.float64)
    rows = torch.tensor([0, 1, 1, 3, 4, 5, 5, 6])
    value, slope = run(name, engine, z, t, sample_weight=weight)
    twice, slopes = run(name, engine, z[rows], t[rows])
    same(value, twice)
    gathered = torch.zeros_like(slope).index_add_(0, rows, slopes)
    same(slope, gathered)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", LOSSES)
def test_nan_where_it_is_dropped_reaches_nothing(name, engine):
    z, t = inputs(name)
    mask = torch.tensor([True, True, False, True, True, False, True, True])
    weight = torch.ones(8, dtype=torch.float64)
    weight[0] = 0.0
    kept = mask & (weight != 0)
    expected = run(name, engine, z[kept], t[kept])
    bad, bad_t = z.clone(), t.clone()
    bad[~kept] = torch.tensor([nan, inf, -inf], dtype=z.dtype).reshape(3, *(1,) * (z.dim() - 1))
    if t.is_floating_point():
        bad_t[~kept] = nan
    else:
        bad_t[~kept] = 99  # and a label that is no class
    value, slope = run(name, engine, bad, bad_t, mask=mask, sample_weight=weight)
    same(value, expected[0])
    same(slope[kept], expected[1])
    assert (slope[~kept] == 0).all()
    values, slopes = run(
        name, engine, bad, bad_t, mask=mask, sample_weight=weight, reduction="none"
    )
    assert (values[~kept] == 0).all()
    assert (slopes[~kept] == 0).all()
    assert torch.isfinite(values).all()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CLASSES)
def test_nan_in_an_ignored_row_reaches_nothing(name, engine):
    z, t = inputs(name)
    t[[2, 5]] = -100
    bad = z.clone()
    bad[2], bad[5, 0] = nan, inf
    kept = t != -100
    value, slope = run(name, engine, bad, t)
    expected, slopes = run(name, engine, z[kept], t[kept])
    same(value, expected)
    same(slope[kept], slopes)
    assert (slope[~kept] == 0).all()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", LOSSES)
def test_nan_elsewhere_is_seen(name, engine):
    """In the value and in the gradient of its own row, and in no other row."""
    z, t = inputs(name)
    z[3] = nan
    values, slopes = run(name, engine, z, t, reduction="none")
    assert torch.isnan(values).nonzero().flatten().tolist() == [3]
    lost = torch.isnan(slopes)
    lost = lost.any(1) if lost.dim() == 2 else lost
    assert lost.nonzero().flatten().tolist() == [3]
    mean, _ = run(name, engine, z, t)
    assert math.isnan(mean)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_nan_score_is_seen_whichever_class_it_has(name, place, engine):
    z, t = inputs(name)
    z[3, place] = nan
    values, slopes = run(name, engine, z, t, reduction="none")
    assert torch.isnan(values).nonzero().flatten().tolist() == [3]
    assert torch.isnan(slopes[3]).any()
    assert torch.isfinite(slopes[[0, 1, 2, 4, 5, 6, 7]]).all()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("why", ["empty", "mask", "sample_weight"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_of_mass_0_is_a_connected_0(name, why, engine):
    z, t = inputs(name)
    options = {}
    if why == "empty":
        z, t = z[:0], t[:0]
    elif why == "mask":
        options["mask"] = torch.zeros(8, dtype=torch.bool)
    else:
        options["sample_weight"] = torch.zeros(8, dtype=torch.float64)
    value, slope = run(name, engine, z, t, **options)
    assert value == 0
    assert slope.shape == z.shape
    assert (slope == 0).all()
    if engine == "reference":
        return
    full = {
        "sample_weight": torch.ones(len(z)),
        "mask": torch.ones(len(z), dtype=torch.bool),
    } | options
    total, mass = cases.function(name).total(z.requires_grad_(), t, **full)
    assert (total, mass) == (0, 0)
    assert total.requires_grad


@pytest.mark.parametrize("name", LOSSES)
def test_totals_of_parts_add_up(name):
    z, t = inputs(name)
    z.requires_grad_()
    w, m = torch.linspace(0.2, 3, 8, dtype=torch.float64), torch.ones(8, dtype=torch.bool)
    loss = cases.function(name)
    total, mass = loss.total(z, t, sample_weight=w, mask=m)
    parts = [
        loss.total(z[s], t[s], sample_weight=w[s], mask=m[s]) for s in (slice(0, 3), slice(3, 8))
    ]
    same(total, parts[0][0] + parts[1][0])
    same(mass, parts[0][1] + parts[1][1])
    same(mass, w.sum())
    same(loss(z, t, sample_weight=w, mask=m), total / mass)
    same(loss(z, t, sample_weight=w, mask=m, reduction="sum"), total)
    same(loss(z, t, sample_weight=w, mask=m, reduction="none").sum(), total)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", cases.PROBABILITY)
def test_a_one_hot_distribution_is_the_index(name, engine):
    z, t = cases.rows(name, (4, 3, 5), seed=2)
    hot = F.one_hot(t, 3).movedim(-1, 1).double()
    for options in ({}, {"label_smoothing": 0.1}, {"class_weight": torch.tensor([1.0, 2.0, 3.0])}):
        for got, want in zip(
            run(name, engine, z, hot, **options), run(name, engine, z, t, **options), strict=True
        ):
            same(got, want)


@pytest.mark.parametrize("name", ["CrammerSinger('hinge')", "OneVsRest('logistic')"])
def test_a_one_hot_distribution_is_the_index_behind_margin_links(name):
    z, t = cases.rows(name, (6, 3), seed=2)
    hot = F.one_hot(t, 3).double()
    for got, want in zip(run(name, "reference", z, hot), run(name, "cpu", z, t), strict=True):
        same(got, want)


def test_softmax_focal_of_two_classes_is_binary_focal_of_the_difference():
    z, t = 3 * torch.randn(20, 2, dtype=torch.float64), torch.arange(20) % 2
    for gamma in (0.0, 0.5, 2.0, 5.0):
        same(
            lossmith.focal(z, t, gamma, reduction="none"),
            lossmith.binary_focal(z[:, 1] - z[:, 0], t, gamma, reduction="none"),
        )


def test_relations_between_losses():
    z, t = cases.elementwise("huber", 30, seed=3)
    labels = (t > 0).double()
    for delta in (0.25, 3.0):
        same(lossmith.huber(z, t, delta), delta * lossmith.smooth_l1(z, t, delta))
    same(lossmith.binary_cross_entropy(z, labels), lossmith.logistic(z, labels))
    same(lossmith.binary_focal(z, labels, 0.0), lossmith.logistic(z, labels))
    same(lossmith.binary_focal(z, labels, alpha=0.5), lossmith.binary_focal(z, labels) / 2)
    same(lossmith.pinball(z, t, 0.5), lossmith.l1(z, t) / 2)
    same(lossmith.expectile(z, t, 0.5), lossmith.l2(z, t) / 2)
    same(lossmith.epsilon_insensitive(z, t, 0.0), lossmith.l1(z, t))
    same(lossmith.savage(z, labels), lossmith.brier(2 * z, labels))
    same(lossmith.ramp(z, labels), lossmith.hinge(z, labels, reduction="none").clamp(max=2).mean())
    logits, y = cases.rows("focal", (9, 4), seed=4)
    same(lossmith.focal(logits, y, 0.0), lossmith.cross_entropy(logits, y))
    same(lossmith.poly1(logits, y, 0.0), lossmith.cross_entropy(logits, y))
    probability = logits.softmax(1).gather(1, y[:, None])[:, 0]
    same(lossmith.generalized_cross_entropy(logits, y, 1.0), (1 - probability).mean())


def test_alpha_weighs_the_two_sides():
    z = torch.tensor([0.3, -0.7, 0.4], dtype=torch.float64)
    t = torch.tensor([1.0, 0.0, 0.25], dtype=torch.float64)
    p, gamma = torch.sigmoid(z), 2.0
    positive, negative = -((1 - p) ** gamma) * p.log(), -(p**gamma) * (1 - p).log()
    expected = 0.3 * t * positive + 0.7 * (1 - t) * negative
    same(lossmith.binary_focal(z, t, gamma, alpha=0.3, reduction="none"), expected)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", cases.PROBABILITY)
def test_huge_and_forbidden_logits(name, dtype, engine):
    """Values and gradients are finite wherever the truth is, and the truth where it is known."""
    logits = torch.tensor(
        [[1e4, 0, -1e4], [-1e4, 1e4, 0], [0, -inf, 1.0], [-inf, 2.0, -inf]], dtype=dtype
    )
    t = torch.tensor([0, 0, 2, 1])
    values, slopes = run(name, engine, logits, t, reduction="none")
    assert torch.isfinite(values).all(), values
    assert torch.isfinite(slopes).all(), slopes
    assert values[0] == 0  # certain and right
    assert abs(values[3]) < 1e-6  # the only class allowed
    assert (slopes[2:][logits[2:] == -inf] == 0).all()
    if name in ("cross_entropy", "focal"):
        assert values[1] == 2e4
        assert slopes[1].tolist() == pytest.approx([-4 / 3, 4 / 3, 0])
    # The same as without the forbidden class; as a distribution, too.
    without, slope = run(name, engine, logits[2:3, [0, 2]], torch.tensor([1]), reduction="none")
    torch.testing.assert_close(values[2:3], without)
    torch.testing.assert_close(slopes[2, [0, 2]], slope[0] * 5 / 3)
    hot = F.one_hot(t, 3).to(dtype)
    soft_values, soft_slopes = run(name, engine, logits, hot, reduction="none")
    torch.testing.assert_close(soft_values, values, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(soft_slopes, slopes, rtol=1e-5, atol=1e-6)
    smooth, smooth_slopes = run(name, engine, logits, t, label_smoothing=0.1, reduction="none")
    assert torch.isfinite(smooth).all(), smooth
    assert torch.isfinite(smooth_slopes).all(), smooth_slopes


@pytest.mark.parametrize("name", cases.MARGIN)
def test_huge_scores(name):
    z = torch.tensor([1e4, -1e4, 3e38, -3e38])
    t = torch.tensor([1.0, 0.0, 1.0, 0.0])
    values, slopes = run(name, "cpu", z, t, reduction="none")
    assert (values == 0).all(), values
    assert (slopes == 0).all(), slopes
    if name not in ("exponential", "squared_hinge"):  # whose truth overflows
        values, slopes = run(name, "cpu", -z[:2], t[:2], reduction="none")
        assert torch.isfinite(values).all(), values
        assert torch.isfinite(slopes).all(), slopes


def test_a_share_of_0_never_meets_infinity():
    """exp(1e4) = ∞ on the side that a hard label, written as a float, leaves out."""
    z = torch.tensor([1e4, -1e4, 0.3])
    t = torch.tensor([1.0, 0.0, 0.5])
    for engine in ENGINES:
        values, slopes = run("exponential", engine, z, t, reduction="none")
        assert values[:2].tolist() == [0, 0]
        assert slopes[:2].tolist() == [0, 0]


def test_loss_scaling_of_half_precision():
    """The upstream gradient multiplies before the gradient is rounded to float16."""
    n, scale = 1_000_000, 65536.0
    z = torch.linspace(0.1, 0.9, n).half().requires_grad_()
    slope = cases.gradient(lossmith.huber(z, torch.zeros_like(z)) * scale, z)
    truth = z.detach().double() / n * scale
    torch.testing.assert_close(slope.double(), truth, rtol=2e-3, atol=0.0)


def test_user_tensors_are_not_written_to():
    z, t = inputs("huber")
    w, m = torch.ones(8, dtype=torch.float64), torch.arange(8) > 2
    z.requires_grad_()
    versions = [x._version for x in (z, t, w, m)]
    lossmith.huber(z, t, sample_weight=w, mask=m).backward()
    lossmith.huber(z, t, sample_weight=w, mask=m, reduction="none").sum().backward()
    assert [x._version for x in (z, t, w, m)] == versions
