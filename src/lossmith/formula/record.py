"""A loss, written once: name, expression, parameters with their domains, and where it comes from.

Conventions of this floor:
- ψ is a function of one real number u. What u is, the family says: a residual
  `prediction - target`, a margin (positive when right), a log-probability (≤ 0), or the log of
  a ratio of two probabilities. The family `several` has up to eight variables with names.
- No halves are added or dropped: ψ is exactly the expression in the record.
- A scale s belongs to residuals whose ψ(r) = s^power · ψ₀(r / s); the expression is ψ₀ and stays
  free of s. The unit of s is the unit of the residual.
- At a kink the slope is that of the branch whose condition holds there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from lossmith.errors import ParameterError
from lossmith.formula.declared import check_name, check_scale, of_one, of_several
from lossmith.formula.domain import Interval
from lossmith.formula.parameter import Parameter as Parameter
from lossmith.formula.parameter import Scale as Scale
from lossmith.formula.parameter import Variable

_KEYWORD = inspect.Parameter.KEYWORD_ONLY
_NOT_ABOVE_0 = Interval(high=0.0, high_closed=True)
Family = Literal["residual", "margin", "probability", "divergence", "several"]


@dataclass(frozen=True, eq=False)
class Formula:
    """One loss formula. Everything else in the library is derived from such a record."""

    name: str
    family: Family
    function: Callable[..., Any]
    shape: tuple[Parameter, ...]  # the parameters inside ψ₀
    scale: Scale | None = None
    cite: str = ""
    doc: str = ""
    twin: str = ""
    title: str = ""  # the name in a sentence: people with a capital, compounds with a hyphen
    start: str = ""  # the convex relative that training begins with, where this one may get stuck
    balanced: bool = False  # takes alpha: of the positive class, or one for each class
    symmetric: bool = False  # a divergence that stays the same with its sides exchanged
    several: tuple[Variable, ...] = ()  # the variables, where it is not the one called u
    builtin: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        # Where it is, as of a function: pickles find a record there that stands under its name.
        object.__setattr__(self, "__module__", self.function.__module__)

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """What ψ is a function of, parameters apart."""
        below = self.family == "probability"
        return self.several or (Variable("u", _NOT_ABOVE_0 if below else Interval()),)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every parameter in the order of the call: the shape's, then the scale."""
        return self.shape + ((self.scale.parameter,) if self.scale else ())

    def of(self, variables: Sequence[Any], shape: Sequence[Any]) -> Any:
        """The function called with these variables and shape parameters, in the record's order."""
        kinds = inspect.signature(self.function).parameters
        first, with_names = ((), variables) if self.several else (variables, ())
        names = [*(v.name for v in self.several), *(p.name for p in self.shape)]
        named = dict(zip(names, (*with_names, *shape), strict=True))
        by_name = {n: v for n, v in named.items() if kinds[n].kind is _KEYWORD}
        by_place = (v for n, v in named.items() if n not in by_name)
        return self.function(*first, *by_place, **by_name)

    # How a record is pickled is said in the ledger, which knows the built-in ones.
    def __copy__(self) -> Formula:
        return self

    def __deepcopy__(self, memo: Any) -> Formula:
        return self

    @property
    def defaults(self) -> dict[str, float]:
        return {p.name: p.default for p in self.parameters}

    def bind(self, given: Mapping[str, float]) -> dict[str, float]:
        """Defaults overlaid with checked numbers; an unknown name is an error that lists ours."""
        known = {p.name: p for p in self.parameters}
        for name in given:
            if name not in known:
                offer = ", ".join(known) or "none"
                raise ParameterError(f"{self.name}: no parameter {name!r}. Parameters: {offer}.")
        return {
            n: p.check(given[n], self.name) if n in given else p.default for n, p in known.items()
        }


def family(kind: Family) -> Callable[..., Any]:
    """The decorator that turns a function of u into a record of one family."""

    def decorate(
        function: Callable[..., Any] | None = None,
        *,
        scale: Scale | None = None,
        cite: str = "",
        twin: str = "",
        title: str = "",
        start: str = "",
        balanced: bool = False,
        symmetric: bool = False,
    ) -> Any:
        if function is None:
            words = {"cite": cite, "twin": twin, "title": title, "start": start}
            return lambda f: decorate(
                f, scale=scale, balanced=balanced, symmetric=symmetric, **words
            )
        check_name(function, kind)
        variables, shape = of_several(function) if kind == "several" else ((), of_one(function))
        if scale is not None:
            check_scale(function.__name__, scale, shape, len(variables))
        return Formula(
            name=function.__name__,
            family=kind,
            function=function,
            shape=shape,
            scale=scale,
            cite=cite,
            doc=inspect.getdoc(function) or "",
            twin=twin,
            title=title or function.__name__.replace("_", " "),
            start=start,
            balanced=balanced,
            symmetric=symmetric,
            several=variables,
            # Run by exec without a __name__, a function has no module.
            builtin=(function.__module__ or "").startswith("lossmith.formula."),
        )

    decorate.__name__ = decorate.__qualname__ = kind
    return decorate


residual = family("residual")
margin = family("margin")
probability = family("probability")
divergence = family("divergence")
several = family("several")
