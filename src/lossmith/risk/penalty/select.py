"""Which parameters a penalty sees: from a model, a dict or a list, each shared one once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from lossmith.errors import DtypeError, InputError

Rule = str | type[nn.Module] | Callable[["Found"], bool]
Rules = Rule | Iterable[Rule] | None
NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm)


@dataclass(frozen=True)
class Found:
    """One parameter: its name, itself, and the layer that holds it (None where none is known)."""

    name: str
    parameter: Tensor
    layer: nn.Module | None = None


def no_bias_no_norm(found: Found) -> bool:
    """The default: a model's parameters but for biases and those of normalisation layers."""
    if found.layer is None:
        return True  # picked by hand
    return "bias" not in found.name.rpartition(".")[2] and not isinstance(found.layer, NORMS)


def select(who: str, parameters: Any, only: Rules = None, skip: Rules = None) -> list[Found]:
    """The parameters to penalise, in order; frozen ones (requires_grad False) are left out."""
    chosen = find(who, parameters, only, skip)
    if not chosen:
        raise InputError(
            f"{who}: no parameter is left to penalise. By default biases, normalisation layers and "
            "frozen parameters are left out; choose with only= and skip= (a name or a part of one "
            "with *, a layer's class, or a function of name, parameter and layer)."
        )
    return chosen


def find(who: str, parameters: Any, only: Rules = None, skip: Rules = None) -> list[Found]:
    """The same where there may be none."""
    seen: set[int] = set()
    chosen = []
    for found in _walk(who, parameters):
        if id(found.parameter) in seen:
            continue
        keep = no_bias_no_norm(found) if only is None else _any(who, only, found)
        if keep and skip is not None and _any(who, skip, found):
            keep = False
        if keep:
            # A parameter that one layer shields and another offers is offered.
            seen.add(id(found.parameter))
            chosen.append(found)
    return chosen


def _walk(who: str, parameters: Any) -> Iterator[Found]:
    if isinstance(parameters, nn.Module):
        for prefix, layer in parameters.named_modules(remove_duplicate=False):
            for name, parameter in layer.named_parameters(recurse=False):
                if parameter.requires_grad:
                    full = f"{prefix}.{name}" if prefix else name
                    yield Found(full, parameter, layer)
        return
    if isinstance(parameters, Tensor):
        parameters = [parameters]
    if isinstance(parameters, Mapping):
        pairs: Iterable[tuple[str, Any]] = parameters.items()
    elif isinstance(parameters, Iterable):
        listed = list(parameters)
        named = all(isinstance(p, tuple) and len(p) == 2 for p in listed)
        pairs = listed if named else [(str(i), p) for i, p in enumerate(listed)]
    else:
        raise DtypeError(
            f"{who}: parameters is {type(parameters).__name__}; give a model (an nn.Module), an "
            "iterable of tensors, or a dict of them by name."
        )
    for name, parameter in pairs:
        if not isinstance(parameter, Tensor) or not parameter.is_floating_point():
            what = getattr(parameter, "dtype", type(parameter).__name__)
            raise DtypeError(f"{who}: parameter {name!r} is {what}; it must be a floating tensor.")
        yield Found(str(name), parameter)


def _any(who: str, rules: Rules, found: Found) -> bool:
    if isinstance(rules, str | type) or callable(rules):
        rules = [rules]
    return any(_matches(who, rule, found) for rule in rules or ())


def _matches(who: str, rule: Any, found: Found) -> bool:
    if isinstance(rule, str):
        from fnmatch import fnmatchcase

        return fnmatchcase(found.name, rule) or found.name.startswith(rule + ".")
    if isinstance(rule, type):
        return isinstance(found.layer, rule)
    if callable(rule):
        return bool(rule(found))
    raise DtypeError(
        f"{who}: only= and skip= take names (* stands for anything), classes of layers, or "
        f"functions of (name, parameter, layer) as one object; got {type(rule).__name__}."
    )
