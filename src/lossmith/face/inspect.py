"""Look into a loss: its record, its curves, its derivatives on data, the engine that runs it."""

from __future__ import annotations

import numbers
from typing import Any, NamedTuple, NoReturn

import numpy as np
import torch
from torch import Tensor

from lossmith.engine import choose, labels, reference
from lossmith.engine.pointwise import partials
from lossmith.errors import DtypeError, InputError
from lossmith.face import elsewhere
from lossmith.face.catalogue import FUNCTIONS
from lossmith.face.meant import meant
from lossmith.face.settings import dense, shown
from lossmith.formula import ledger
from lossmith.formula.record import Formula
from lossmith.link.dtypes import compute_dtype
from lossmith.link.link import Call
from lossmith.link.links import link


def formula_of(loss: Any) -> Formula:
    """The record of a loss given by name, function, Module or record.

    Parameters:
        loss: for example "focal", lossmith.focal, or lossmith.Focal().

    Errors:
        InputError if there is no such loss.
    """
    if isinstance(loss, Formula):
        return loss
    if isinstance(loss, str):
        return ledger.find(loss)
    record = getattr(loss, "formula", None) or getattr(getattr(loss, "loss", None), "formula", None)
    if not isinstance(record, Formula):
        raise InputError(f"{loss!r} is no loss of Lossmith; give a name, a function or a Module.")
    return record


def curve(loss: Any, u: Any, order: int = 0, **parameters: float) -> Any:
    """ψ(u), ψ'(u) or ψ''(u) as a NumPy array in float64: for plots and tables.

    Parameters:
        loss: name, function, Module or record.
        u: real numbers: residuals, margins, or log-probabilities (≤ 0).
        order (default 0): 0 value, 1 slope, 2 curvature.
        parameters: those of the loss; defaults where left out.

    Errors:
        ParameterError for a parameter that is unknown or outside its domain.
    """
    record = formula_of(loss)
    values = record.bind(parameters)
    if not isinstance(order, numbers.Integral) or isinstance(order, bool) or not 0 <= order <= 2:
        raise InputError(f"curve: order = {order!r}; 0 is the value, 1 the slope, 2 the curvature.")
    loss = link(record)
    key = reference.registered(loss.key)
    x = _real_numbers(u)
    scale = values[record.scale.name] if record.scale else 1.0
    (result,) = partials(key, order)(x / scale, *(values[p.name] for p in record.shape))
    return (result * loss.unit(tuple(values.values()), order)).numpy()


def _real_numbers(u: Any) -> Tensor:
    if isinstance(u, Tensor):
        dense("curve", "u", u)
        u = u.detach().cpu()
        return u.double() if not u.is_complex() else _refused(u)
    try:
        return torch.as_tensor(np.asarray(u, dtype=np.float64))
    except (TypeError, ValueError, OverflowError):
        return _refused(u)


def _refused(u: Any) -> NoReturn:
    raise DtypeError(f"curve: u is {shown(u)}; it must be real numbers: one, an array or a tensor.")


class Derivatives(NamedTuple):
    """Per element: value, gradient and Hessian diagonal with respect to the prediction."""

    value: Tensor
    gradient: Tensor
    hessian: Tensor


def derivatives(loss: Any, prediction: Tensor, target: Tensor, **settings: Any) -> Derivatives:
    """Values, gradient and Hessian diagonal of the unreduced loss, in closed form.

    What second-order methods need: boosted trees, Newton steps, iteratively reweighted fits.

    Formula:
        value = w·ψ(u), gradient = ∂value/∂prediction, hessian = ∂²value/∂prediction² by element;
        the chain rule is that of `lossmith.link.chain`.

    Shapes:
        prediction and target as the loss takes them; gradient and hessian have the prediction's
        shape, value one entry for each loss.

    Parameters:
        loss: a name, function or Module of Lossmith.
        prediction, target: as the loss takes them.
        settings: parameters and options of the loss, sample_weight and mask; no reduction.

    Errors:
        InputError as the loss itself raises.
    """
    call = _call(loss, prediction, target, settings)
    labels.refuse(call)
    with torch.no_grad():
        call.prediction = prediction.detach().to(compute_dtype(prediction.dtype))
        value, _ = reference.losses(call)
        return Derivatives(value, *reference.derivatives(call))


def _call(loss: Any, prediction: Tensor, target: Tensor, settings: dict[str, Any]) -> Call:
    found = meant(loss)
    if found is None:
        said = elsewhere.answer(loss, FUNCTIONS) if isinstance(loss, str) else ""
        said = said or "; give a name, a function or a Module."
        raise InputError(f"{loss!r} is no loss of Lossmith{said}")
    brought = {k: v for k, v in found.settings.items() if k != "reduction"}
    return found.function.check(prediction, target, **(brought | settings))


def engine_for(loss: Any, prediction: Tensor, target: Tensor, **settings: Any) -> str:
    """Which engine would run this call, and why.

    Formula:
        none is evaluated; the answer is "cpu: …" or "reference: …" = the engine and the reason.

    Shapes:
        prediction and target as the loss takes them.

    Parameters:
        loss: a name, function or Module of Lossmith.
        prediction, target: as the loss takes them.
        settings: parameters and options of the loss, sample_weight and mask; no reduction.
    """
    return choose.explained(_call(loss, prediction, target, settings))
