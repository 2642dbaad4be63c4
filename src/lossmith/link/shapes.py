"""What shapes, dtypes and devices of prediction and target tell, before anything is computed.

Nothing is broadcast between a prediction and a target: (N,) against (N, 1) would be N² losses.
Nothing looks at values either: that would wait for a device, and stop a tracer.
"""

from __future__ import annotations

from typing import Any, NoReturn

import torch
from torch import Tensor

from lossmith.errors import DeviceError, DtypeError, InputError, ShapeError
from lossmith.link.dtypes import FLOATS, TARGETS

_PLAIN = torch.strided


def no_tensor(name: str, argument: str, value: Any, also: str = "") -> NoReturn:
    """A list, a NumPy array or anything else where a tensor has to be."""
    raise DtypeError(
        f"{name}: {argument} must be a torch.Tensor, got {type(value).__name__}. Use "
        f"torch.as_tensor({argument}).{also}"
    )


def dense(name: str, argument: str, value: Tensor) -> None:
    """Numbers laid out in memory by strides, as every engine reads them."""
    if value.is_nested:
        raise DtypeError(
            f"{name}: {argument} is a nested tensor; a loss needs a plain one. Join its parts, "
            "torch.cat(tensor.unbind()), or pad them, tensor.to_padded_tensor(0.0), with mask= for "
            "what is padding."
        )
    if value.layout is not _PLAIN:
        kind = str(value.layout).removeprefix("torch.").removeprefix("_")
        raise DtypeError(
            f"{name}: {argument} has the layout {kind}; a loss needs a plain tensor. Use "
            f"{argument}.to_dense()."
        )


def device(name: str, argument: str, value: Tensor, prediction: Tensor) -> None:
    """`value` lies where the prediction lies."""
    if value.device != prediction.device:
        raise DeviceError(
            f"{name}: {argument} is on {value.device}, the prediction on {prediction.device}. "
            f"Use {argument}.to(prediction.device), or loss.to(device) for a module's own tensors."
        )


def tensors(name: str, prediction: Any, target: Any) -> None:
    """Both are tensors, on one device, and the prediction is of a real floating dtype."""
    if not (isinstance(prediction, Tensor) and isinstance(target, Tensor)):
        wrong = ("prediction", prediction)
        argument, value = ("target", target) if isinstance(prediction, Tensor) else wrong
        no_tensor(name, argument, value)
    if prediction.layout is not _PLAIN or target.layout is not _PLAIN:
        dense(name, "prediction", prediction)
        dense(name, "target", target)
    if prediction.dtype not in FLOATS:
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


def data(name: str, target: Tensor) -> None:
    """Labels are data."""
    if target.requires_grad:
        raise InputError(
            f"{name}: the target requires a gradient, but labels are data here. Use "
            "target.detach(), or swap the arguments: loss(prediction, target)."
        )


def same(name: str, prediction: Tensor, target: Tensor) -> Any:
    """Prediction and target have one shape, which is returned."""
    try:
        if prediction.shape == target.shape:
            return prediction.shape
    except RuntimeError:  # a nested tensor has no shape
        pass
    dense(name, "prediction", prediction)
    dense(name, "target", target)
    hint = ""
    if prediction.numel() == target.numel():
        hint = f" Use target.reshape({tuple(prediction.shape)}) if the order is right."
    raise ShapeError(
        f"{name}: prediction has shape {tuple(prediction.shape)} and target "
        f"{tuple(target.shape)}; they must be equal, nothing is broadcast.{hint}"
    )


def of_logits(name: str, logits: Tensor) -> tuple[int, ...]:
    """The shape of logits, (N, C) or (N, C, d1, …)."""
    shape = tuple(logits.shape)
    if len(shape) < 2:
        raise ShapeError(
            f"{name}: logits have shape {shape}; they need (N, C) or (N, C, d1, …), classes "
            "on dimension 1. For a single example use logits.unsqueeze(0)."
        )
    if shape[1] == 0:
        raise ShapeError(f"{name}: logits of shape {shape} have no class on dimension 1.")
    return shape


def of_classes(name: str, logits: Tensor, target: Tensor) -> tuple[int, ...]:
    """Logits (N, C, d1, …) against indices (N, d1, …) or a distribution (N, C, d1, …).

    Returns the shape of the losses, (N, d1, …).
    """
    try:
        given = tuple(target.shape)
        shape = of_logits(name, logits)
    except RuntimeError:  # a nested tensor has none
        dense(name, "logits", logits)
        dense(name, "target", target)
        raise
    rows = (shape[0], *shape[2:])
    if target.dtype in FLOATS:
        if given != shape:
            raise ShapeError(
                f"{name}: a floating target is a distribution over classes and must have the "
                f"logits' shape {shape}, got {given}. For class indices use target.long()."
            )
        return rows
    if target.dtype == torch.bool:
        raise DtypeError(f"{name}: the target is boolean; give class indices (int64).")
    if given != rows:
        raise ShapeError(
            f"{name}: logits of shape {shape} need class indices of shape {rows} as "
            f"target, got {given}; classes are on dimension 1 of the logits."
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
