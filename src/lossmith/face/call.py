"""From a person's arguments to a checked Call: one road for each kind of loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_compiling

from lossmith.engine.plan import Call
from lossmith.errors import ShapeError
from lossmith.face import checks, settings, values
from lossmith.link.links import Linked

# Dtypes of class indices that an engine takes as they are.
_INDICES = (torch.int64, torch.int32, torch.uint8)
# Settings that were found right before; a small loss should not pay for looking again.
_GOOD: set[tuple[str, tuple[Any, ...]]] = set()


def _parameters(loss: Linked, given: tuple[Any, ...], prediction: Tensor) -> tuple[Any, ...]:
    if is_compiling():  # a tracer would compile again whenever _GOOD has grown
        return _look(loss, given, prediction)
    for value in given:
        if type(value) is not float:
            return _look(loss, given, prediction)
    if (loss.key, given) not in _GOOD:
        _look(loss, given, prediction)
        if len(_GOOD) > 4096:  # somebody sweeps a parameter
            _GOOD.clear()
        _GOOD.add((loss.key, given))
    return given


def _look(loss: Linked, given: tuple[Any, ...], prediction: Tensor) -> tuple[Any, ...]:
    checked = tuple(
        checks.parameter(loss.name, spec, value, prediction, loss.classes)
        for spec, value in zip(loss.formula.parameters, given, strict=True)
    )
    if any(isinstance(value, Tensor) for value in checked):
        dtype = torch.float64 if prediction.dtype == torch.float64 else torch.float32
        checked = tuple(v.to(dtype) if isinstance(v, Tensor) else v for v in checked)
    return checked


def elementwise(
    loss: Linked,
    prediction: Any,
    target: Any,
    parameters: tuple[Any, ...],
    sample_weight: Any,
    mask: Any,
    labels: str = "binary",
    alpha: Any = None,
) -> Call:
    """A residual or margin loss: one loss per element."""
    name = loss.name
    checks.tensors(name, prediction, target)
    try:
        alike = prediction.shape == target.shape
    except RuntimeError:  # a nested tensor has no shape
        alike = False
    if not alike:
        checks.same_shape(name, prediction, target)
    if loss.kind == "margin":
        if type(labels) is not str or labels not in settings.LABELS:
            labels = settings.labels(name, labels)
        checks.no_gradient(name, target)
    if sample_weight is not None:
        checks.per_loss(name, "sample_weight", sample_weight, prediction.shape, prediction)
    if mask is not None:
        checks.per_loss(name, "mask", mask, prediction.shape, prediction)
    if parameters:
        parameters = _parameters(loss, parameters, prediction)
    if alpha is not None and (type(alpha) is not float or not 0.0 <= alpha <= 1.0):
        if isinstance(alpha, Tensor):
            checks.parameter(name, settings.POSITIVE_SHARE, alpha, prediction, classes=False)
        else:
            alpha = settings.positive_share(name, alpha)
    return Call(
        loss, prediction, target, parameters, sample_weight, mask, labels == "signed", alpha
    )


def classes(
    loss: Linked,
    logits: Any,
    target: Any,
    parameters: tuple[Any, ...],
    class_weight: Any,
    label_smoothing: Any,
    ignore_index: Any,
    sample_weight: Any,
    mask: Any,
    alpha: Any = None,
) -> Call:
    """A loss with one row of class scores per loss."""
    name = loss.name
    checks.tensors(name, logits, target)
    rows = checks.class_shapes(name, logits, target)
    checks.no_gradient(name, target)
    if loss.kind == "crammer_singer" and logits.shape[1] < 2:
        raise ShapeError(f"{name}: one class has no rival; logits need at least 2 classes.")
    if sample_weight is not None:
        checks.per_loss(name, "sample_weight", sample_weight, rows, logits)
    if mask is not None:
        checks.per_loss(name, "mask", mask, rows, logits)
    if class_weight is not None:
        checks.one_per_class(name, "class_weight", class_weight, logits)
        values.non_negative(name, "class_weight", class_weight)
    if alpha is not None:
        settings.no_scalar_alpha(name, alpha)
        checks.one_per_class(name, "alpha", alpha, logits)
        values.non_negative(name, "alpha", alpha)
    if type(label_smoothing) is not float or not 0.0 <= label_smoothing < 1.0:
        label_smoothing = settings.smoothing(name, label_smoothing)
    if type(ignore_index) is not int or ignore_index != settings.NO_INDEX:
        ignore_index = settings.index(name, ignore_index)
        if ignore_index >= 0:
            settings.index_beside(name, ignore_index, target.is_floating_point())
    if target.dtype not in _INDICES and not target.is_floating_point():
        target = checks.indices(name, target)
    if parameters:
        parameters = _parameters(loss, parameters, logits)
    values.expect_logits(name, f"{loss.kind} {loss.key}", logits)
    return Call(
        loss, logits, target, parameters, sample_weight, mask, False, alpha, class_weight,
        label_smoothing, ignore_index,
    )  # fmt: skip
