"""A loss, written once: name, expression, parameters with their domains, and where it comes from.

Conventions of this floor:
- ψ is a function of one real number u. What u is, the family says: a residual
  `prediction - target`, a margin (positive when right), a log-probability (≤ 0), or the log of
  a ratio of two probabilities.
- No halves are added or dropped: ψ is exactly the expression in the record.
- A scale s belongs to residuals whose ψ(r) = s^power · ψ₀(r / s); the expression is ψ₀ and stays
  free of s. The unit of s is the unit of the residual.
- At a kink the slope is that of the branch whose condition holds there.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from lossmith.errors import FormulaError, ParameterError
from lossmith.formula.domain import Interval, as_number

Family = Literal["residual", "margin", "probability", "divergence"]


@dataclass(frozen=True)
class Parameter:
    """A named number of a loss: where it may lie, what it is by default, and why."""

    name: str
    default: float
    domain: Interval
    why: str = ""

    def check(self, value: Any, loss: str) -> float:
        """Return `value` as a float, or say why it cannot be this parameter."""
        number = as_number(value)
        if number is None:
            raise ParameterError(
                f"{loss}: {self.name} must be a real number or a tensor, "
                f"got {type(value).__name__}. It lies in {self.domain}, default {self.default:g}."
            )
        if not -math.inf < number < math.inf or number not in self.domain:  # and not NaN
            raise ParameterError(
                f"{loss}: {self.name} = {number:g} is outside {self.domain}. "
                f"The default is {self.default:g}."
            )
        return number


@dataclass(frozen=True)
class Scale:
    """ψ(r) = s^power · ψ₀(r / s): the parameter s, in units of the residual, and the power."""

    name: str
    default: float
    power: int
    why: str = ""

    @property
    def parameter(self) -> Parameter:
        return Parameter(self.name, self.default, Interval(low=0.0), self.why)


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
    balanced: bool = False  # takes alpha: of the positive class, or one for each class
    builtin: bool = field(default=False, repr=False)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every parameter in the order of the call: the shape's, then the scale."""
        return self.shape + ((self.scale.parameter,) if self.scale else ())

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
        balanced: bool = False,
    ) -> Any:
        if function is None:
            return lambda f: decorate(f, scale=scale, cite=cite, twin=twin, balanced=balanced)
        return Formula(
            name=function.__name__,
            family=kind,
            function=function,
            shape=_read_parameters(function),
            scale=scale,
            cite=cite,
            doc=inspect.getdoc(function) or "",
            twin=twin,
            balanced=balanced,
            builtin=function.__module__.startswith("lossmith.formula."),
        )

    decorate.__name__ = decorate.__qualname__ = kind
    return decorate


def _read_parameters(function: Callable[..., Any]) -> tuple[Parameter, ...]:
    name = function.__name__
    signature = inspect.signature(function)
    names = list(signature.parameters)
    if not names:
        raise FormulaError(f"{name}: a formula is a function of u first; write def {name}(u, ...).")
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as err:
        raise FormulaError(f"{name}: an annotation cannot be read ({err}).") from err
    return tuple(_read_parameter(name, signature.parameters[n], hints.get(n)) for n in names[1:])


def _read_parameter(loss: str, parameter: inspect.Parameter, hint: Any) -> Parameter:
    extras = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    domain = next((e for e in extras if isinstance(e, Interval)), None)
    if domain is None:
        raise FormulaError(
            f"{loss}: parameter {parameter.name!r} has no domain. Annotate it, for example "
            f"{parameter.name}: lossmith.Positive = 1.0 (also NonNegative, Fraction, Real, or "
            f"Annotated[float, lossmith.Interval(low, high)])."
        )
    if parameter.default is inspect.Parameter.empty:
        raise FormulaError(
            f"{loss}: parameter {parameter.name!r} has no default. Give it one inside {domain}, "
            f"so that {loss}(prediction, target) works as it stands."
        )
    why = next((e for e in extras if isinstance(e, str)), "")
    checked = Parameter(parameter.name, float(parameter.default), domain, why)
    checked.check(checked.default, loss)
    return checked


residual = family("residual")
margin = family("margin")
probability = family("probability")
divergence = family("divergence")
