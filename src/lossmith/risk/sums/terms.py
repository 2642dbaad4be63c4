"""One term of a sum: what is called, under which name, with which inputs and which weight."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from lossmith.errors import InputError, LossmithError, ShapeError, UnsupportedError
from lossmith.risk.sums import inputs
from lossmith.risk.sums.inputs import Wires
from lossmith.risk.sums.weights import Constant, Scheduled, Weight


@dataclass(frozen=True)
class Rule:
    """A name, the inputs that the term of this name takes, and the number it is multiplied by."""

    name: str
    given: bool  # whether a person chose the name; others are numbered where they meet
    wires: Wires
    factor: float = 1.0

    @property
    def sources(self) -> tuple[str, ...]:
        """The inputs of the objective that this term looks at."""
        return tuple(w.source for w in self.wires if w.source is not None)


@dataclass(frozen=True)
class Term(Rule):
    """A rule with its Module, and a weight that is more than a number."""

    module: nn.Module = field(kw_only=True)
    weight: Weight | None = None

    def rule(self) -> Rule:
        """Without the Modules."""
        return Rule(self.name, self.given, self.wires, self.factor)

    def bound(self, names: dict[str, str | None]) -> Term:
        """The same term with inputs of other names."""
        return replace(self, wires=inputs.bound(self.name, self.wires, names))

    def formula(self) -> str:
        """Weight and call, without the sign of the factor."""
        taken = ", ".join(w.source for w in self.wires if w.required and w.source is not None)
        parts = [] if abs(self.factor) == 1.0 else [f"{abs(self.factor):g}"]
        if isinstance(self.weight, Scheduled):
            schedule = self.weight.schedule
            parts.append(getattr(schedule, "__name__", repr(schedule)))
        elif isinstance(self.weight, Constant):
            parts.append("weight")
        elif self.weight is not None:
            parts.append(repr(self.weight))
        return " * ".join([*parts, f"{self.name}({taken})"])


def component(name: str, module: nn.Module, given: dict[str, Any]) -> Tensor:
    """The component of a batch: a mean, or the value of a penalty."""
    return _one_number(name, named(name, module, **given))


def total(name: str, module: nn.Module, given: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """(total, mass) of a batch; a penalty counts 1 for each call."""
    pair = getattr(module, "total", None)
    if pair is None:
        if any(isinstance(v, Tensor) and not isinstance(v, nn.Parameter) for v in given.values()):
            raise UnsupportedError(
                f"Objective: {name} looks at a batch and has no total(…), so its mass is not known "
                "and means over micro-batches would be wrong. Use a loss of Lossmith, or give it "
                "a method total(…) that returns (total, mass)."
            )
        value = component(name, module, given)
        return value, value.detach().new_ones(())
    value, mass = named(name, pair, **given)
    return _one_number(name, value), mass.detach()


def named(name: str, function: Callable[..., Any], /, **given: Any) -> Any:
    """Call; an error of ours says which term it came from."""
    if torch.compiler.is_compiling():
        return function(**given)
    try:
        return function(**given)
    except LossmithError as error:
        said = str(error)
        if said.startswith("Objective: "):
            raise
        raise type(error)(f"Objective: {name}: {said}") from error


def _one_number(name: str, value: Any) -> Tensor:
    """Terms are added, so each is one number."""
    if not isinstance(value, Tensor):
        raise ShapeError(
            f"Objective: {name} gives {type(value).__name__}; a term gives a tensor of one number."
        )
    if value.dim():
        raise ShapeError(
            f"Objective: {name} gives shape {tuple(value.shape)}; a term gives one number. Use "
            'reduction="mean".'
        )
    return value


class Function(nn.Module):
    """A plain function as a Module, so that it can be a term."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        if hasattr(function, "total"):
            self.total = function.total

    def forward(self, **given: Any) -> Any:
        return self.function(**given)

    def extra_repr(self) -> str:
        return getattr(self.function, "__name__", repr(self.function))


def term(value: Any) -> Term:
    """A term from whatever can be one."""
    if isinstance(value, type):
        raise InputError(
            f"Objective: {value.__name__} is a class; a term is made of it with "
            f"{value.__name__}(…)."
        )
    if not isinstance(value, nn.Module) and isinstance(getattr(value, "Module", None), type):
        value = value.Module()  # one of our functions, with its defaults
    if isinstance(value, Tensor) or not callable(value):
        what = (
            f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
        )
        raise InputError(
            f"Objective: {what} is no term. Terms are losses, penalties and functions of named "
            "inputs; a number that is already computed is added to the result of the call."
        )
    reduction = getattr(value, "reduction", "mean")
    name = inputs.name_of(value)
    if reduction in ("sum", "none"):
        raise InputError(
            f'Objective: {name} has reduction="{reduction}". Components are means, so that a '
            'weight means the same at any batch size. Use reduction="mean", and '
            "objective.totals(…) for sums."
        )
    wires = inputs.read(name, value)
    module = value if isinstance(value, nn.Module) else Function(value)
    return Term(name, False, wires, module=module)


def numbered(terms: Iterable[Term], taken: Callable[[str], bool]) -> list[Term]:
    """Terms under names of which no two are the same: l2, l2_2, l2_3."""
    terms = list(terms)
    chosen = [t.name for t in terms if t.given]
    for name in chosen:
        if not isinstance(name, str) or not name.isidentifier() or taken(name):
            raise InputError(
                f"Objective: {name!r} cannot be the name of a term. Use a word such as 'coarse' "
                "that is not the name of a method of nn.Module or of the objective."
            )
        if chosen.count(name) > 1:
            raise InputError(f"Objective: two terms are called {name!r}; give each its own name.")
    used, made = set(chosen), []
    for t in terms:
        name = t.name
        if not t.given:
            base, number = inputs.name_of(_inner(t.module)), 1
            name = base if not taken(base) else f"{base}_term"
            while name in used:
                number += 1
                name = f"{base}_{number}"
            used.add(name)
        made.append(replace(t, name=name))
    return made


def _inner(module: nn.Module) -> Any:
    return module.function if type(module) is Function else module
