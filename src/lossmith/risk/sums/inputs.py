"""Which inputs a term takes, and under which names: read from its signature, once."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from lossmith.errors import InputError
from lossmith.face.modules import Loss

_POSITIONAL = inspect.Parameter.POSITIONAL_ONLY
_MANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class Wire:
    """One argument of a term, the input of the objective that it gets, and whether it must.

    The logits of a CrossEntropy may be called the prediction, too, as they are of every loss.
    """

    word: str  # what the term calls it
    also: str
    source: str | None  # None: left out
    required: bool


Wires = tuple[Wire, ...]


def read(name: str, term: Callable[..., Any]) -> Wires:
    """The arguments of a term, each taken from an input of the same name."""
    called = term.forward if isinstance(term, nn.Module) else term
    try:
        parameters = inspect.signature(called).parameters.values()
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Objective: the inputs of {name} cannot be read ({error}). Wrap it in a function "
            "with named arguments."
        ) from error
    wires: list[Wire] = []
    for p in parameters:
        if p.kind in _MANY:
            continue
        if p.kind == _POSITIONAL:
            raise InputError(
                f"Objective: {name} takes {p.name!r} by position only, but inputs go by name. "
                "Wrap it in a function with named arguments."
            )
        also = "prediction" if not wires and isinstance(term, Loss) else p.name
        wires.append(Wire(p.name, also, p.name, p.default is p.empty))
    return tuple(wires)


def bound(name: str, wires: Wires, names: Mapping[str, str | None]) -> Wires:
    """The same arguments from inputs of other names."""
    known = {name: w for w in reversed(wires) for name in words(w)}
    known |= {w.word: w for w in wires}
    made = {w.word: w for w in wires}
    for old, new in names.items():
        if old not in known:
            raise InputError(
                f"Objective: {name} has no input {old!r}{near(old, known)}. Its inputs are "
                f"{listed(w.word for w in wires)}."
            )
        wire = known[old]
        if new is None and wire.required:
            raise InputError(
                f"Objective: {name} needs its input {wire.word!r}; only an optional one can be "
                "left out with None."
            )
        if new is not None and (not isinstance(new, str) or not new.isidentifier()):
            raise InputError(
                f"Objective: {name}: {old}={new!r}; the name of an input is a word such as "
                '"coarse_logits". Tensors are given in the call of the objective.'
            )
        made[wire.word] = replace(wire, source=new)
    return tuple(made.values())


def words(wire: Wire) -> tuple[str, ...]:
    """What a person may call it."""
    own = (wire.word, wire.also)
    return own if wire.source is None else (*own, wire.source)


def gather(name: str, wires: Wires, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What a term is called with; a missing input is an error that names both."""
    for wire in wires:
        if wire.required and wire.source not in inputs:
            word = "" if wire.word == wire.source else f" as its {wire.word}"
            raise InputError(
                f"Objective: {name} needs the input {wire.source!r}{word}, which is missing. "
                f"Given: {listed(inputs)}. Give {wire.source}=…, or take another input with "
                f".on({wire.word}=…)."
            )
    return present(wires, inputs)


def present(wires: Wires, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Those arguments of a term that the inputs hold."""
    return {w.word: inputs[w.source] for w in wires if w.source in inputs}  # type: ignore[index]


def refuse_unused(inputs: Iterable[str], users: Mapping[str, Iterable[str]]) -> None:
    """An input that no term takes is a slip of the pen until shown otherwise."""
    for given in inputs:
        if given not in users:
            raise InputError(
                f"Objective: no term takes the input {given!r}{near(given, users)}. The inputs "
                "are "
                + "; ".join(f"{name} ({', '.join(terms)})" for name, terms in users.items())
                + "."
            )


def near(word: str, known: Iterable[str]) -> str:
    """A guess at what was meant."""
    found = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def listed(names: Iterable[str]) -> str:
    """Names in words."""
    return ", ".join(names) or "none"


def name_of(term: Any) -> str:
    """What a term is called if nobody gave it a name: CenterLoss → center_loss."""
    if isinstance(term, Loss):
        return term.loss.name
    if isinstance(term, nn.Module) or not hasattr(term, "__name__"):
        word = getattr(term, "called", type(term).__name__)
    else:
        word = str(term.__name__)
    word = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", word.strip("_")).lower()
    return word if word.isidentifier() else "term"  # a lambda has no name
