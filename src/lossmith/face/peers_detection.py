"""The meanings of torchvision and mmdetection; public as `lossmith.presets`."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from lossmith.errors import InputError, ParameterError, ShapeError
from lossmith.face.catalogue import FUNCTIONS
from lossmith.face.peers_common import never_larger, one_hot, plain_reduce, same
from lossmith.link import shapes

Reduction = Literal["mean", "sum", "none"]


def linear_mix_focal(logits: Tensor, target: Tensor, gamma: float) -> Tensor:
    """Binary cross-entropy · (1 - p_t)^gamma, p_t = p·t + (1 - p)(1 - t), without reduction."""
    wrong = torch.sigmoid(-logits) * target + torch.sigmoid(logits) * (1 - target)
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return entropy * wrong**gamma


def torchvision_sigmoid_focal_loss(
    inputs: Tensor,
    targets: Tensor,
    alpha: float = 0.25,
    gamma: float = 2,
    reduction: Reduction = "none",
) -> Tensor:
    """What `torchvision.ops.sigmoid_focal_loss` computes.

    Formula:
        loss = a_t (1 - p_t)^gamma · bce(x, t), p = σ(x), p_t = p·t + (1 - p)(1 - t),
        a_t = alpha·t + (1 - alpha)(1 - t).

    Shapes:
        inputs and targets: any, both the same; the result too, or a scalar.

    Parameters:
        inputs: scores.
        targets: labels in [0, 1].
        alpha (default 0.25): weight of the positive class; -1 for none.
        gamma (default 2): focusing exponent.
        reduction (default "none"): "none", "mean" over all elements, "sum".

    Differs from lossmith.binary_focal: the same on labels 0 and 1. A soft label mixes p_t and
    a_t linearly, where ours averages the two losses: at (1.3, 0.7), gamma 2, no alpha, 0.0939
    against 0.2932. Ours has no alpha by default (alpha=None, not -1) and returns the mean.
    """
    if alpha != -1 and not 0 <= alpha <= 1:
        raise ParameterError(
            f"torchvision_sigmoid_focal_loss: alpha = {alpha!r} is neither in [0, 1] nor -1 (none)."
        )
    same("torchvision_sigmoid_focal_loss", inputs, targets)
    loss = linear_mix_focal(inputs, targets.to(inputs.dtype), gamma)
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    return plain_reduce("torchvision_sigmoid_focal_loss", loss, reduction)


def _mmdet_reduce(
    name: str, loss: Tensor, weight: Tensor | None, reduction: str, avg_factor: float | None
) -> Tensor:
    if weight is not None:
        loss = loss * never_larger(name, "weight", weight, loss)
    if avg_factor is None or reduction == "none":
        return plain_reduce(name, loss, reduction)
    if reduction != "mean":
        raise InputError(f"{name}: avg_factor divides a mean; it does not go with {reduction!r}.")
    return loss.sum() / (avg_factor + torch.finfo(torch.float32).eps)


def mmdet_sigmoid_focal_loss(
    pred: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    gamma: float = 2.0,
    alpha: float = 0.25,
    reduction: Reduction = "mean",
    avg_factor: float | None = None,
) -> Tensor:
    """What mmdetection's `FocalLoss` (`py_sigmoid_focal_loss`) computes.

    Formula:
        loss = a_t (1 - p_t)^gamma · bce(x, t) with torchvision's p_t and a_t; "mean" = Σ w·loss /
        number of elements, or / (avg_factor + 1.2e-7).

    Shapes:
        pred: (N, C). target: (N, C), or indices (N,) where C means background: no class at all.
        weight: (N,), (N, C) or (N·C,). Other shapes with both alike, one weight for each element.

    Parameters:
        pred, target: scores and labels.
        weight (default None): multiplies the loss; the mean is not divided by it.
        gamma (default 2.0): focusing exponent.
        alpha (default 0.25): weight of the positive class.
        reduction (default "mean"): "mean", "sum" or "none".
        avg_factor (default None): what the mean divides by, usually the number of positives.

    Left out: `activated` (probabilities) and `loss_weight` (multiply the loss).

    Differs from lossmith.binary_focal: soft labels as in torchvision; alpha 0.25 by default; the
    mean divides by elements or by avg_factor, ours by the sum of the weights.
    """
    name = "mmdet_sigmoid_focal_loss"
    shapes.tensors(name, pred, target)
    if pred.dim() == 2 and target.dim() == 1 and not target.is_floating_point():
        target = one_hot(name, target, pred.shape[1] + 1)[:, : pred.shape[1]]
    shapes.same(name, pred, target)
    target = target.to(pred.dtype)
    loss = linear_mix_focal(pred, target, gamma)
    loss = loss * (alpha * target + (1 - alpha) * (1 - target))
    if isinstance(weight, Tensor) and weight.shape != loss.shape:
        rows, columns = (*loss.shape, 0, 0)[:2]
        if loss.dim() != 2 or weight.shape not in ((rows,), (rows, 1), (rows * columns,)):
            raise ShapeError(
                f"{name}: weight has shape {tuple(weight.shape)} and pred {tuple(pred.shape)}; "
                "give one weight for each row, (N,), or for each element."
            )
        weight = weight.view(rows, -1)
    return _mmdet_reduce(name, loss, weight, reduction, avg_factor)


def mmdet_smooth_l1_loss(
    pred: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    beta: float = 1.0,
    reduction: Reduction = "mean",
    avg_factor: float | None = None,
) -> Tensor:
    """What mmdetection's `SmoothL1Loss` computes: lossmith.smooth_l1 with another denominator.

    Formula:
        loss = u²/(2·beta) where |u| < beta, |u| - beta/2 beyond; "mean" = Σ w·loss / number of
        elements, or / (avg_factor + 1.2e-7).

    Shapes:
        pred and target: any, both the same. weight: the same, or with sizes of 1 where it repeats.

    Parameters:
        pred, target: real numbers.
        weight (default None): multiplies the loss; the mean is not divided by it.
        beta (default 1.0): where the square ends.
        reduction (default "mean"): "mean", "sum" or "none".
        avg_factor (default None): what the mean divides by.

    Left out: `loss_weight` (multiply the loss).

    Differs from lossmith.smooth_l1 in the denominator only: ours is the sum of the weights. (The
    Huber loss is beta times this.)
    """
    name = "mmdet_smooth_l1_loss"
    shapes.tensors(name, pred, target)
    if target.numel() == 0:
        return pred.sum() * 0
    loss = FUNCTIONS["smooth_l1"](pred, target, beta, reduction="none")
    return _mmdet_reduce(name, loss, weight, reduction, avg_factor)


def mmdet_cross_entropy(
    pred: Tensor,
    label: Tensor,
    weight: Tensor | None = None,
    reduction: Reduction = "mean",
    avg_factor: float | None = None,
    class_weight: Tensor | None = None,
    ignore_index: int = -100,
    avg_non_ignore: bool = False,
) -> Tensor:
    """What mmdetection's `CrossEntropyLoss` computes: lossmith.cross_entropy, other denominators.

    Formula:
        loss = -c_y log p_y, 0 where ignored; "mean" = Σ w·loss / number of rows (ignored ones
        included), / number of rows not ignored (avg_non_ignore), or / (avg_factor + 1.2e-7).

    Shapes:
        pred: (N, C) or (N, C, d1, …). label: indices (N, d1, …). weight: label's shape.

    Parameters:
        pred, label: logits and class indices.
        weight (default None): multiplies the loss; the mean is not divided by it.
        reduction (default "mean"): "mean", "sum" or "none".
        avg_factor (default None): what the mean divides by.
        class_weight (default None): one weight per class; the mean is not divided by it.
        ignore_index (default -100): rows with this index give 0.
        avg_non_ignore (default False): the mean divides by the rows that are not ignored.

    Left out: `use_sigmoid` and `use_mask`, other losses, and `loss_weight` (multiply the loss).

    Differs from lossmith.cross_entropy (and torch) in the denominator: ours is the sum of sample
    weight times class weight over the rows that count.
    """
    loss = FUNCTIONS["cross_entropy"](
        pred, label, class_weight=class_weight, ignore_index=ignore_index, reduction="none"
    )
    if avg_factor is None and avg_non_ignore and reduction == "mean":
        avg_factor = float((label != ignore_index).sum())
    return _mmdet_reduce("mmdet_cross_entropy", loss, weight, reduction, avg_factor)
