"""The meanings of kornia, MONAI and segmentation_models.pytorch; public as `lossmith.presets`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from lossmith.engine.looking import readable
from lossmith.errors import InputError, ParameterError, ShapeError, UnsupportedError
from lossmith.face import checks
from lossmith.face.catalogue import FUNCTIONS
from lossmith.face.peers_common import (
    by_class,
    classes_on_one,
    columns_agree,
    one_hot,
    plain_reduce,
    same,
)
from lossmith.face.peers_detection import Reduction
from lossmith.link import shapes


def _background(alpha: float, like: Tensor) -> Tensor:
    """Class 0 weighs 1 - alpha, every other class alpha."""
    weights = torch.full((like.shape[1],), alpha, dtype=like.dtype, device=like.device)
    weights[0] = 1 - alpha
    return by_class("", "", weights, like)


def kornia_focal_loss(
    pred: Tensor,
    target: Tensor,
    alpha: float | None,
    gamma: float = 2.0,
    reduction: Reduction = "none",
    weight: Tensor | None = None,
    ignore_index: int | None = -100,
) -> Tensor:
    """What `kornia.losses.focal_loss` computes: lossmith.focal spread over a map of all classes.

    Formula:
        loss[n, c] = -a_c w_c (1 - p_c)^gamma log p_c where c is the target, else 0; a_0 = 1 - alpha
        and a_c = alpha for the others; "mean" = Σ loss / number of entries of that map.

    Shapes:
        pred: (N, C, …). target: indices (N, …). Result: (N, C, …), or a scalar.

    Parameters:
        pred, target: logits and class indices.
        alpha: weight of the classes 1 …, class 0 has 1 - alpha; None weights all by 1.
        gamma (default 2.0): focusing exponent.
        reduction (default "none"): "none", "mean" or "sum".
        weight (default None): one weight per class; the mean is not divided by it.
        ignore_index (default -100): rows with this index give 0 and still count in the mean.

    Differs from lossmith.focal: ours returns one loss per row, so its mean is C times kornia's;
    its alpha is one weight per class, never a scalar; ignored rows leave its mean.
    """
    ignored = -100 if ignore_index is None else ignore_index
    row = FUNCTIONS["focal"](pred, target, gamma, ignore_index=ignored, reduction="none")
    index = torch.where(target == ignored, 0, target).unsqueeze(1)
    loss = torch.zeros_like(pred, dtype=row.dtype).scatter(1, index, row.unsqueeze(1))
    if alpha is not None:
        loss = loss * _background(alpha, loss)
    if weight is not None:
        loss = loss * by_class("kornia_focal_loss", "weight", weight, loss)
    return plain_reduce("kornia_focal_loss", loss, reduction)


def kornia_binary_focal_loss_with_logits(
    pred: Tensor,
    target: Tensor,
    alpha: float | None = 0.25,
    gamma: float = 2.0,
    reduction: Reduction = "none",
    pos_weight: Tensor | None = None,
    weight: Tensor | None = None,
    ignore_index: int | None = -100,
) -> Tensor:
    """What `kornia.losses.binary_focal_loss_with_logits` computes.

    Formula:
        loss = w·[v·alpha·t·ψ(x) + (1 - alpha)(1 - t)·ψ(-x)], ψ(x) = -(1 - σ(x))^gamma log σ(x),
        v = pos_weight; "mean" = Σ loss / number of elements.

    Shapes:
        pred and target: (N, C, …), both the same; the result too, or a scalar.

    Parameters:
        pred, target: scores and labels in [0, 1].
        alpha (default 0.25): weight of the positive class, 1 - alpha the negative; None: both 1.
        gamma (default 2.0): focusing exponent.
        reduction (default "none"): "none", "mean" or "sum".
        pos_weight (default None): one factor per class for its positive part.
        weight (default None): one weight per class; the mean is not divided by it.
        ignore_index (default -100): labels of this value give 0 and still count in the mean.

    Differs from lossmith.binary_focal: the same meaning of soft labels (two terms) and of alpha;
    ours has no alpha by default, and divides by the sum of the weights that count.
    """
    name = "kornia_binary_focal_loss_with_logits"
    same(name, pred, target)
    classes_on_one(name, pred)
    dropped = torch.zeros_like(target, dtype=torch.bool)
    if ignore_index is not None:
        dropped = target == ignore_index
    share = torch.where(dropped, 0, target).to(pred.dtype)
    one, keep = torch.ones_like(share), ~dropped
    ours = FUNCTIONS["binary_focal"]
    positive = share * ours(pred, one, gamma, mask=keep, reduction="none")
    negative = (1 - share) * ours(pred, 1 - one, gamma, mask=keep, reduction="none")
    if alpha is not None:
        positive, negative = alpha * positive, (1 - alpha) * negative
    if pos_weight is not None:
        positive = positive * by_class(name, "pos_weight", pos_weight, positive)
    loss = positive + negative
    if weight is not None:
        loss = loss * by_class(name, "weight", weight, loss)
    return plain_reduce(name, loss, reduction)


def monai_focal_loss(
    input: Tensor,  # MONAI's name
    target: Tensor,
    to_onehot_y: bool = False,
    gamma: float = 2.0,
    alpha: float | Sequence[float] | None = None,
    weight: float | Sequence[float] | Tensor | None = None,
    reduction: Reduction = "mean",
    use_softmax: bool = False,
) -> Tensor:
    """What `monai.losses.FocalLoss` computes, in float32 (float64 too is rounded to it).

    Formula:
        sigmoid: loss = a_t σ(-x(2t - 1))^gamma · bce(x, t), a_t = alpha·t + (1 - alpha)(1 - t), or
        alpha[c] where t = 1 and 1 elsewhere;
        softmax: loss = -a_c t_c (1 - p_c)^gamma log p_c, a_0 = 1 - alpha, a_c = alpha, or alpha[c].
        "mean" = over all elements, classes included; "sum" = Σ over rows and classes of the mean
        over the spatial dimensions, and of (N, C), where there are none, the mean all the same.

    Shapes:
        input: (N, C, …). target: the same, or (N, 1, …) indices with to_onehot_y.

    Parameters:
        input, target: scores and labels.
        to_onehot_y (default False): the target holds class indices; of one class, it is ignored.
        gamma (default 2.0): focusing exponent.
        alpha (default None): as in the formula.
        weight (default None): one weight per class, not negative; or one number for all (of a
            single class no other is taken). The mean is not divided by it.
        reduction (default "mean"): "mean", "sum" or "none".
        use_softmax (default False): softmax over classes instead of one sigmoid each.

    Left out: include_background (hand over `input[:, 1:]`, `target[:, 1:]`) and ignore_index.

    Differs from lossmith.binary_focal and lossmith.focal: the same on hard labels before
    reduction. A soft label enters the factor through σ(-x(2t - 1)): 0.0877 at (1.3, 0.7) against
    our 0.2932. Ours divides by rows, not by rows × classes, and its sum is a sum.
    """
    name = "monai_focal_loss"
    shapes.tensors(name, input, target)
    classes_on_one(name, input)
    classes = input.shape[1]
    if to_onehot_y and classes > 1:
        rows = (*input.shape[:1], *input.shape[2:])
        column = target.shape == (rows[0], 1, *rows[1:])
        if not column and (input.dim() > 2 or target.shape != rows):
            raise ShapeError(
                f"{name}: input {tuple(input.shape)} and to_onehot_y need class indices of shape "
                f"{(rows[0], 1, *rows[1:])}, got {tuple(target.shape)}."
            )
        target = one_hot(name, target.reshape(rows), classes).movedim(-1, 1)
    shapes.same(name, input, target)
    x, t = input.float(), target.float()
    given = torch.as_tensor(alpha).to(x) if alpha is not None else None
    if given is not None and given.dim():
        given = by_class(name, "alpha", given, x)
    if use_softmax:
        log_p = x.log_softmax(1)
        loss = -((1 - log_p.exp()) ** gamma) * log_p * t
        if given is not None:
            loss = loss * (given if given.dim() else _background(float(given), x))
    else:
        loss = functional.binary_cross_entropy_with_logits(x, t, reduction="none")
        loss = loss * torch.exp(gamma * functional.logsigmoid(-x * (2 * t - 1)))
        if given is not None and given.dim():
            loss = loss * torch.where(t == 1, given, 1.0)
        elif given is not None:
            loss = loss * (given * t + (1 - given) * (1 - t))
    if weight is not None:
        loss = loss * _monai_weight(name, weight, loss)
    if reduction == "sum":
        checks.reduction(name, reduction)
        return loss.mean() if loss.dim() == 2 else loss.mean(tuple(range(2, loss.dim()))).sum()
    return plain_reduce(name, loss, reduction)


def _monai_weight(name: str, weight: float | Sequence[float] | Tensor, loss: Tensor) -> Tensor:
    each = torch.as_tensor(weight)
    if readable(each) and bool((each < 0).any()):
        raise ParameterError(f"{name}: weight = {weight!r} has a negative entry; MONAI takes none.")
    if not each.dim():
        return each.to(loss)
    if loss.shape[1] == 1:
        raise ShapeError(
            f"{name}: weight has shape {tuple(each.shape)}, but input has a single class, for "
            "which MONAI takes one number only, such as weight=2.0."
        )
    return by_class(name, "weight", each, loss)


def smp_focal_loss(
    y_pred: Tensor,
    y_true: Tensor,
    mode: Literal["binary", "multiclass", "multilabel"],
    alpha: float | None = None,
    gamma: float = 2.0,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
    normalized: bool = False,
    reduced_threshold: float | None = None,
    class_weights: Sequence[float] | Tensor | None = None,
) -> Tensor:
    """What `segmentation_models_pytorch.losses.FocalLoss` computes, from logits.

    Formula:
        loss = a_t (1 - p_t)^gamma · bce(x, t), p_t = exp(-bce(x, t)), a_t = alpha·t + (1 - alpha)
        (1 - t); "multiclass" is one-vs-rest sigmoids, not a softmax, and averages over classes
        the loss of each.

    Shapes:
        y_pred: (N, C, …). y_true: indices (N, …) for "multiclass", else y_pred's shape; "binary"
        takes it with or without the dimensions of size 1, and gives its losses flat.

    Parameters:
        y_pred, y_true: logits and labels.
        mode: "binary", "multiclass" or "multilabel".
        alpha (default None): weight of the positive class.
        gamma (default 2.0): focusing exponent.
        ignore_index (default None): entries with this label leave the loss and its mean; not with
            "multilabel", where smp fails.
        reduction (default "mean"): "mean", "sum" (over each class, then averaged over classes) or
            "none", which by class is the mean all the same.
        normalized (default False): divide by the sum of the focal factors.
        reduced_threshold (default None): below this p_t the factor is 1 ("reduced focal loss").
        class_weights (default None): one per class, for the average over classes; not with
            "binary", nor with "none", where smp weighs the elements of each class by them.

    Left out: from_logits=False.

    Differs from lossmith.focal: "multiclass" is lossmith.OneVsRest("binary_focal") / C. A soft
    label enters through exp(-bce): 0.1382 at (1.3, 0.7) against our 0.2932.
    """
    if mode not in ("binary", "multiclass", "multilabel"):
        raise InputError(
            f'smp_focal_loss: mode={mode!r} is not known. Use "binary", "multiclass", "multilabel".'
        )
    _smp_fits(mode, y_pred, y_true, ignore_index, class_weights)
    if class_weights is not None and reduction == "none":
        raise UnsupportedError(
            'smp_focal_loss: class_weights do not go with reduction="none": smp lines them up with '
            'another dimension there. Use "mean" or "sum".'
        )

    def one(x: Tensor, label: Tensor, kept: Tensor | None) -> Tensor:
        if kept is not None:
            x, label = x[kept], label[kept]
        t = label.to(x.dtype)
        entropy = functional.binary_cross_entropy_with_logits(x, t, reduction="none")
        right = torch.exp(-entropy)
        factor = (1 - right) ** gamma
        if reduced_threshold is not None:
            factor = ((1 - right) / reduced_threshold) ** gamma
            factor = torch.where(right < reduced_threshold, 1.0, factor)
        loss = factor * entropy
        if alpha is not None:
            loss = loss * (alpha * t + (1 - alpha) * (1 - t))
        if normalized:
            loss = loss / factor.sum().clamp_min(1e-6)
        return plain_reduce("smp_focal_loss", loss, reduction)

    kept = None if ignore_index is None else y_true != ignore_index
    if mode == "binary":
        flat = None if kept is None else kept.reshape(-1)
        return one(y_pred.reshape(-1), y_true.reshape(-1), flat)
    by_one = []
    for k in range(y_pred.shape[1]):
        label = y_true == k if mode == "multiclass" else y_true[:, k]
        by_one.append(one(y_pred[:, k], label, kept))
    losses = torch.stack(by_one)
    if class_weights is None:
        return losses.mean()
    each = by_class("smp_focal_loss", "class_weights", class_weights, losses, axis=0)
    return (losses * each).sum() / each.sum()


def _smp_fits(
    mode: str, x: Tensor, label: Tensor, ignore_index: int | None, class_weights: object
) -> None:
    name = "smp_focal_loss"
    shapes.tensors(name, x, label)
    shape = tuple(x.shape)
    if mode == "binary":
        if class_weights is not None:
            raise UnsupportedError(
                f'{name}: mode="binary" takes no class_weights. Weigh the two sides with alpha.'
            )
        if not columns_agree(shape, label.shape):
            shapes.same(name, x, label)
        return
    classes_on_one(name, x)
    if mode == "multilabel":
        if ignore_index is not None:
            raise UnsupportedError(
                f'{name}: mode="multilabel" takes no ignore_index: smp itself fails there. Use '
                "lossmith.binary_focal with mask=."
            )
        shapes.same(name, x, label)
    elif tuple(label.shape) != (shape[0], *shape[2:]):
        raise ShapeError(
            f'{name}: mode="multiclass" and y_pred {shape} need class indices of shape '
            f"{(shape[0], *shape[2:])}, got {tuple(label.shape)}."
        )


def smp_soft_cross_entropy(
    y_pred: Tensor,
    y_true: Tensor,
    smooth_factor: float = 0.0,
    reduction: Reduction = "mean",
    ignore_index: int | None = -100,
) -> Tensor:
    """What `segmentation_models_pytorch.losses.SoftCrossEntropyLoss` computes (classes on dim 1).

    Formula:
        loss = (1 - s)(-log p_y) + (s / C) Σ_k -log p_k, 0 where ignored; "mean" = Σ loss / number
        of rows, ignored ones included.

    Shapes:
        y_pred: (N, C, …). y_true: indices (N, …) or (N, 1, …).

        Losses, for "none": (N, 1, …), or (N, …) where ignore_index is None, as smp has it.

    Parameters:
        y_pred, y_true: logits and class indices.
        smooth_factor (default 0.0): s. (smp's own default None raises a TypeError.)
        reduction (default "mean"): "mean", "sum" or "none".
        ignore_index (default -100): rows with this index give 0 and still count in the mean.

    Left out: `dim`, classes on another dimension (move them to 1).

    Differs from lossmith.cross_entropy(label_smoothing=s) in the denominator only: ours leaves
    ignored rows out of it, as torch does.
    """
    shapes.tensors("smp_soft_cross_entropy", y_pred, y_true)
    if y_true.dim() == y_pred.dim() and y_true.shape[1:2] == (1,):
        y_true = y_true.squeeze(1)
    loss = FUNCTIONS["cross_entropy"](
        y_pred, y_true, label_smoothing=smooth_factor, reduction="none",
        ignore_index=-100 if ignore_index is None else ignore_index,
    )  # fmt: skip
    if ignore_index is not None:
        loss = loss.unsqueeze(1)
    return plain_reduce("smp_soft_cross_entropy", loss, reduction)
