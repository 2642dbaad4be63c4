"""A loss that is handed to another: what its Module brings along, and what is said beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lossmith.errors import ArgumentError, InputError
from lossmith.face import names, settings
from lossmith.link.link import Linked
from lossmith.link.options import (
    CLASS_ALPHA,
    CLASS_WEIGHT,
    IGNORE_INDEX,
    LABEL_SMOOTHING,
    REDUCTION,
)

DEFAULTS: dict[str, Any] = {
    option.name: option.default
    for option in (CLASS_WEIGHT, LABEL_SMOOTHING, IGNORE_INDEX, REDUCTION)
}


def options(
    owner: str, loss: Linked, given: Mapping[str, Any], brought: Mapping[str, Any]
) -> dict[str, Any]:
    """Options of the call over those of a Module; two that differ are not ours to choose from."""
    made = {}
    for name, default in DEFAULTS.items():
        if name in given:
            here = settings.check(loss, owner, name, given[name])
            there = brought.get(name, default)
            made[name] = there if _same(here, default) else _one(owner, name, here, there, default)
    return made


def parameters(
    owner: str, loss: Linked, given: Mapping[str, Any], brought: Mapping[str, Any]
) -> tuple[dict[str, Any], Any]:
    """The parameters of a loss in the order of its formula, by name and checked; and its alpha.

    A name that is no parameter is an error that lists those there are.
    """
    formula, here = loss.formula, dict(given)
    for word in here.keys() - formula.defaults.keys() - {"alpha"}:
        if said := names.meant(word, (*DEFAULTS, "sample_weight")):
            raise ArgumentError(f"{owner}: there is no argument {word!r}. Use {said}.")
    alpha = brought.get("alpha")
    if loss.takes(CLASS_ALPHA) and "alpha" in here:
        alpha = _one(owner, "alpha", here.pop("alpha"), alpha, None)
    own = {p.name: brought[p.name] for p in formula.parameters if p.name in brought}
    for p in formula.parameters:
        if p.name in here and p.name in own:
            here[p.name] = _one(owner, p.name, here[p.name], own[p.name], p.default)
    own |= here
    tensors = {k: v for k, v in own.items() if isinstance(v, Tensor)}
    bound = formula.bind({k: v for k, v in own.items() if k not in tensors})
    if unknown := tensors.keys() - bound.keys():
        formula.bind(dict.fromkeys(unknown, 0.0))  # its error lists the names
    return {name: tensors.get(name, value) for name, value in bound.items()}, alpha


def _one(owner: str, name: str, here: Any, there: Any, default: Any) -> Any:
    if _same(there, default) or _same(there, here):
        return here
    raise InputError(
        f"{owner}: {name} is given here and in the loss Module. {name} is {short(here)} here and "
        f"{short(there)} there: give it in one place."
    )


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    return not isinstance(a, Tensor) and not isinstance(b, Tensor) and (a == b) is True


def short(value: Any) -> str:
    """A setting in few words."""
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
