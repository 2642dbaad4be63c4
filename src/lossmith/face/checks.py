"""Weights, masks, parameters and options of a call, by their shapes, dtypes and devices.

Prediction and target themselves are the links' business (link/shapes.py).
Nothing here looks at a tensor's values (that would wait for a device, and stop a tracer): values
of labels are the engines' business.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lossmith.errors import DtypeError, ShapeError
from lossmith.face import settings, values
from lossmith.face.settings import REDUCTIONS as REDUCTIONS
from lossmith.face.settings import reduction as reduction
from lossmith.formula.record import Parameter
from lossmith.link.dtypes import FLOATS, INTEGERS
from lossmith.link.link import Call, Link
from lossmith.link.options import Index, Option, PerClass
from lossmith.link.shapes import dense, device, no_tensor

_WEIGHTS = (*FLOATS, *INTEGERS)


def per_loss(name: str, argument: str, value: Any, rows: Any, prediction: Tensor) -> None:
    """`sample_weight` or `mask`: one number for each loss, or a size of 1 where it repeats."""
    if not isinstance(value, Tensor):
        no_tensor(name, argument, value)
    if argument == "mask" and value.dtype != torch.bool:
        raise DtypeError(
            f"{name}: mask has dtype {value.dtype}; True keeps an element, so it must be boolean. "
            "Use mask.bool(), or sample_weight= for weights."
        )
    if argument != "mask" and value.dtype not in _WEIGHTS:
        hint = " For booleans there is mask=." if value.dtype == torch.bool else ""
        raise DtypeError(
            f"{name}: {argument} has dtype {value.dtype}; it must be real numbers.{hint}"
        )
    dense(name, argument, value)
    device(name, argument, value, prediction)
    if value.shape == rows:
        return
    shape = tuple(value.shape)
    if not (len(shape) == len(rows) and all(a in (1, b) for a, b in zip(shape, rows, strict=True))):
        raise ShapeError(
            f"{name}: {argument} has shape {shape} but the losses have {tuple(rows)}. "
            f"Give one number for each, or a size of 1 in the dimensions along which it repeats."
        )


def option(call: Call, option: Option, value: Any) -> None:
    """Put an option into a call, as it is given there; an error in words if it cannot be."""
    name = call.loss.name
    value = settings.option(name, option, value)
    takes = option.takes
    if isinstance(takes, PerClass):
        one_per_class(name, option.name, value, call.prediction)
        values.non_negative(name, option.name, value)
    elif isinstance(takes, Index) and value >= 0:
        settings.index_beside(name, value, not call.hard)
    elif isinstance(value, Tensor):
        fits(name, option.name, value, call.prediction, call.loss.link)
    if option.field:
        setattr(call, option.field, value == takes.allowed[-1])  # type: ignore[union-attr]
    else:
        setattr(call, option.name, value)


def parameter(name: str, spec: Parameter, value: Any, prediction: Tensor, link: Link) -> Any:
    """A number inside its domain, or a tensor on the right device, kept as it is."""
    if not isinstance(value, Tensor):
        return spec.check(value, name)
    settings.parameter(name, spec, value)
    fits(name, spec.name, value, prediction, link)
    return value


def fits(name: str, argument: str, value: Tensor, prediction: Tensor, link: Link) -> None:
    """A tensor lies where the prediction does, and has one number for all or one for each."""
    if value.dim() or value.device.type != "cpu":  # torch takes one number from the CPU anywhere
        device(name, argument, value, prediction)
    if value.dim():
        if link.classes:
            per_class(name, argument, value, prediction)
        else:
            per_element(name, argument, value, link.rows(prediction.shape))


def per_class(name: str, argument: str, value: Tensor, logits: Tensor) -> None:
    """A parameter of a loss over classes: one number, or one for each class."""
    if tuple(value.shape) != (logits.shape[1],):
        raise ShapeError(
            f"{name}: {argument} has shape {tuple(value.shape)}, but the logits have "
            f"{logits.shape[1]} classes: give one number, shape (), or one for each class, shape "
            f"({logits.shape[1]},)."
        )


def repeats(shape: Sequence[int], whole: Sequence[int]) -> bool:
    """Whether a shape repeats along another, by torch's rule, and never enlarges it."""
    ends = whole[len(whole) - len(shape) :]
    return len(shape) <= len(whole) and all(a in (1, b) for a, b in zip(shape, ends, strict=True))


def per_element(name: str, argument: str, value: Tensor, rows: Sequence[int]) -> None:
    """A parameter that repeats along the losses, by torch's rule, and never enlarges them."""
    if not repeats(value.shape, rows):
        raise ShapeError(
            f"{name}: {argument} has shape {tuple(value.shape)} and the losses {tuple(rows)}: a "
            "parameter is one number, or repeats along the losses from their last dimension on, "
            "such as (D,) for the columns of (N, D) and (C, 1, 1) for the channels of "
            "(N, C, H, W)."
        )


def one_per_class(name: str, argument: str, value: Any, logits: Tensor) -> None:
    """One weight for each class."""
    settings.one_per_class(name, argument, value)
    if tuple(value.shape) != (logits.shape[1],):
        raise ShapeError(
            f"{name}: {argument} has shape {tuple(value.shape)}, but the logits have "
            f"{logits.shape[1]} classes: give one weight for each, shape ({logits.shape[1]},)."
        )
    device(name, argument, value, logits)
