"""Presets against figures by hand, and against what the peers themselves returned.

RECORDED was printed by torchvision 0.29.2 (its focal_loss.py), kornia 0.9.0, MONAI 1.6.1,
segmentation_models_pytorch 0.6.0, Keras 3.15.1 on torch, and mmdetection 3.3.0 (its losses), on
the tensors below.
"""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, tensor
from torch.nn.functional import cross_entropy, one_hot

import lossmith
from lossmith import presets


def wide(*rows: list[float]) -> Tensor:
    return tensor(rows, dtype=torch.float64)


X = wide([1.3, -0.4, 2.2], [-3.0, 0.5, 0.1], [0.2, 4.0, -1.5], [0.0, -0.7, 1.9])
SOFT = wide([0.7, 0.0, 1.0], [0.2, 0.5, 0.9], [1.0, 0.3, 0.0], [0.1, 0.6, 0.4])
HARD = wide([1, 0, 1], [0, 1, 1], [1, 0, 0], [0, 1, 0])
R = wide([0.3, -2.0, 5.0], [1.0, -0.9, -4.0], [0.0, 2.5, 1.1], [1.4, 0.8, -0.2])
Y, GAP = tensor([0, 2, 1, 2]), tensor([0, -100, 1, 2])
W, (S,) = wide([1.0, 2.0, 4.0])[0], wide([1.0, 2.0, 0.5, 3.0])
X3 = torch.stack([X, X.flip(0) * 0.5], 2)
Y3 = tensor([[0, 1], [2, 2], [1, 0], [2, 0]])
HOT, HOT3 = one_hot(Y, 3).double(), one_hot(Y3, 3).movedim(-1, 1).double()
Q, P, Z = X.sigmoid(), X.softmax(1), torch.zeros_like(R)


def ignoring(reduction: str, weight: Tensor | None = None) -> Tensor:
    return presets.keras_categorical_crossentropy(
        GAP, X, True, 0.0, weight, reduction, ignore_class=-100
    )  # type: ignore[arg-type]


RECORDED: dict[str, tuple[float, Callable[[], Tensor]]] = {
    "torchvision": (
        0.31442380450095436,
        lambda: presets.torchvision_sigmoid_focal_loss(X, SOFT, -1, 1.5, "mean"),
    ),
    "torchvision, alpha": (
        4.470350132054604,
        lambda: presets.torchvision_sigmoid_focal_loss(X, HARD, reduction="sum"),
    ),
    "mmdet focal": (0.3725291776712171, lambda: presets.mmdet_sigmoid_focal_loss(X, HARD)),
    "mmdet focal, indices": (
        1.4622025490261437,  # class 3 of 3 is background
        lambda: presets.mmdet_sigmoid_focal_loss(X, tensor([0, 3, 1, 2]), S, avg_factor=2.0),
    ),
    "mmdet smooth L1": (1.1908333333333332, lambda: presets.mmdet_smooth_l1_loss(R, Z)),
    "mmdet smooth L1, weights": (
        11.915066193204474,
        lambda: presets.mmdet_smooth_l1_loss(R, Z, R.abs(), beta=2.5, avg_factor=3.0),
    ),
    "mmdet CE": (
        2.7975322256079433,
        lambda: presets.mmdet_cross_entropy(X, Y, S, class_weight=W),
    ),
    "mmdet CE, ignored": (
        0.5382049703283014,
        lambda: presets.mmdet_cross_entropy(X, GAP, class_weight=W),
    ),
    "mmdet CE, avg_non_ignore": (
        0.5069068228544826,
        lambda: presets.mmdet_cross_entropy(X, GAP, avg_non_ignore=True),
    ),
    "kornia, gamma 0": (
        0.2043044253343145,
        lambda: presets.kornia_focal_loss(X, Y, None, 0.0, "mean"),
    ),
    "kornia, ignored": (
        0.04817552897508346,
        lambda: presets.kornia_focal_loss(X, GAP, 0.3, 1.5, "mean", W),
    ),
    "kornia, images": (
        3.6204774811734772,
        lambda: presets.kornia_focal_loss(X3, Y3, 0.4, reduction="sum"),
    ),
    "kornia binary": (
        1.4567999548040536,
        lambda: presets.kornia_binary_focal_loss_with_logits(
            X, SOFT, None, 1.0, "mean", pos_weight=W, weight=W.flip(0)
        ),
    ),
    "kornia binary, ignored": (
        0.2864671777442394,
        lambda: presets.kornia_binary_focal_loss_with_logits(
            X, torch.where(SOFT == 0.5, -100.0, SOFT), reduction="mean"
        ),
    ),
    "MONAI": (0.28792545199394226, lambda: presets.monai_focal_loss(X, SOFT)),
    "MONAI, alpha by class": (
        0.6143924593925476,
        lambda: presets.monai_focal_loss(X, HARD, alpha=[1.0, 2.0, 3.0]),
    ),
    "MONAI softmax": (
        0.14427797496318817,
        lambda: presets.monai_focal_loss(X3, HOT3, alpha=0.25, use_softmax=True),
    ),
    "MONAI softmax, sum": (
        8.841495513916016,
        lambda: presets.monai_focal_loss(X3, HOT3, weight=W, reduction="sum", use_softmax=True),
    ),
    "MONAI indices": (
        0.3755128085613251,
        lambda: presets.monai_focal_loss(X3, Y3.unsqueeze(1), to_onehot_y=True),
    ),
    "smp binary": (0.369257964938795, lambda: presets.smp_focal_loss(X, SOFT, "binary")),
    "smp binary, alpha": (
        4.750237415005376,
        lambda: presets.smp_focal_loss(X, HARD, "binary", 0.25, 1.5, reduction="sum"),
    ),
    "smp multiclass": (
        0.2699851066833609,
        lambda: presets.smp_focal_loss(
            X, torch.where(GAP < 0, 255, GAP), "multiclass", ignore_index=255
        ),
    ),
    "smp normalized": (
        0.4082956925692623,
        lambda: presets.smp_focal_loss(X, HARD, "multilabel", normalized=True),
    ),
    "smp reduced": (
        0.799730703270762,
        lambda: presets.smp_focal_loss(X, HARD, "multilabel", reduced_threshold=0.5),
    ),
    "smp class weights": (
        0.34018148696177375,
        lambda: presets.smp_focal_loss(X, Y, "multiclass", class_weights=[1.0, 2.0, 4.0]),
    ),
    "smp CE": (0.5018467989145292, lambda: presets.smp_soft_cross_entropy(X, GAP, 0.1)),
    "Keras binary focal": (
        0.5433075428009033,
        lambda: presets.keras_binary_focal_crossentropy(HARD, Q),
    ),
    "Keras binary focal, all options": (
        0.18048496544361115,
        lambda: presets.keras_binary_focal_crossentropy(
            SOFT, X, True, from_logits=True, label_smoothing=0.1, sample_weight=S
        ),
    ),
    "Keras focal": (
        0.06429401785135269,
        lambda: presets.keras_categorical_focal_crossentropy(HOT, P),
    ),
    "Keras focal, all options": (
        0.10845712572336197,
        lambda: presets.keras_categorical_focal_crossentropy(
            HOT, X, [0.1, 0.2, 0.7], 2.0, True, 0.1, S, "mean_with_sample_weight"
        ),
    ),
    "Keras binary CE": (
        0.8456324934959412,
        lambda: presets.keras_binary_crossentropy(SOFT, Q, label_smoothing=0.2),
    ),
    "Keras binary CE, weights": (
        1.2916033267974854,
        lambda: presets.keras_binary_crossentropy(SOFT, X, True, sample_weight=S),
    ),
    "Keras CE": (0.6129132509231567, lambda: presets.keras_categorical_crossentropy(HOT, 2 * P)),
    "Keras CE, weights": (
        1.146296501159668,
        lambda: presets.keras_categorical_crossentropy(HOT, X, True, 0.1, S),
    ),
    "Keras CE, mean by weight": (
        0.5805414319038391,
        lambda: presets.keras_categorical_crossentropy(
            Y, X, True, sample_weight=S, reduction="mean_with_sample_weight"
        ),
    ),
    "Keras Huber": (1.190833330154419, lambda: presets.keras_huber(Z, R)),
    "Keras Huber, weights": (
        2.7337498664855957,
        lambda: presets.keras_huber(Z, R, 2.5, sample_weight=S),
    ),
    "Keras CE, column": (
        0.6129133105278015,
        lambda: presets.keras_categorical_crossentropy(Y[:, None], P),
    ),
    "Keras Huber, column of weights": (
        6.625,
        lambda: presets.keras_huber(Z, R, sample_weight=S[:, None], reduction="sum"),
    ),
    "Keras binary CE, column of labels": (
        0.6791735291481018,
        lambda: presets.keras_binary_crossentropy(
            HARD[:, :1], X[:, 0], True, sample_weight=S, reduction="mean"
        ),
    ),
    "Keras focal, pixels": (
        0.24907180666923523,
        lambda: presets.keras_categorical_focal_crossentropy(
            HOT3.movedim(1, -1),
            X3.movedim(1, -1),
            from_logits=True,
            sample_weight=torch.stack([S, 2 * S], 1)[..., None],
            reduction="mean_with_sample_weight",
        ),
    ),
    "Keras CE, axis": (  # axis=1 there
        1.3422646522521973,
        lambda: presets.keras_categorical_crossentropy(
            HOT3.movedim(1, -1), X3.movedim(1, -1), True
        ),
    ),
    "Keras CE, ignored, mean": (0.6372180581092834, lambda: ignoring("mean", S)),
    "Keras CE, ignored, by weight": (
        0.4248120188713074,
        lambda: ignoring("mean_with_sample_weight", S),
    ),
    "Keras CE, ignored, sum": (1.9116541147232056, lambda: ignoring("sum", S[:, None])),
    "Keras CE, ignored, no weights": (
        0.5069068670272827,
        lambda: ignoring("sum_over_batch_size"),
    ),
    "MONAI, sum of rows": (
        0.5433075428009033,
        lambda: presets.monai_focal_loss(X, HARD, reduction="sum"),
    ),
    "MONAI, sum of columns": (
        0.15283140540122986,
        lambda: presets.monai_focal_loss(X[:, :1], HARD[:, :1], weight=2.0, reduction="sum"),
    ),
    "MONAI without background": (  # include_background=False there
        0.9888008832931519,
        lambda: presets.monai_focal_loss(X[:, 1:], HARD[:, 1:], weight=[1.0, 2.0]),
    ),
    "MONAI softmax, without background": (
        0.04094896838068962,
        lambda: presets.monai_focal_loss(X[:, 1:], HOT[:, 1:], use_softmax=True),
    ),
    "smp CE, channel": (
        0.7854908391222775,
        lambda: presets.smp_soft_cross_entropy(X3, Y3[:, None], 0.1, ignore_index=0),
    ),
    "smp binary, channel": (
        0.369257964938795,
        lambda: presets.smp_focal_loss(X[:, None], SOFT, "binary"),
    ),
}


@pytest.mark.parametrize("name", RECORDED)
def test_what_the_peer_returned(name: str) -> None:
    value, run = RECORDED[name]
    # MONAI and Keras computed in float32.
    near = 2e-7 if name.startswith(("MONAI", "Keras")) else 1e-14
    assert run().item() == pytest.approx(value, rel=near)


def test_one_soft_label_has_four_focal_losses() -> None:
    x, t = 1.3, 0.7
    p = 1 / (1 + math.exp(-x))
    right, wrong = -math.log(p), -math.log(1 - p)  # 0.2410, 1.5410
    entropy = t * right + (1 - t) * wrong  # 0.6310
    mix = (1 - (t * p + (1 - t) * (1 - p))) ** 2 * entropy
    exponential = (1 - math.exp(-entropy)) ** 2 * entropy
    two_terms = t * (1 - p) ** 2 * right + (1 - t) * p**2 * wrong
    signed = (1 / (1 + math.exp(x * (2 * t - 1)))) ** 2 * entropy
    figures = [mix, exponential, two_terms, signed]
    assert figures == pytest.approx([0.0939, 0.1382, 0.2932, 0.0877], abs=5e-5)

    z, s = wide([x]), wide([t])
    of = {
        mix: [
            presets.torchvision_sigmoid_focal_loss(z, s, alpha=-1),
            2 * presets.mmdet_sigmoid_focal_loss(z, s, alpha=0.5),
            presets.keras_binary_focal_crossentropy(s, z, from_logits=True),
        ],
        exponential: [presets.smp_focal_loss(z, s, "binary")],
        two_terms: [
            presets.kornia_binary_focal_loss_with_logits(z, s, alpha=None),
            lossmith.binary_focal(z, s, gamma=2.0),
        ],
        signed: [presets.monai_focal_loss(z, s)],
    }
    for figure, losses in of.items():
        for loss in losses:
            assert loss.item() == pytest.approx(figure, rel=1e-6)


def test_on_hard_labels_they_agree_with_ours() -> None:
    ours = lossmith.binary_focal(X, HARD, gamma=2.0, reduction="none")
    torch.testing.assert_close(presets.torchvision_sigmoid_focal_loss(X, HARD, -1), ours)
    torch.testing.assert_close(presets.kornia_binary_focal_loss_with_logits(X, HARD, None), ours)
    monai = presets.monai_focal_loss(X, HARD, reduction="none")
    torch.testing.assert_close(monai.double(), ours, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(presets.smp_focal_loss(X, HARD, "binary"), ours.mean())
    balanced = lossmith.binary_focal(X, HARD, gamma=2.0, alpha=0.25, reduction="none")
    torch.testing.assert_close(presets.torchvision_sigmoid_focal_loss(X, HARD), balanced)
    multiclass = lossmith.OneVsRest("binary_focal", gamma=2.0)(X, Y) / 3
    torch.testing.assert_close(presets.smp_focal_loss(X, Y, "multiclass"), multiclass)


def test_denominators_of_cross_entropy() -> None:
    """Σ w·loss is one number; what it is divided by is not."""
    total = lossmith.cross_entropy(X, Y, class_weight=W, reduction="sum")
    by = {
        1 + 4 + 2 + 4: lossmith.cross_entropy(X, Y, class_weight=W),  # as torch, for indices
        4: presets.mmdet_cross_entropy(X, Y, class_weight=W),  # as torch, for distributions
    }
    for denominator, mean in by.items():
        torch.testing.assert_close(mean, total / denominator)
    torch.testing.assert_close(by[11], cross_entropy(X, Y, W))
    torch.testing.assert_close(by[4], cross_entropy(X, HOT, W))

    total = lossmith.cross_entropy(X, GAP, reduction="sum")  # three rows of four count
    torch.testing.assert_close(lossmith.cross_entropy(X, GAP), total / 3)
    torch.testing.assert_close(presets.mmdet_cross_entropy(X, GAP), total / 4)
    torch.testing.assert_close(presets.smp_soft_cross_entropy(X, GAP), total / 4)
    flat = presets.kornia_focal_loss(X, GAP, None, 0.0, "mean")
    torch.testing.assert_close(flat, total / 12)  # rows × classes


def test_shapes_without_reduction() -> None:
    assert presets.kornia_focal_loss(X3, Y3, 0.25).shape == X3.shape
    assert presets.smp_soft_cross_entropy(X, Y, reduction="none").shape == (4, 1)
    assert presets.smp_soft_cross_entropy(X, Y, 0.1, "none", None).shape == (4,)
    assert presets.keras_huber(Z, R, reduction="none").shape == (4,)
    assert presets.smp_focal_loss(X3, Y3, "multiclass", reduction="none").shape == ()


def test_gradients_are_finite() -> None:
    score = X.clone().requires_grad_()
    calls: list[Callable[[], Tensor]] = [
        lambda: presets.torchvision_sigmoid_focal_loss(score, SOFT, reduction="mean"),
        lambda: presets.mmdet_cross_entropy(score, GAP, class_weight=W),
        lambda: presets.kornia_focal_loss(score, GAP, 0.25, reduction="mean"),
        lambda: presets.monai_focal_loss(score, SOFT),
        lambda: presets.smp_focal_loss(score, Y, "multiclass"),
        lambda: presets.keras_binary_focal_crossentropy(SOFT, score, from_logits=True),
    ]
    for call in calls:
        (gradient,) = torch.autograd.grad(call(), score)
        assert gradient.isfinite().all()


def test_every_preset_says_how_it_differs() -> None:
    for name in presets.__all__:
        doc = getattr(presets, name).__doc__ or ""
        for word in ("Formula:", "Shapes:", "Parameters:", "Differs from lossmith."):
            assert word in doc, f"{name}: no '{word}'"


def test_bad_options_are_named() -> None:
    with pytest.raises(lossmith.InputError, match="'average'"):
        presets.monai_focal_loss(X, HARD, reduction="average")  # type: ignore[arg-type]
    with pytest.raises(lossmith.InputError, match="mode='multi'"):
        presets.smp_focal_loss(X, HARD, "multi")  # type: ignore[arg-type]
    with pytest.raises(lossmith.InputError, match="avg_factor"):
        presets.mmdet_smooth_l1_loss(R, Z, reduction="sum", avg_factor=2.0)
    with pytest.raises(lossmith.ParameterError, match="alpha = 2"):
        presets.torchvision_sigmoid_focal_loss(X, HARD, alpha=2)
    with pytest.raises(lossmith.InputError, match="reduction='average'"):
        presets.keras_huber(Z, R, reduction="average")  # type: ignore[arg-type]


def test_the_page_on_moving_is_right() -> None:
    """docs/moving.md: our loss for the same number on hard labels."""
    focal, binary = lossmith.focal(X, Y), lossmith.binary_focal(X, HARD, alpha=0.25)
    pairs = [
        (presets.torchvision_sigmoid_focal_loss(X, HARD, reduction="mean"), binary),
        (
            presets.mmdet_sigmoid_focal_loss(X, HARD, avg_factor=5.0),
            lossmith.binary_focal.total(X, HARD, alpha=0.25)[0] / 5,
        ),
        (
            presets.mmdet_smooth_l1_loss(R, Z, avg_factor=5.0),
            lossmith.smooth_l1.total(R, Z)[0] / 5,
        ),
        (presets.mmdet_cross_entropy(X, Y), lossmith.cross_entropy(X, Y)),
        (presets.kornia_focal_loss(X, Y, None, reduction="mean"), focal / 3),
        (presets.kornia_binary_focal_loss_with_logits(X, HARD, reduction="mean"), binary),
        (presets.monai_focal_loss(X, HARD), lossmith.binary_focal(X, HARD)),
        (presets.monai_focal_loss(X, HOT, use_softmax=True), focal / 3),
        (
            presets.smp_soft_cross_entropy(X, Y, 0.1),
            lossmith.cross_entropy(X, Y, label_smoothing=0.1),
        ),
        (presets.keras_binary_focal_crossentropy(HARD, Q), lossmith.binary_focal(X, HARD)),
        (presets.keras_categorical_focal_crossentropy(HOT, P), 0.25 * focal),
        (presets.keras_binary_crossentropy(HARD, Q), lossmith.binary_cross_entropy(X, HARD)),
        (presets.keras_categorical_crossentropy(Y, P), lossmith.cross_entropy(X, Y)),
        (presets.keras_huber(Z, R), lossmith.huber(R, Z)),
    ]
    for theirs, ours in pairs:
        torch.testing.assert_close(theirs.double(), ours, rtol=1e-6, atol=0.0)
