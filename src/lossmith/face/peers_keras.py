"""The meanings of Keras 3; public as `lossmith.presets`.

Keras takes the target first, probabilities by default, and classes on the last dimension. Its
`reduction` is that of its loss classes: "sum_over_batch_size" divides Σ w·loss by the number of
losses, "mean_with_sample_weight" by Σ w.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from lossmith.errors import InputError
from lossmith.face.catalogue import FUNCTIONS

Reduction = Literal["sum_over_batch_size", "mean_with_sample_weight", "sum", "none"]
_EPSILON = 1e-7  # keras.config.epsilon()


def _reduce(name: str, losses: Tensor, sample_weight: Tensor | None, reduction: str) -> Tensor:
    mass = torch.tensor(float(losses.numel()), device=losses.device)
    if sample_weight is not None:
        losses = losses * sample_weight
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    if reduction == "mean_with_sample_weight" and sample_weight is not None:
        mass = sample_weight.sum()
    elif reduction not in ("mean_with_sample_weight", "sum_over_batch_size"):
        raise InputError(
            f'{name}: reduction={reduction!r} is not known. Use "sum_over_batch_size", '
            '"mean_with_sample_weight", "sum" or "none".'
        )
    return torch.where(mass == 0, 0.0, losses.sum() / torch.where(mass == 0, 1.0, mass))


def _smooth(y_true: Tensor, share: float, floor: float) -> Tensor:
    return y_true * (1 - share) + share * floor if share else y_true


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
    t = _smooth(y_true.to(y_pred.dtype), label_smoothing, 0.5)
    if from_logits:
        each = functional.binary_cross_entropy_with_logits(y_pred, t, reduction="none")
    else:
        p = y_pred.clamp(_EPSILON, 1 - _EPSILON)
        each = functional.binary_cross_entropy(p, t, reduction="none")
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
    t = _smooth(y_true.to(y_pred.dtype), label_smoothing, 0.5)
    p = torch.sigmoid(y_pred) if from_logits else y_pred
    clipped = p.clamp(_EPSILON, 1 - _EPSILON)
    each = functional.binary_cross_entropy(clipped, t, reduction="none")
    each = (1 - (t * p + (1 - t) * (1 - p))) ** gamma * each
    if apply_class_balancing:
        each = (t * alpha + (1 - t) * (1 - alpha)) * each
    return _reduce("keras_binary_focal_crossentropy", each.mean(-1), sample_weight, reduction)


def _probabilities(y_pred: Tensor, from_logits: bool) -> Tensor:
    p = y_pred.softmax(-1) if from_logits else y_pred
    return (p / p.sum(-1, keepdim=True)).clamp(_EPSILON, 1 - _EPSILON)


def keras_categorical_crossentropy(
    y_true: Tensor,
    y_pred: Tensor,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    sample_weight: Tensor | None = None,
    reduction: Reduction = "sum_over_batch_size",
) -> Tensor:
    """What `keras.losses.CategoricalCrossentropy` computes, and its Sparse twin.

    Formula:
        loss = -Σ_k t_k log p_k, t smoothed to t(1 - s) + s/C; p = softmax of the scores, or y_pred
        divided by its sum and clipped to [1e-7, 1 - 1e-7].

    Shapes:
        y_pred: (…, C). y_true: the same (one-hot or soft), or class indices (…) as the Sparse loss
        takes them. Losses: (…).

    Parameters:
        y_true: labels.
        y_pred: probabilities, or scores with from_logits.
        from_logits (default False): y_pred holds scores.
        label_smoothing (default 0.0): s.
        sample_weight (default None): multiplies each loss.
        reduction (default "sum_over_batch_size"): see above.

    Differs from lossmith.cross_entropy: ours has classes on dimension 1, takes scores, never
    clips, and its mean divides by the sum of the weights ("mean_with_sample_weight").
    """
    if not y_true.is_floating_point() and y_true.dim() == y_pred.dim() - 1:
        y_true = functional.one_hot(y_true.long(), y_pred.shape[-1])
    t = _smooth(y_true.to(y_pred.dtype), label_smoothing, 1 / y_pred.shape[-1])
    log_p = y_pred.log_softmax(-1) if from_logits else _probabilities(y_pred, False).log()
    losses = -(t * log_p).sum(-1)
    return _reduce("keras_categorical_crossentropy", losses, sample_weight, reduction)


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
    p = _probabilities(y_pred, from_logits)
    t = _smooth(y_true.to(p.dtype), label_smoothing, 1 / p.shape[-1])
    each = -t * p.log() * (1 - p) ** gamma * torch.as_tensor(alpha).to(p)
    name = "keras_categorical_focal_crossentropy"
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
    losses = FUNCTIONS["huber"](y_pred, y_true.to(y_pred.dtype), delta, reduction="none").mean(-1)
    return _reduce("keras_huber", losses, sample_weight, reduction)
