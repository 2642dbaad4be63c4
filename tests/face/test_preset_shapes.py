"""Every preset at drawn shapes: its peer's number by a definition, or a refusal in words.

The definitions go example by example in float64 and share nothing with the library.
"""

import itertools

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import tensor

import lossmith
from lossmith import presets

DRAWN = settings(
    derandomize=True,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow],
)
KERAS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None)


def normal(seed, shape):
    draw = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(shape, generator=draw, dtype=torch.float64)


def binary(x, t):
    p = x.sigmoid()
    return -(t * p.log() + (1 - t) * (1 - p).log())


def mix(x, t):
    p = x.sigmoid()
    return (1 - p * t - (1 - p) * (1 - t)) ** 2


LAST = {  # of one example: its scores and its labels, both with the classes alone
    "keras_binary_crossentropy": lambda x, t: binary(x, t).mean(),
    "keras_binary_focal_crossentropy": lambda x, t: (mix(x, t) * binary(x, t)).mean(),
    "keras_categorical_crossentropy": lambda x, t: -(t * x.log_softmax(0)).sum(),
    "keras_categorical_focal_crossentropy": lambda x, t: (
        -0.25 * (t * (1 - x.softmax(0)) ** 2 * x.log_softmax(0)).sum()
    ),
    "keras_huber": lambda x, t: torch.where(
        (x - t).abs() <= 1, (x - t) ** 2 / 2, (x - t).abs() - 0.5
    ).mean(),
}


def keras_reduced(losses, weights, reduction):
    """From the documentation of `keras.losses.Loss`; lists of numbers, one weight for each."""
    total = sum(a * b for a, b in zip(losses, weights, strict=True))
    if reduction == "sum":
        return total
    mass = sum(weights) if reduction == "mean_with_sample_weight" else len(losses)
    return total / mass if mass else 0.0


@DRAWN
@given(
    name=st.sampled_from(sorted(LAST)),
    rows=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    classes=st.integers(2, 4),
    sparse=st.booleans(),
    column=st.booleans(),
    weight_column=st.booleans(),
    weighted=st.sampled_from(["no", "yes", "nothing counts"]),
    reduction=st.sampled_from(KERAS),
    seed=st.integers(0, 2**31),
)
def test_keras_by_definition(
    name, rows, classes, sparse, column, weight_column, weighted, reduction, seed
):
    rows = tuple(rows)
    x = normal(seed, (*rows, classes))
    label = normal(seed + 1, x.shape)
    label = label if name == "keras_huber" else label.softmax(-1)
    given_label = label
    if sparse and name == "keras_categorical_crossentropy":
        index = label.argmax(-1)
        label = torch.nn.functional.one_hot(index, classes).double()
        given_label = index[..., None] if column else index
    weight = None if weighted == "no" else normal(seed + 2, rows).abs()
    if weighted == "nothing counts":
        weight = weight * 0
    cells = list(itertools.product(*map(range, rows)))
    losses = [LAST[name](x[cell], label[cell]) for cell in cells]
    weights = [1.0 if weight is None else weight[cell] for cell in cells]

    options = {} if name == "keras_huber" else {"from_logits": True}
    wide = weight[..., None] if weight_column and weight is not None else weight
    got = getattr(presets, name)(given_label, x, sample_weight=wide, reduction=reduction, **options)
    if reduction in ("none", None):
        assert got.numel() == len(losses)
        expected = tensor([float(a * b) for a, b in zip(losses, weights, strict=True)])
        torch.testing.assert_close(got.reshape(-1), expected.double(), rtol=1e-5, atol=1e-7)
    else:
        expected = float(keras_reduced(losses, weights, reduction))
        # Keras clips probabilities at 1e-7, from scores too where there is a focal factor.
        assert float(got) == pytest.approx(expected, rel=2e-6, abs=2e-6)


def shapes(least=0):
    return st.lists(st.integers(1, 3), min_size=least, max_size=4).map(tuple)


@st.composite
def beside(draw, shape):
    """A shape one step off, which torch would often broadcast."""
    which = draw(st.integers(0, 5))
    if which == 0:
        return draw(shapes())
    near = [shape, shape[:-1], (*shape, 1), shape[:1] + shape[2:], (*shape[:1], 1, *shape[2:])]
    return near[which - 1]


PLAIN = ("mean", "sum", "none")
CALLS = {
    **{
        name: lambda x, t, w, r, name=name: getattr(presets, name)(
            t, x.sigmoid(), sample_weight=w, reduction=r
        )
        for name in LAST
    },
    "torchvision": lambda x, t, w, r: presets.torchvision_sigmoid_focal_loss(x, t, reduction=r),
    "mmdet focal": lambda x, t, w, r: presets.mmdet_sigmoid_focal_loss(x, t, w, reduction=r),
    "mmdet L1": lambda x, t, w, r: presets.mmdet_smooth_l1_loss(x, t, w, reduction=r),
    "mmdet CE": lambda x, t, w, r: presets.mmdet_cross_entropy(x, t, w, reduction=r),
    "kornia": lambda x, t, w, r: presets.kornia_focal_loss(x, t, 0.3, reduction=r, weight=w),
    "kornia binary": lambda x, t, w, r: presets.kornia_binary_focal_loss_with_logits(
        x, t, reduction=r, weight=w
    ),
    "kornia positive": lambda x, t, w, r: presets.kornia_binary_focal_loss_with_logits(
        x, t, reduction=r, pos_weight=w
    ),
    **{
        f"MONAI {hot} {soft}": lambda x, t, w, r, hot=hot, soft=soft: presets.monai_focal_loss(
            x, t, hot, weight=w, reduction=r, use_softmax=soft
        )
        for hot in (False, True)
        for soft in (False, True)
    },
    "MONAI alpha": lambda x, t, w, r: presets.monai_focal_loss(x, t, alpha=w, reduction=r),
    **{
        f"smp {mode}": lambda x, t, w, r, mode=mode: presets.smp_focal_loss(
            x, t, mode, reduction=r, class_weights=w
        )
        for mode in ("binary", "multiclass", "multilabel")
    },
    "smp CE": lambda x, t, w, r: presets.smp_soft_cross_entropy(x, t, 0.1, reduction=r),
}


@DRAWN
@given(data=st.data(), name=st.sampled_from(sorted(CALLS)), shape=shapes(1))
def test_a_preset_answers_one_number_per_element_or_refuses_in_words(data, name, shape):
    """Nothing grows by broadcasting, and no error of torch's comes through."""
    x = normal(data.draw(st.integers(0, 99)), shape)
    target_shape = data.draw(beside(shape))
    if data.draw(st.booleans()):
        draw = torch.Generator().manual_seed(0)
        target = torch.randint(0, 3, target_shape, generator=draw)
    else:
        target = normal(7, target_shape).sigmoid()
    weight = None
    if data.draw(st.booleans()):
        weight = normal(8, data.draw(beside(data.draw(st.sampled_from([shape, shape[:-1]])))))
        weight = data.draw(st.sampled_from([weight, weight.abs()]))
    try:
        each = CALLS[name](x, target, weight, "none")
    except lossmith.LossmithError as error:
        assert len(str(error)) > 40  # noqa: PT017
        return
    assert each.numel() <= x.numel()
    for reduction in ("mean", "sum"):
        assert CALLS[name](x, target, weight, reduction).shape == ()


LABEL = tensor([0.0, 1.0, 1.0, 0.0])[:, None]
X = normal(3, (4, 3)).float()


def test_the_columns_of_the_first_report():
    """What once was N² losses: 7.08 for 0.0980, and 27 for 11."""
    p = tensor([[0.90, 0.05, 0.05], [0.05, 0.90, 0.05], [0.04, 0.04, 0.92]])
    column = presets.keras_categorical_crossentropy(tensor([[0], [1], [2]]), p)
    expected = -(tensor([0.9, 0.9, 0.92]).log()).mean()
    torch.testing.assert_close(column, expected, rtol=1e-6, atol=0.0)
    u = tensor([[2.0, 2.0], [1.0, 1.0], [3.0, 3.0]])  # Huber: 1.5, 0.5, 2.5
    weights = tensor([[1.0], [2.0], [3.0]])
    total = presets.keras_huber(torch.zeros(3, 2), u, sample_weight=weights, reduction="sum")
    assert total == 1.5 + 2 * 0.5 + 3 * 2.5


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: presets.monai_focal_loss(X, LABEL), "must be equal"),
        (lambda: presets.monai_focal_loss(X, LABEL, use_softmax=True), "must be equal"),
        (lambda: presets.monai_focal_loss(X, X.sigmoid(), weight=[1, 2]), r"shape \(2,\)"),
        (lambda: presets.monai_focal_loss(X, X.sigmoid(), weight=[1, 2, -1]), "negative"),
        (lambda: presets.monai_focal_loss(LABEL, LABEL, weight=[1]), "single class"),
        (lambda: presets.monai_focal_loss(X, X.sigmoid(), alpha=[0.5]), r"alpha has shape"),
        (lambda: presets.monai_focal_loss(X, LABEL + 5, to_onehot_y=True), "class index 5"),
        (lambda: presets.keras_binary_crossentropy(LABEL, X.sigmoid()), "must be equal"),
        (lambda: presets.keras_categorical_crossentropy(LABEL, X), "must be equal"),
        (lambda: presets.keras_categorical_focal_crossentropy(LABEL, X), "must be equal"),
        (lambda: presets.keras_huber(LABEL, X), "must be equal"),
        (lambda: presets.keras_binary_crossentropy(X, X.sigmoid()), "Keras takes the target first"),
        (lambda: presets.keras_huber(X, X, sample_weight=X), "sample_weight has shape"),
        (
            lambda: presets.keras_categorical_crossentropy(LABEL.long() - 1, X, True),
            "class index -1",
        ),
        (
            lambda: presets.keras_categorical_crossentropy(X.softmax(1), X, True, ignore_class=0),
            "ignore_class goes with class indices",
        ),
        (
            lambda: presets.smp_focal_loss(X, X.sigmoid(), "binary", class_weights=[1, 1, 1]),
            "takes no class_weights",
        ),
        (
            lambda: presets.smp_focal_loss(X, X.sigmoid(), "multilabel", ignore_index=255),
            "takes no ignore_index",
        ),
        (
            lambda: presets.mmdet_sigmoid_focal_loss(X, X.sigmoid(), X[:, :2]),
            "one weight for each row",
        ),
        (
            lambda: presets.kornia_focal_loss(X, LABEL[:, 0].long(), 0.3, weight=X[0, :2]),
            "weight has shape",
        ),
    ],
)  # fmt: skip
def test_what_the_peer_refuses_is_refused_in_words(call, words):
    with pytest.raises(lossmith.LossmithError, match=words):
        call()


def test_keras_computes_halves_in_float32():
    """1 - 1e-7 is 1 in half precision, and the clipped logarithm would be -inf."""
    y, x = tensor([[1.0, 0.0, 0.0]]), tensor([[0.0, 1.0, 0.0]])
    for dtype in (torch.float16, torch.bfloat16):
        for name in LAST:
            loss = getattr(presets, name)(y, x.to(dtype))
            assert loss.dtype == torch.float32
            torch.testing.assert_close(loss, getattr(presets, name)(y, x), rtol=1e-6, atol=0.0)


def test_ignored_rows_leave_weights_alone():
    weight = tensor([1.0, 2.0, 3.0, 4.0])
    presets.keras_categorical_crossentropy(
        tensor([0, -1, 1, 2]), X, True, sample_weight=weight, ignore_class=-1
    )
    assert weight.tolist() == [1.0, 2.0, 3.0, 4.0]
