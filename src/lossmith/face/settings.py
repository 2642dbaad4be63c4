"""One setting at a time: a number, a word or a tensor, as the loss takes it, or why it cannot be.

Functions ask here when they are called, Modules when they are made, so that both refuse the same.
NumPy's numbers are numbers; True and False are none, for they are nearly always in a wrong place.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lossmith.engine.looking import readable
from lossmith.errors import DtypeError, InputError, ParameterError
from lossmith.face import values
from lossmith.formula.domain import as_number
from lossmith.formula.record import Parameter
from lossmith.link.dtypes import FLOATS as FLOATS
from lossmith.link.dtypes import INTEGERS as INTEGERS
from lossmith.link.link import Linked
from lossmith.link.options import (
    IGNORE_INDEX,
    LABEL_SMOOTHING,
    REDUCTION,
    Index,
    Number,
    Option,
    PerClass,
    Words,
)
from lossmith.link.shapes import dense as dense
from lossmith.link.shapes import no_tensor as no_tensor

REDUCTIONS = ("mean", "sum", "none")
NO_INDEX: int = IGNORE_INDEX.default  # what rows to leave out carry where nothing is said
_WIDE = torch.iinfo(torch.int64)


def shown(value: Any) -> str:
    """A value for the end of a sentence: what it is, in few words."""
    if isinstance(value, Tensor):
        return f"a tensor of {value.dtype}"
    text = repr(value)
    return f"{type(value).__name__}" if len(text) > 60 or "\n" in text else text


def option(name: str, option: Option, value: Any) -> Any:
    """An option as a loss takes it, before there is a batch; None, where that is the default."""
    if value is None and option.default is None:
        return None
    return _KINDS[type(option.takes)](name, option, value)


def _word(name: str, option: Option, value: Any) -> str:
    if not isinstance(value, str) or value not in option.takes.allowed:  # type: ignore[union-attr]
        raise InputError(f"{name}: {option.name}={shown(value)} is not known.{option.remedy}")
    return value


def _number(name: str, option: Option, value: Any) -> Any:
    domain, learned = option.takes.domain, option.takes.learned  # type: ignore[union-attr]
    if learned and isinstance(value, Tensor):
        return parameter(
            name, Parameter(option.name, (domain.low + domain.high) / 2, domain), value
        )
    number = as_number(value)
    if number is None or number not in domain:
        raise ParameterError(
            f"{name}: {option.name} = {shown(value)} is outside {domain}{option.remedy}"
        )
    return number


def reduction(name: str, value: Any) -> str:
    """One of three."""
    return _word(name, REDUCTION, value)


def smoothing(name: str, value: Any) -> float:
    """A number in [0, 1)."""
    number: float = _number(name, LABEL_SMOOTHING, value)
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


def by_class(name: str, option: Option, value: Any) -> Tensor:
    """The same for an option, and the reason in words where one number for all says nothing."""
    scalar = isinstance(value, Tensor) and value.dim() == 0
    if (reason := option.takes.not_one) and (scalar or as_number(value) is not None):  # type: ignore[union-attr]
        given = f"{value.item():g}" if scalar and readable(value) else shown(value)
        raise ParameterError(f"{name}: {option.name} = {given} is one number, and {reason}")
    return one_per_class(name, option.name, value)


_KINDS: dict[type, Callable[[str, Option, Any], Any]] = {
    Words: _word,
    Number: _number,
    Index: lambda name, _, value: index(name, value),
    PerClass: by_class,
}


def check(loss: Linked, name: str, argument: str, value: Any) -> Any:
    """Any setting of a loss by its name, as the loss takes it, before there is a batch."""
    for spec in loss.formula.parameters:
        if spec.name == argument:
            return parameter(name, spec, value)
    for each in (*loss.options, REDUCTION):
        if each.name != argument:
            continue
        value = option(name, each, value)
        if value is not None and isinstance(each.takes, PerClass):
            if value.dim() != 1:
                raise ParameterError(
                    f"{name}: {argument} has shape {tuple(value.shape)}; give one weight for each "
                    "class, shape (C,)."
                )
            values.non_negative(name, argument, value)
        break
    return value
