"""The meanings of Keras 3.15; public as `lossmith.presets`.

Keras takes the target first, probabilities by default, and classes on the last dimension. Where
the ranks of two tensors differ by a column, (N,) and (N, 1), Keras makes them agree; so do these,
for labels and for sample weights. Its `reduction` is that of its loss classes: "mean", another
name of "sum_over_batch_size", divides Σ w·loss by the number of losses, "mean_with_sample_weight"
by Σ w; None is "none". A single loss (y_pred of one dimension) is only multiplied by its weight.

Left out: `axis` (move classes last, `x.movedim(1, -1)`), `dtype` and Keras masks. Halves are
computed in float32 as Keras does, float64 stays where Keras would round it. Refused, where Keras
broadcasts: labels of another shape, and weights that would enlarge the losses. No losses at all
give 0, not an empty tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from lossmith.engine.looking import readable
from lossmith.errors import InputError, LabelError, ShapeError
from lossmith.face.catalogue import FUNCTIONS
from lossmith.face.peers_common import by_class, never_larger, one_hot
from lossmith.link import shapes

Reduction = Literal["sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none"] | None
_REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None)
_EPSILON = 1e-7  # keras.config.epsilon()


def _one_rank(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """A vector gains the column that the other has; of longer tensors the column goes."""
    if a.dim() == b.dim() + 1 and a.shape[-1] == 1:
        return (a, b.unsqueeze(-1)) if b.dim() == 1 else (a.squeeze(-1), b)
    if b.dim() == a.dim() + 1 and b.shape[-1] == 1:
        b, a = _one_rank(b, a)
    return a, b


def _pair(name: str, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Both in one shape and in the dtype of the arithmetic."""
    shapes.tensors(name, y_pred, y_true)
    y_true, y_pred = _one_rank(y_true, y_pred)
    shapes.same(name, y_pred, y_true)
    y_pred = _wide(y_pred)
    return y_true.to(y_pred.dtype), y_pred


def _wide(y_pred: Tensor) -> Tensor:
    return y_pred.float() if y_pred.dtype in (torch.float16, torch.bfloat16) else y_pred


def _reduce(
    name: str,
    losses: Tensor,
    sample_weight: Tensor | None,
    reduction: str | None,
    kept: Tensor | None = None,
) -> Tensor:
    if reduction not in _REDUCTIONS:
        raise InputError(
            f"{name}: reduction={reduction!r} is not known. Use "
            '"sum_over_batch_size" or "mean", "mean_with_sample_weight", "sum", "none" or None.'
        )
    weight = kept
    if sample_weight is not None:
        weight = torch.as_tensor(sample_weight)
        losses, weight = _one_rank(losses, weight)
        weight = never_larger(name, "sample_weight", weight, losses)
        if kept is not None:
            weight = weight * kept.view(losses.shape)
    if weight is not None:
        losses = losses * weight
    if losses.dim() == 0 or reduction in ("none", None):
        return losses
    if reduction == "sum":
        return losses.sum()
    # What `ignore_class` leaves out is no loss; without weights the mass is the losses that count.
    counted = losses.new_tensor(losses.numel()) if kept is None else kept.sum()
    weighted = reduction == "mean_with_sample_weight" and weight is not None
    mass = weight.sum() if weighted and weight is not None else counted
    return torch.where(mass == 0, 0.0, losses.sum() / torch.where(mass == 0, 1.0, mass))


def _smooth(y_true: Tensor, share: float, floor: float) -> Tensor:
    return y_true * (1 - share) + share * floor if share else y_true


def _clipped_entropy(name: str, p: Tensor, t: Tensor) -> Tensor:
    if readable(t) and bool(((t < 0) | (t > 1)).any()):
        raise LabelError(
            f"{name}: y_true runs from {t.min():g} to {t.max():g}; labels beside probabilities lie "
            "in [0, 1]. Are y_true and y_pred swapped? Keras takes the target first."
        )
    p = p.clamp(_EPSILON, 1 - _EPSILON)
    return -(t * p.log() + (1 - t) * (1 - p).log())


def keras_binary_crossentropy(
    y_true: Tensor,
    y_pred: Tensor,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    sample_weight: Tensor | None = None,
    reduction: Reduction = "sum_over_batch_size",
) -> Tensor:
    """What `keras.losses.BinaryCrossentropy` computes.

    Formula:
        loss = mean over the last dimension of -t log p - (1 - t) log(1 - p), t smoothed to
        t(1 - s) + s/2, p clipped to [1e-7, 1 - 1e-7] unless from_logits.

    Shapes:
        y_true and y_pred: (…, d), both the same. Losses: (…).

    Parameters:
        y_true: labels in [0, 1].
        y_pred: probabilities, or scores with from_logits.
        from_logits (default False): y_pred holds scores.
        label_smoothing (default 0.0): s.
        sample_weight (default None): multiplies each loss.
        reduction (default "sum_over_batch_size"): see above.

    Differs from lossmith.binary_cross_entropy: ours takes scores, never clips (Keras's slope is 0
    beyond |score| = 16), has one loss per element, and divides by the sum of the weights.
    """
    y_true, y_pred = _pair("keras_binary_crossentropy", y_true, y_pred)
    t = _smooth(y_true, label_smoothing, 0.5)
    if from_logits:
        each = functional.binary_cross_entropy_with_logits(y_pred, t, reduction="none")
    else:
        each = _clipped_entropy("keras_binary_crossentropy", y_pred, t)
    return _reduce("keras_binary_crossentropy", each.mean(-1), sample_weight, reduction)


def keras_binary_focal_crossentropy(
    y_true: Tensor,
    y_pred: Tensor,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    sample_weight: Tensor | None = None,
    reduction: Reduction = "sum_over_batch_size",
) -> Tensor:
    """What `keras.losses.BinaryFocalCrossentropy` computes.

    Formula:
        loss = mean over the last dimension of a_t (1 - p_t)^gamma · bce(p, t), p_t = p·t +
        (1 - p)(1 - t), a_t = alpha·t + (1 - alpha)(1 - t) if apply_class_balancing, else 1.

    Shapes:
        y_true and y_pred: (…, d), both the same. Losses: (…).

    Parameters:
        y_true: labels in [0, 1].
        y_pred: probabilities, or scores with from_logits.
        apply_class_balancing (default False): whether alpha is used at all.
        alpha (default 0.25): weight of the positive class.
        gamma (default 2.0): focusing exponent.
        from_logits (default False): y_pred holds scores; they are turned into probabilities and
            clipped like those.
        label_smoothing (default 0.0): s, t becomes t(1 - s) + s/2.
        sample_weight (default None): multiplies each loss.
        reduction (default "sum_over_batch_size"): see above.

    Differs from lossmith.binary_focal: a soft label (a smoothed one too) mixes p_t linearly:
    0.0939 at (1.3, 0.7) against our 0.2932. Ours takes scores and never clips.
    """
    y_true, y_pred = _pair("keras_binary_focal_crossentropy", y_true, y_pred)
    t = _smooth(y_true, label_smoothing, 0.5)
    p = torch.sigmoid(y_pred) if from_logits else y_pred
    each = _clipped_entropy("keras_binary_focal_crossentropy", p, t)
    each = (1 - (t * p + (1 - t) * (1 - p))) ** gamma * each
    if apply_class_balancing:
        each = (t * alpha + (1 - t) * (1 - alpha)) * each
    return _reduce("keras_binary_focal_crossentropy", each.mean(-1), sample_weight, reduction)


def _probabilities(y_pred: Tensor, from_logits: bool) -> Tensor:
    p = y_pred.softmax(-1) if from_logits else y_pred
    return (p / p.sum(-1, keepdim=True)).clamp(_EPSILON, 1 - _EPSILON)


def _some_classes(name: str, y_pred: Tensor) -> None:
    if y_pred.dim() == 0 or y_pred.shape[-1] == 0:
        raise ShapeError(
            f"{name}: y_pred has shape {tuple(y_pred.shape)}; it needs (…, C), classes on the last "
            "dimension."
        )


def _rows_of(index: Tensor, y_pred: Tensor) -> bool:
    """Class indices are (…) or (…, 1) for (…, C); labels of a single class are no indices."""
    rows = y_pred.shape[:-1]
    return y_pred.shape[-1] > 1 and index.shape in (rows, (*rows, 1))


def keras_categorical_crossentropy(
    y_true: Tensor,
    y_pred: Tensor,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    sample_weight: Tensor | None = None,
    reduction: Reduction = "sum_over_batch_size",
    *,
    ignore_class: int | None = None,
) -> Tensor:
    """What `keras.losses.CategoricalCrossentropy` computes, and its Sparse twin.

    Formula:
        loss = -Σ_k t_k log p_k, t smoothed to t(1 - s) + s/C; p = softmax of the scores, or y_pred
        divided by its sum and clipped to [1e-7, 1 - 1e-7].

    Shapes:
        y_pred: (…, C). y_true: the same (one-hot or soft), or class indices (…) or (…, 1), of an
        integer dtype, as the Sparse loss takes them. Losses: (…).

    Parameters:
        y_true: labels.
        y_pred: probabilities, or scores with from_logits.
        from_logits (default False): y_pred holds scores.
        label_smoothing (default 0.0): s.
        sample_weight (default None): multiplies each loss.
        reduction (default "sum_over_batch_size"): see above.
        ignore_class (default None): indices of this value give 0 and leave every mean.

    Left out: `axis`, indices as floats (use y_true.long()). On torch, Keras's ignore_class writes
    into the tensor of weights that it is given; this one leaves it alone.

    Differs from lossmith.cross_entropy: ours has classes on dimension 1, takes scores, never
    clips, and its mean divides by the sum of the weights ("mean_with_sample_weight").
    """
    name, kept = "keras_categorical_crossentropy", None
    shapes.tensors(name, y_pred, y_true)
    _some_classes(name, y_pred)
    index = not y_true.is_floating_point() and _rows_of(y_true, y_pred)
    if index:
        y_true = y_true.reshape(y_pred.shape[:-1])
        if ignore_class is not None:
            kept = (y_true != ignore_class).to(_wide(y_pred).dtype)
            y_true = torch.where(y_true == ignore_class, 0, y_true)
        y_true = one_hot(name, y_true, y_pred.shape[-1])
    elif ignore_class is not None:
        raise InputError(
            f"{name}: ignore_class goes with class indices (Keras's Sparse loss), but the target "
            f"has shape {tuple(y_true.shape)} and dtype {y_true.dtype}. Use sample_weight instead."
        )
    y_true, y_pred = _pair(name, y_true, y_pred)
    _some_classes(name, y_pred)
    t = _smooth(y_true, label_smoothing, 1 / y_pred.shape[-1])
    log_p = y_pred.log_softmax(-1) if from_logits else _probabilities(y_pred, False).log()
    losses = -(t * log_p).sum(-1)
    if kept is not None:
        losses = losses * kept
    return _reduce(name, losses, sample_weight, reduction, kept)


def keras_categorical_focal_crossentropy(
    y_true: Tensor,
    y_pred: Tensor,
    alpha: float | Sequence[float] = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    sample_weight: Tensor | None = None,
    reduction: Reduction = "sum_over_batch_size",
) -> Tensor:
    """What `keras.losses.CategoricalFocalCrossentropy` computes.

    Formula:
        loss = -Σ_k alpha_k t_k (1 - p_k)^gamma log p_k, p clipped to [1e-7, 1 - 1e-7] from scores
        too; t smoothed to t(1 - s) + s/C.

    Shapes:
        y_true and y_pred: (…, C), both the same. Losses: (…).

    Parameters:
        y_true: labels, one-hot or soft.
        y_pred: probabilities, or scores with from_logits.
        alpha (default 0.25): one factor for every class, or one for each.
        gamma (default 2.0): focusing exponent.
        from_logits (default False): y_pred holds scores.
        label_smoothing (default 0.0): s.
        sample_weight (default None): multiplies each loss.
        reduction (default "sum_over_batch_size"): see above.

    Differs from lossmith.focal: the same meaning of soft labels, but a scalar alpha merely scales
    the loss (0.25 by default), so multiply ours by it; ours never clips.
    """
    name = "keras_categorical_focal_crossentropy"
    y_true, y_pred = _pair(name, y_true, y_pred)
    _some_classes(name, y_pred)
    p = _probabilities(y_pred, from_logits)
    t = _smooth(y_true, label_smoothing, 1 / p.shape[-1])
    factor = torch.as_tensor(alpha).to(p)
    if factor.dim():
        factor = by_class(name, "alpha", factor, p, axis=-1)
    each = -t * p.log() * (1 - p) ** gamma * factor
    return _reduce(name, each.sum(-1), sample_weight, reduction)


def keras_huber(
    y_true: Tensor,
    y_pred: Tensor,
    delta: float = 1.0,
    sample_weight: Tensor | None = None,
    reduction: Reduction = "sum_over_batch_size",
) -> Tensor:
    """What `keras.losses.Huber` computes: lossmith.huber averaged over the last dimension first.

    Formula:
        loss = mean over the last dimension of u²/2 where |u| ≤ delta, delta·|u| - delta²/2 beyond;
        u = y_pred - y_true.

    Shapes:
        y_true and y_pred: (…, d), both the same. Losses: (…).

    Parameters:
        y_true, y_pred: real numbers.
        delta (default 1.0): where the square ends.
        sample_weight (default None): multiplies each loss, one for every last dimension.
        reduction (default "sum_over_batch_size"): see above.

    Differs from lossmith.huber in the denominator under weights only: ours has one loss and one
    weight per element and divides by the sum of the weights.
    """
    y_true, y_pred = _pair("keras_huber", y_true, y_pred)
    losses = FUNCTIONS["huber"](y_pred, y_true, delta, reduction="none").mean(-1)
    return _reduce("keras_huber", losses, sample_weight, reduction)
