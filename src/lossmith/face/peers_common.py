"""What the presets share: a preset returns its peer's number, or refuses in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lossmith.engine.looking import readable
from lossmith.errors import LabelError, ShapeError
from lossmith.face import checks, settings
from lossmith.link import shapes


def plain_reduce(name: str, loss: Tensor, reduction: str) -> Tensor:
    """The mean over all elements, the sum, or the elements."""
    checks.reduction(name, reduction)
    if reduction == "none":
        return loss
    return loss.mean() if reduction == "mean" else loss.sum()


def same(name: str, prediction: Tensor, target: Tensor) -> None:
    """Two tensors of one shape and on one device; nothing is broadcast."""
    shapes.tensors(name, prediction, target)
    shapes.same(name, prediction, target)


def never_larger(name: str, argument: str, value: Tensor, losses: Tensor) -> Tensor:
    """`value` where it repeats along the losses by torch's rule; (N, 1) for (N,) would give N²."""
    if not isinstance(value, Tensor):
        settings.no_tensor(name, argument, value)
    shapes.device(name, argument, value, losses)
    if not checks.repeats(value.shape, losses.shape):
        shape, whole = tuple(value.shape), tuple(losses.shape)
        raise ShapeError(
            f"{name}: {argument} has shape {shape} but the losses have {whole}. Give one number "
            "for each, or a size of 1 in the dimensions along which it repeats."
        )
    return value.to(losses.dtype)


def by_class(
    name: str, argument: str, given: Sequence[float] | Tensor, like: Tensor, axis: int = 1
) -> Tensor:
    """One number for each class, shaped to go along `axis` of `like`."""
    each, classes = torch.as_tensor(given).to(like), like.shape[axis]
    if each.shape != (classes,):
        raise ShapeError(
            f"{name}: {argument} has shape {tuple(each.shape)}, but there are {classes} classes on "
            f"dimension {axis} of {tuple(like.shape)}: give one number for each."
        )
    shape = [1] * like.dim()
    shape[axis] = classes
    return each.view(shape)


def classes_on_one(name: str, prediction: Tensor) -> None:
    """(N, C, …)."""
    if prediction.dim() < 2:
        raise ShapeError(
            f"{name}: the prediction has shape {tuple(prediction.shape)}; it needs (N, C) or "
            "(N, C, d1, …), classes on dimension 1."
        )


def one_hot(name: str, index: Tensor, classes: int) -> Tensor:
    """Classes on the last dimension, every index inside their number."""
    index = index.long()
    if readable(index) and index.numel():
        for bad in (int(index.min()), int(index.max())):
            if not 0 <= bad < classes:
                raise LabelError(
                    f"{name}: class index {bad} lies outside 0 … {classes - 1}. Rows to leave out "
                    "have an argument of their own where the peer has one, or take a weight of 0."
                )
    return functional.one_hot(index, classes)


def columns_agree(a: Any, b: Any) -> bool:
    """Whether two shapes differ in dimensions of size 1 only."""
    return [n for n in a if n != 1] == [n for n in b if n != 1]
