"""From a person's arguments to a checked Call: one road for each kind of loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lossmith.engine.plan import Call
from lossmith.errors import InputError, ParameterError, ShapeError
from lossmith.face import checks, values
from lossmith.formula.domain import Interval
from lossmith.formula.record import Parameter
from lossmith.link.links import Linked

_ALPHA = Parameter("alpha", 0.5, Interval(0.0, 1.0, low_closed=True, high_closed=True))
# Settings that were found right before; a small loss should not pay for looking again.
_GOOD: set[tuple[str, tuple[Any, ...]]] = set()


def _parameters(loss: Linked, given: tuple[Any, ...], prediction: Tensor) -> tuple[Any, ...]:
    if torch.compiler.is_compiling():  # a tracer would compile again whenever _GOOD has grown
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
        for spec, value in zip(loss.formula.parameters, checked, strict=True):
            if isinstance(value, Tensor):
                values.inside(loss.name, spec, value)
        dtype = torch.float64 if prediction.dtype == torch.float64 else torch.float32
        checked = tuple(v.to(dtype) if isinstance(v, Tensor) else v for v in checked)
    return checked


def elementwise(
    loss: Linked,
    prediction: Any,
    target: Any,
    parameters: tuple[Any, ...],
    weight: Any,
    mask: Any,
    labels: str = "real",
    alpha: Any = None,
) -> Call:
    """A residual or margin loss: one loss per element."""
    name = loss.name
    checks.tensors(name, prediction, target)
    if prediction.shape != target.shape:
        checks.same_shape(name, prediction, target)
    if labels != "real":
        if labels not in ("binary", "signed"):
            raise InputError(f'{name}: labels={labels!r} is not known. Use "binary" or "signed".')
        checks.no_gradient(name, target)
    if weight is not None:
        checks.per_loss(name, "weight", weight, prediction.shape, prediction)
    if mask is not None:
        checks.per_loss(name, "mask", mask, prediction.shape, prediction)
    if parameters:
        parameters = _parameters(loss, parameters, prediction)
    if isinstance(alpha, Tensor):
        checks.parameter(name, _ALPHA, alpha, prediction, classes=False)
        values.inside(name, _ALPHA, alpha)
    elif alpha is not None and not 0.0 <= alpha <= 1.0:
        raise ParameterError(
            f"{name}: alpha = {alpha!r} is outside [0, 1]. It is the weight of the positive class "
            "(the negative class gets 1 - alpha); None weights both by 1."
        )
    return Call(loss, prediction, target, parameters, weight, mask, labels == "signed", alpha)


def classes(
    loss: Linked,
    logits: Any,
    target: Any,
    parameters: tuple[Any, ...],
    class_weight: Any,
    label_smoothing: Any,
    ignore_index: int,
    weight: Any,
    mask: Any,
    alpha: Any = None,
) -> Call:
    """A loss with one row of class scores per loss."""
    name = loss.name
    checks.tensors(name, logits, target)
    checks.class_shapes(name, logits, target)
    checks.no_gradient(name, target)
    if loss.kind == "crammer_singer" and logits.shape[1] < 2:
        raise ShapeError(f"{name}: one class has no rival; logits need at least 2 classes.")
    rows = (*logits.shape[:1], *logits.shape[2:])
    if weight is not None:
        checks.per_loss(name, "weight", weight, rows, logits)
    if mask is not None:
        checks.per_loss(name, "mask", mask, rows, logits)
    if class_weight is not None:
        checks.one_per_class(name, "class_weight", class_weight, logits)
        values.non_negative(name, "class_weight", class_weight)
    if alpha is not None:
        checks.no_scalar_alpha(name, alpha)
        checks.one_per_class(name, "alpha", alpha, logits)
        values.non_negative(name, "alpha", alpha)
    if label_smoothing:
        label_smoothing = checks.fraction(name, "label_smoothing", label_smoothing)
    if not isinstance(ignore_index, int):
        raise InputError(f"{name}: ignore_index must be an int, got {type(ignore_index).__name__}.")
    if parameters:
        parameters = _parameters(loss, parameters, logits)
    values.expect_logits(name, f"{loss.kind} {loss.key}", logits)
    return Call(
        loss, logits, target, parameters, weight, mask, False, alpha, class_weight,
        float(label_smoothing), ignore_index,
    )  # fmt: skip
