"""One setting at a time: a number, a word or a tensor, as the loss takes it, or why it cannot be.

Functions ask here when they are called, Modules when they are made, so that both refuse the same.
NumPy's numbers are numbers; True and False are none, for they are nearly always in a wrong place.
"""

from __future__ import annotations

import numbers
from typing import Any, NoReturn

import torch
from torch import Tensor

from lossmith.engine.looking import readable
from lossmith.errors import DtypeError, InputError, ParameterError
from lossmith.face import values
from lossmith.formula.domain import Interval, as_number
from lossmith.formula.record import Parameter
from lossmith.link.links import Linked

REDUCTIONS = ("mean", "sum", "none")
LABELS = ("binary", "signed")
NO_INDEX = -100  # the index that rows to leave out carry where nothing is said
POSITIVE_SHARE = Parameter("alpha", 0.5, Interval(0.0, 1.0, low_closed=True, high_closed=True))
_SHARE = Interval(0.0, 1.0, low_closed=True)
_WIDE = torch.iinfo(torch.int64)
# Dtypes with the arithmetic that losses need, the commonest first. Eight-bit floats and quantized
# numbers have none.
FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
INTEGERS = (
    torch.int64, torch.int32, torch.uint8, torch.int16, torch.int8,
    torch.uint16, torch.uint32, torch.uint64,
)  # fmt: skip


def shown(value: Any) -> str:
    """A value for the end of a sentence: what it is, in few words."""
    if isinstance(value, Tensor):
        return f"a tensor of {value.dtype}"
    text = repr(value)
    return f"{type(value).__name__}" if len(text) > 60 or "\n" in text else text


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
    if value.layout is not torch.strided:
        kind = str(value.layout).removeprefix("torch.").removeprefix("_")
        raise DtypeError(
            f"{name}: {argument} has the layout {kind}; a loss needs a plain tensor. Use "
            f"{argument}.to_dense()."
        )


def reduction(name: str, value: Any) -> str:
    """One of three."""
    if not isinstance(value, str) or value not in REDUCTIONS:
        raise InputError(
            f'{name}: reduction={shown(value)} is not known. Use "mean" (total / mass), "sum" '
            '(total) or "none".'
        )
    return value


def labels(name: str, value: Any) -> str:
    """What a binary target holds."""
    if not isinstance(value, str) or value not in LABELS:
        raise InputError(
            f'{name}: labels={shown(value)} is not known. Use "binary" (0 … 1) or "signed" (±1).'
        )
    return value


def smoothing(name: str, value: Any) -> float:
    """A number in [0, 1)."""
    number = as_number(value)
    if number is None or number not in _SHARE:
        raise ParameterError(
            f"{name}: label_smoothing = {shown(value)} is outside [0, 1); it is a number, 0 for no "
            "smoothing."
        )
    return number


def index(name: str, value: Any) -> int:
    """A class index that rows to leave out carry: any int64, NumPy's included."""
    if type(value) is not int and (
        isinstance(value, bool) or not isinstance(value, numbers.Integral)
    ):
        raise InputError(
            f"{name}: ignore_index must be an int, got {type(value).__name__} ({shown(value)}). "
            f"{NO_INDEX} is the default; no row has to carry it."
        )
    number = int(value)
    if not _WIDE.min <= number <= _WIDE.max:
        raise InputError(
            f"{name}: ignore_index = {number} is no int64, so no class index equals it. Leave it "
            f"out ({NO_INDEX}) if no row is to be dropped."
        )
    return number


def index_beside(name: str, number: int, soft: bool) -> None:
    """A distribution has no index by which its row could be dropped."""
    if soft and number >= 0:
        raise InputError(
            f"{name}: ignore_index = {number}, but the target is a distribution over classes, "
            "which has no index, so no row would be dropped. Use mask= for rows to leave out, "
            f"class_weight= with a 0 for class {number}, or target.long() for class indices."
        )


def count(name: str, argument: str, value: Any) -> int:
    """A whole number from 1, NumPy's included."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or not 1 <= value <= _WIDE.max:
        raise ParameterError(
            f"{name}: {argument} = {shown(value)}; it must be a whole number >= 1."
        )
    return int(value)


def positive_share(name: str, value: Any) -> Any:
    """The weight of the positive class, in [0, 1]; a tensor is kept as it is."""
    if isinstance(value, Tensor):
        return parameter(name, POSITIVE_SHARE, value)
    number = as_number(value)
    if number is None or number not in POSITIVE_SHARE.domain:
        raise ParameterError(
            f"{name}: alpha = {shown(value)} is outside [0, 1]. It is the weight of the positive "
            "class (the negative class gets 1 - alpha); None weights both by 1."
        )
    return number


def parameter(name: str, spec: Parameter, value: Any) -> Any:
    """A number inside its domain, or a floating tensor inside it, kept as it is."""
    if not isinstance(value, Tensor):
        return spec.check(value, name)
    if value.dtype not in FLOATS:
        raise ParameterError(
            f"{name}: {spec.name} is a tensor of {value.dtype}; it must be a floating tensor."
        )
    dense(name, spec.name, value)
    values.inside(name, spec, value)
    return value


def one_per_class(name: str, argument: str, value: Any) -> Tensor:
    """A floating tensor; the caller says how many classes there are."""
    if not isinstance(value, Tensor) or value.dtype not in FLOATS:
        got = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise DtypeError(
            f"{name}: {argument} must be a floating tensor, got {got}. Use torch.as_tensor([...]) "
            "with one float for each class."
        )
    dense(name, argument, value)
    return value


def no_scalar_alpha(name: str, value: Any) -> None:
    """One number for all classes says nothing: the reason, in words."""
    scalar = isinstance(value, Tensor) and value.dim() == 0
    if scalar or as_number(value) is not None:
        given = f"{value.item():g}" if scalar and readable(value) else shown(value)
        raise ParameterError(
            f"{name}: alpha = {given} is one number, and with several classes it would only "
            "multiply every loss alike, as a learning rate does. Give one weight for each class, "
            "alpha=torch.tensor([...]), or None. The pair alpha and 1 - alpha belongs to two "
            "classes: see binary_focal."
        )


def check(loss: Linked, name: str, argument: str, value: Any) -> Any:
    """Any setting of a loss by its name, as the loss takes it, before there is a batch."""
    for spec in loss.formula.parameters:
        if spec.name == argument:
            return parameter(name, spec, value)
    if argument in _WORDS:
        return _WORDS[argument](name, value)
    if value is not None and argument == "alpha" and not loss.classes:
        return positive_share(name, value)
    if value is not None and argument in ("alpha", "class_weight"):
        if argument == "alpha":
            no_scalar_alpha(name, value)
        one_per_class(name, argument, value)
        if value.dim() != 1:
            raise ParameterError(
                f"{name}: {argument} has shape {tuple(value.shape)}; give one weight for each "
                "class, shape (C,)."
            )
        values.non_negative(name, argument, value)
    return value


_WORDS = {
    "reduction": reduction, "labels": labels, "label_smoothing": smoothing, "ignore_index": index,
}  # fmt: skip
