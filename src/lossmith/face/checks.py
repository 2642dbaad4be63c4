"""Everything that can be told from shapes, dtypes and options, before anything is computed.

Nothing here looks at a tensor's values (that would wait for a device, and stop a tracer): values
of labels are the engines' business.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lossmith.errors import DeviceError, DtypeError, InputError, ShapeError
from lossmith.face import settings
from lossmith.face.settings import REDUCTIONS as REDUCTIONS
from lossmith.face.settings import reduction as reduction
from lossmith.formula.record import Parameter

_WEIGHTS = (*settings.FLOATS, *settings.INTEGERS)
_PLAIN = torch.strided
TARGETS = (*settings.FLOATS, *settings.INTEGERS, torch.bool)


def tensors(name: str, prediction: Any, target: Any) -> None:
    """Both are tensors, on one device, and the prediction is of a real floating dtype."""
    if not (isinstance(prediction, Tensor) and isinstance(target, Tensor)):
        wrong = ("prediction", prediction)
        argument, value = ("target", target) if isinstance(prediction, Tensor) else wrong
        settings.no_tensor(name, argument, value)
    if prediction.layout is not _PLAIN or target.layout is not _PLAIN:
        settings.dense(name, "prediction", prediction)
        settings.dense(name, "target", target)
    if prediction.dtype not in settings.FLOATS:
        if prediction.is_floating_point():
            kind = "of a type without arithmetic"
        else:
            kind = "complex" if prediction.is_complex() else "integer or boolean"
        raise DtypeError(
            f"{name}: the prediction is {kind} ({prediction.dtype}); a loss needs real floating "
            "scores. Are prediction and target swapped? Otherwise use prediction.float()."
        )
    if target.dtype not in TARGETS:
        kind = "complex" if target.is_complex() else "of a type without arithmetic"
        raise DtypeError(
            f"{name}: the target is {kind} ({target.dtype}); it must be real. Use target.float(), "
            "or for class indices target.long()."
        )
    if not (prediction.is_cpu and target.is_cpu):
        device(name, "target", target, prediction)


def device(name: str, argument: str, value: Tensor, prediction: Tensor) -> None:
    """`value` lies where the prediction lies."""
    if value.device != prediction.device:
        raise DeviceError(
            f"{name}: {argument} is on {value.device}, the prediction on {prediction.device}. "
            f"Use {argument}.to(prediction.device), or loss.to(device) for a module's own tensors."
        )


def same_shape(name: str, prediction: Tensor, target: Tensor) -> None:
    """No broadcasting between prediction and target: (N,) against (N, 1) would be N² losses."""
    settings.dense(name, "prediction", prediction)
    settings.dense(name, "target", target)
    if prediction.shape != target.shape:
        hint = ""
        if prediction.numel() == target.numel():
            hint = f" Use target.reshape({tuple(prediction.shape)}) if the order is right."
        raise ShapeError(
            f"{name}: prediction has shape {tuple(prediction.shape)} and target "
            f"{tuple(target.shape)}; they must be equal, nothing is broadcast.{hint}"
        )


def class_shapes(name: str, logits: Tensor, target: Tensor) -> tuple[int, ...]:
    """Logits (N, C, d1, …) against indices (N, d1, …) or a distribution (N, C, d1, …).

    Returns the shape of the losses, (N, d1, …).
    """
    try:
        shape, given = tuple(logits.shape), tuple(target.shape)
    except RuntimeError:  # a nested tensor has none
        settings.dense(name, "logits", logits)
        settings.dense(name, "target", target)
        raise
    if len(shape) < 2:
        raise ShapeError(
            f"{name}: logits have shape {tuple(shape)}; they need (N, C) or (N, C, d1, …), classes "
            "on dimension 1. For a single example use logits.unsqueeze(0)."
        )
    if shape[1] == 0:
        raise ShapeError(f"{name}: logits of shape {tuple(shape)} have no class on dimension 1.")
    rows = (shape[0], *shape[2:])
    if target.dtype in settings.FLOATS:
        if given != shape:
            raise ShapeError(
                f"{name}: a floating target is a distribution over classes and must have the "
                f"logits' shape {tuple(shape)}, got {tuple(target.shape)}. For class indices use "
                "target.long()."
            )
        return rows
    if target.dtype == torch.bool:
        raise DtypeError(f"{name}: the target is boolean; give class indices (int64).")
    if given != rows:
        raise ShapeError(
            f"{name}: logits of shape {tuple(shape)} need class indices of shape {rows} as "
            f"target, got {tuple(target.shape)}; classes are on dimension 1 of the logits."
        )
    return rows


def indices(name: str, target: Tensor) -> Tensor:
    """Class indices in a dtype that can be compared with any number of classes."""
    if target.dtype == torch.uint64:
        raise DtypeError(
            f"{name}: the target has dtype {target.dtype}, whose numbers not every int64 can hold. "
            "Use target.long()."
        )
    return target.long()


def no_gradient(name: str, target: Tensor) -> None:
    """Labels are data."""
    if target.requires_grad:
        raise InputError(
            f"{name}: the target requires a gradient, but labels are data here. Use "
            "target.detach(), or swap the arguments: loss(prediction, target)."
        )


def per_loss(name: str, argument: str, value: Any, rows: Any, prediction: Tensor) -> None:
    """`sample_weight` or `mask`: one number for each loss, or a size of 1 where it repeats."""
    if not isinstance(value, Tensor):
        settings.no_tensor(name, argument, value)
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
    settings.dense(name, argument, value)
    device(name, argument, value, prediction)
    if value.shape == rows:
        return
    shape = tuple(value.shape)
    if not (len(shape) == len(rows) and all(a in (1, b) for a, b in zip(shape, rows, strict=True))):
        raise ShapeError(
            f"{name}: {argument} has shape {shape} but the losses have {tuple(rows)}. "
            f"Give one number for each, or a size of 1 in the dimensions along which it repeats."
        )


def parameter(name: str, spec: Parameter, value: Any, prediction: Tensor, classes: bool) -> Any:
    """A number inside its domain, or a tensor on the right device, kept as it is."""
    if not isinstance(value, Tensor):
        return spec.check(value, name)
    settings.parameter(name, spec, value)
    if value.dim() or value.device.type != "cpu":  # torch takes one number from the CPU anywhere
        device(name, spec.name, value, prediction)
    if value.dim():
        if classes:
            per_class(name, spec.name, value, prediction)
        else:
            per_element(name, spec.name, value, prediction)
    return value


def per_class(name: str, argument: str, value: Tensor, logits: Tensor) -> None:
    """A parameter of a loss over classes: one number, or one for each class."""
    if tuple(value.shape) != (logits.shape[1],):
        raise ShapeError(
            f"{name}: {argument} has shape {tuple(value.shape)}, but the logits have "
            f"{logits.shape[1]} classes: give one number, shape (), or one for each class, shape "
            f"({logits.shape[1]},)."
        )


def repeats(value: Tensor, along: Tensor) -> bool:
    """Whether a tensor repeats along another, by torch's rule, and never enlarges it."""
    shape, whole = value.shape, along.shape
    ends = whole[len(whole) - len(shape) :]
    return len(shape) <= len(whole) and all(a in (1, b) for a, b in zip(shape, ends, strict=True))


def per_element(name: str, argument: str, value: Tensor, prediction: Tensor) -> None:
    """A parameter that repeats along the prediction, by torch's rule, and never enlarges it."""
    if not repeats(value, prediction):
        shape, whole = tuple(value.shape), tuple(prediction.shape)
        raise ShapeError(
            f"{name}: {argument} has shape {shape} and the prediction {whole}: a parameter is one "
            "number, or repeats along the prediction from its last dimension on, such as (D,) for "
            "the columns of (N, D) and (C, 1, 1) for the channels of (N, C, H, W)."
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
