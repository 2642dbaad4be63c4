"""Where torch has the same loss: the same values, gradients (at kinks too) and reductions."""

import pytest
import torch
import torch.nn.functional as F

import lossmith

DTYPES = [torch.float32, torch.float64]
REDUCTIONS = ["mean", "sum", "none"]
EDGES = [-2.5, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.5]

RESIDUAL = {
    "l1": (lossmith.l1, F.l1_loss, {}, {}),
    "l2": (lossmith.l2, F.mse_loss, {}, {}),
    "huber": (lossmith.huber, F.huber_loss, {}, {}),
    "huber, delta 1.5": (lossmith.huber, F.huber_loss, {"delta": 1.5}, {"delta": 1.5}),
    "smooth_l1": (lossmith.smooth_l1, F.smooth_l1_loss, {}, {}),
    "smooth_l1, beta 0.5": (lossmith.smooth_l1, F.smooth_l1_loss, {"beta": 0.5}, {"beta": 0.5}),
}


def tolerance(dtype):
    return (
        {"rtol": 1e-6, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 1e-13, "atol": 1e-14}
    )


def compare(ours, theirs, prediction, dtype):
    """Values and gradients under an upstream gradient that tells elements apart."""
    results = []
    for run in (ours, theirs):
        z = prediction.clone().requires_grad_()
        value = run(z)
        upstream = torch.linspace(0.5, 2.0, value.numel(), dtype=dtype).reshape(value.shape)
        (slope,) = torch.autograd.grad(value, z, upstream)
        results.append((value, slope))
    (value, slope), (their_value, their_slope) = results
    torch.testing.assert_close(value, their_value, **tolerance(dtype))
    torch.testing.assert_close(slope, their_slope, **tolerance(dtype))


def draws(seed, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", RESIDUAL)
def test_residual_twins(name, reduction, dtype):
    ours, theirs, options, their_options = RESIDUAL[name]
    target = draws(1, 40, dtype=dtype)
    prediction = target + 2 * draws(2, 40, dtype=dtype)
    # Exactly on, and beside, every kink that these losses have.
    prediction = torch.cat([prediction, torch.tensor(EDGES, dtype=dtype)])
    target = torch.cat([target, torch.zeros(len(EDGES), dtype=dtype)])
    compare(
        lambda z: ours(z, target, reduction=reduction, **options),
        lambda z: theirs(z, target, reduction=reduction, **their_options),
        prediction,
        dtype,
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_logistic_is_soft_margin(reduction, dtype):
    scores = torch.cat([3 * draws(3, 30, dtype=dtype), torch.zeros(2, dtype=dtype)])
    signs = torch.where(draws(4, 32) > 0, 1, -1).to(dtype)
    compare(
        lambda z: lossmith.logistic(z, signs, labels="signed", reduction=reduction),
        lambda z: F.soft_margin_loss(z, signs, reduction=reduction),
        scores,
        dtype,
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("labels", ["hard", "soft"])
def test_binary_cross_entropy(labels, reduction, dtype):
    scores = torch.cat(
        [5 * draws(5, 30, dtype=dtype), torch.tensor([0.0, 60.0, -60.0], dtype=dtype)]
    )
    target = torch.sigmoid(draws(6, 33, dtype=dtype))
    if labels == "hard":
        target = (target > 0.5).to(dtype)
    compare(
        lambda z: lossmith.binary_cross_entropy(z, target, reduction=reduction),
        lambda z: F.binary_cross_entropy_with_logits(z, target, reduction=reduction),
        scores,
        dtype,
    )


def test_weights_of_elements_divide_by_their_sum():
    """torch divides Σ w·loss by N; Lossmith by Σ w."""
    z, t, w = draws(7, 20), (draws(8, 20) > 0).double(), draws(9, 20).abs()
    theirs = F.binary_cross_entropy_with_logits(z, t, weight=w)
    ours = lossmith.binary_cross_entropy(z, t, sample_weight=w)
    torch.testing.assert_close(ours * w.sum() / 20, theirs)
    total, mass = lossmith.binary_cross_entropy.total(z, t, sample_weight=w)
    torch.testing.assert_close(total, theirs * 20)
    torch.testing.assert_close(mass, w.sum())


SHAPES = {"rows": (9, 5), "pixels": (3, 4, 5, 2), "two classes": (6, 2)}


def indices(shape, seed=10):
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=draw)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_cross_entropy_of_indices(shape, weighted, reduction, dtype):
    """With class weights torch's mean divides by the weights of the classes present, as ours."""
    shape = SHAPES[shape]
    logits, target = 3 * draws(11, *shape, dtype=dtype), indices(shape)
    target.view(-1)[1] = -100  # ignored by both
    weight = torch.linspace(0.3, 2.0, shape[1], dtype=dtype) if weighted else None
    compare(
        lambda z: lossmith.cross_entropy(z, target, class_weight=weight, reduction=reduction),
        lambda z: F.cross_entropy(z, target, weight=weight, reduction=reduction),
        logits,
        dtype,
    )


@pytest.mark.parametrize("ignore_index", [-1, 2, 255])
def test_ignore_index(ignore_index):
    logits, target = draws(12, 8, 5), indices((8, 5))
    target[[0, 3]] = ignore_index
    compare(
        lambda z: lossmith.cross_entropy(z, target, ignore_index=ignore_index),
        lambda z: F.cross_entropy(z, target, ignore_index=ignore_index),
        logits,
        torch.float64,
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_cross_entropy_of_distributions(shape, reduction, dtype):
    """Without class weights torch's mean divides by the number of rows: our mass."""
    shape = SHAPES[shape]
    logits, target = 3 * draws(13, *shape, dtype=dtype), draws(14, *shape, dtype=dtype).softmax(1)
    compare(
        lambda z: lossmith.cross_entropy(z, target, reduction=reduction),
        lambda z: F.cross_entropy(z, target, reduction=reduction),
        logits,
        dtype,
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("soft", [False, True])
def test_label_smoothing(soft, shape, reduction, dtype):
    """Equal without class weights; ignored rows leave the mass in both."""
    shape = SHAPES[shape]
    logits = 3 * draws(15, *shape, dtype=dtype)
    if soft:
        target = draws(16, *shape, dtype=dtype).softmax(1)
    else:
        target = indices(shape)
        target.view(-1)[0] = -100
    compare(
        lambda z: lossmith.cross_entropy(z, target, label_smoothing=0.1, reduction=reduction),
        lambda z: F.cross_entropy(z, target, label_smoothing=0.1, reduction=reduction),
        logits,
        dtype,
    )


def test_class_weight_with_distributions_by_algebra():
    """A row weighs as a whole here, each class of it in torch.

    torch: Σ_i Σ_k w_k q_ik (-log p_ik) / N. Here, with v_i = Σ_k w_k q_ik:
    Σ_i v_i Σ_k q_ik (-log p_ik) / Σ_i v_i. Both say the same where q is an index.
    """
    logits, w = 2 * draws(17, 7, 4), torch.tensor([0.5, 1.0, 2.0, 3.0], dtype=torch.float64)
    q = draws(18, 7, 4).softmax(1)
    losses = -(q * logits.log_softmax(1)).sum(1)
    v = q @ w
    for reduction, expected in (
        ("none", v * losses),
        ("sum", (v * losses).sum()),
        ("mean", (v * losses).sum() / v.sum()),
    ):
        ours = lossmith.cross_entropy(logits, q, class_weight=w, reduction=reduction)
        torch.testing.assert_close(ours, expected)
    hot = F.one_hot(indices((7, 4)), 4).double()
    torch.testing.assert_close(
        lossmith.cross_entropy(logits, hot, class_weight=w, reduction="sum"),
        F.cross_entropy(logits, hot, weight=w, reduction="sum"),
    )


def test_class_weight_with_smoothing_by_algebra():
    """torch: (1 - s)·w_y(-log p_y) + s/C·Σ_k w_k(-log p_k). Here the weight of the row is w_y."""
    logits, w = 2 * draws(19, 7, 4), torch.tensor([0.5, 1.0, 2.0, 3.0], dtype=torch.float64)
    target, s = indices((7, 4)), 0.2
    minus_log_p = -logits.log_softmax(1)
    smoothed = (1 - s) * minus_log_p.gather(1, target[:, None])[:, 0] + s * minus_log_p.mean(1)
    v = w[target]
    for reduction, expected in (
        ("none", v * smoothed),
        ("mean", (v * smoothed).sum() / v.sum()),
    ):
        ours = lossmith.cross_entropy(
            logits, target, class_weight=w, label_smoothing=s, reduction=reduction
        )
        torch.testing.assert_close(ours, expected)


def test_crammer_singer_hinge_is_multi_margin_for_two_classes():
    """With one rival, torch's sum over rivals (divided by C = 2) is the largest one, halved."""
    logits, target = 2 * draws(20, 12, 2), indices((12, 2))
    compare(
        lambda z: lossmith.CrammerSinger("hinge")(z, target) / 2,
        lambda z: F.multi_margin_loss(z, target),
        logits,
        torch.float64,
    )


def test_one_vs_rest_logistic_is_a_sum_of_binary_ones():
    logits, target = 2 * draws(21, 8, 5), indices((8, 5))
    hot = F.one_hot(target, 5).double()
    compare(
        lambda z: lossmith.OneVsRest("logistic")(z, target),
        lambda z: F.binary_cross_entropy_with_logits(z, hot, reduction="sum") / 8,
        logits,
        torch.float64,
    )


def test_modules_give_what_functions_give():
    z, t = draws(22, 10), draws(23, 10)
    torch.testing.assert_close(lossmith.Huber(1.5)(z, t), F.huber_loss(z, t, delta=1.5))
    torch.testing.assert_close(
        lossmith.SmoothL1(beta=0.5, reduction="sum")(z, t),
        F.smooth_l1_loss(z, t, beta=0.5, reduction="sum"),
    )
