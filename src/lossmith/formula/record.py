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
import keyword
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from lossmith.errors import FormulaError, ParameterError
from lossmith.formula.domain import Interval, as_number

_KEYWORD = inspect.Parameter.KEYWORD_ONLY
_GATHERING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
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
    title: str = ""  # the name in a sentence: people with a capital, compounds with a hyphen
    start: str = ""  # the convex relative that training begins with, where this one may get stuck
    balanced: bool = False  # takes alpha: of the positive class, or one for each class
    builtin: bool = field(default=False, repr=False)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every parameter in the order of the call: the shape's, then the scale."""
        return self.shape + ((self.scale.parameter,) if self.scale else ())

    def of(self, u: Any, shape: Sequence[Any]) -> Any:
        """The function called with these shape parameters, in the order of the record."""
        kinds = inspect.signature(self.function).parameters
        named = {p.name: v for p, v in zip(self.shape, shape, strict=True)}
        by_name = {n: v for n, v in named.items() if kinds[n].kind is _KEYWORD}
        return self.function(u, *(v for n, v in named.items() if n not in by_name), **by_name)

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
    ) -> Any:
        if function is None:
            return lambda f: decorate(
                f, scale=scale, cite=cite, twin=twin, title=title, start=start, balanced=balanced
            )
        _check_name(function, kind)
        shape = _read_parameters(function)
        if scale is not None:
            _check_scale(function.__name__, scale, shape)
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
            # Run by exec without a __name__, a function has no module.
            builtin=(function.__module__ or "").startswith("lossmith.formula."),
        )

    decorate.__name__ = decorate.__qualname__ = kind
    return decorate


def _check_name(function: Any, kind: str) -> None:
    """A loss is called, printed and stored by the name of its function."""
    if not inspect.isfunction(function):
        raise FormulaError(
            f"{kind}() makes a loss of a function, got {type(function).__name__}; write "
            "def name(u, ...): return …"
        )
    name = function.__name__
    if not name.isidentifier() or keyword.iskeyword(name):
        raise FormulaError(
            f"{name}: a loss takes its name from its function, and this is no name. Write "
            "def name(u, ...): return … instead of a lambda."
        )


def _read_parameters(function: Callable[..., Any]) -> tuple[Parameter, ...]:
    name = function.__name__
    signature = inspect.signature(function)
    names = list(signature.parameters)
    gathering = [p for p in signature.parameters.values() if p.kind in _GATHERING]
    if gathering:
        raise FormulaError(
            f"{name}: {gathering[0]} gathers arguments without names; name every parameter, for "
            f"example def {name}(u, c: lossmith.Positive = 1.0)."
        )
    if not names:
        raise FormulaError(f"{name}: a formula is a function of u first; write def {name}(u, ...).")
    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, AttributeError, TypeError, SyntaxError) as err:
        raise FormulaError(f"{name}: an annotation cannot be read ({err}).") from err
    return tuple(_read_parameter(name, signature.parameters[n], hints.get(n)) for n in names[1:])


def _read_parameter(loss: str, parameter: inspect.Parameter, hint: Any) -> Parameter:
    if parameter.name == "u":
        raise FormulaError(
            f"{loss}: a parameter cannot be called u, as the variable is everywhere. Call the "
            f"variable u and the parameter by another name: def {loss}(u, c: …)."
        )
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
    if not isinstance(parameter.default, numbers.Real):
        raise FormulaError(
            f"{loss}: the default of {parameter.name!r} is no real number, but "
            f"{type(parameter.default).__name__}; give one inside {domain}."
        )
    checked = Parameter(parameter.name, float(parameter.default), domain, why)
    checked.check(checked.default, loss)
    return checked


def _check_scale(loss: str, scale: Scale, shape: tuple[Parameter, ...]) -> None:
    name = scale.name
    if (
        not name.isidentifier()
        or keyword.iskeyword(name)
        or name in ("u", *(p.name for p in shape))
    ):
        raise FormulaError(
            f"{loss}: a scale cannot be called {name!r}; it is an argument of the loss, so give it "
            "a Python name that no other parameter has."
        )
    if not isinstance(scale.default, numbers.Real) or not isinstance(scale.power, int):
        raise FormulaError(
            f"{loss}: Scale(name, default, power) takes a number above 0 and a whole power, got "
            f"{scale.default!r} and {scale.power!r}."
        )
    scale.parameter.check(scale.default, loss)


residual = family("residual")
margin = family("margin")
probability = family("probability")
divergence = family("divergence")
