"""What a function's head declares: the name of a loss, its variables, its parameters.

Of one variable it is `def name(u, c: Positive = 1.0)`; of several, what has a domain and no default
is a variable, as tp and both others of
`def dice(tp: NonNegative, fp: NonNegative, fn: NonNegative, smooth: NonNegative = 0.0)`.
"""

from __future__ import annotations

import inspect
import keyword
import numbers
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from lossmith.errors import FormulaError
from lossmith.formula.domain import Interval
from lossmith.formula.parameter import Parameter, Scale, Variable

_GATHERING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
MOST = 8  # variables of one formula


def check_name(function: Any, kind: str) -> None:
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


def of_one(function: Callable[..., Any]) -> tuple[Parameter, ...]:
    """The parameters of a function of u, which comes first, whatever it is called there."""
    name, given = function.__name__, _signature(function)
    if not given:
        raise FormulaError(f"{name}: a formula is a function of u first; write def {name}(u, ...).")
    hints = _hints(function)
    return tuple(_parameter(name, p, hints.get(p.name)) for p in given[1:])


def of_several(function: Callable[..., Any]) -> tuple[tuple[Variable, ...], tuple[Parameter, ...]]:
    """The variables and the parameters of a function of several variables."""
    name, given, hints = function.__name__, _signature(function), _hints(function)
    first = [p for p in given if p.default is inspect.Parameter.empty]
    variables = tuple(Variable(p.name, *_domain(name, p.name, hints.get(p.name))) for p in first)
    if not 1 <= len(variables) <= MOST:
        raise FormulaError(
            f"{name}: {len(variables)} variables; a formula has 1 to {MOST}. What has a domain and "
            f"no default is one: def {name}(x: lossmith.Real, y: lossmith.Real, c: "
            "lossmith.Positive = 1.0)."
        )
    if any(v.name == "u" for v in variables):
        raise FormulaError(
            f"{name}: u is the variable of formulas that have one; of several, give each the name "
            "of what it is."
        )
    rest = (p for p in given if p not in first)
    return variables, tuple(_parameter(name, p, hints.get(p.name)) for p in rest)


def _signature(function: Callable[..., Any]) -> list[inspect.Parameter]:
    name, given = function.__name__, [*inspect.signature(function).parameters.values()]
    if gathering := [p for p in given if p.kind in _GATHERING]:
        raise FormulaError(
            f"{name}: {gathering[0]} gathers arguments without names; name every parameter, for "
            f"example def {name}(u, c: lossmith.Positive = 1.0)."
        )
    return given


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, AttributeError, TypeError, SyntaxError) as err:
        raise FormulaError(f"{function.__name__}: an annotation cannot be read ({err}).") from err


def _domain(loss: str, name: str, hint: Any) -> tuple[Interval, str]:
    """Where a number lies, by its annotation, and what is said of it there."""
    extras = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    domain = next((e for e in extras if isinstance(e, Interval)), None)
    if domain is None:
        raise FormulaError(
            f"{loss}: parameter {name!r} has no domain. Annotate it, for example "
            f"{name}: lossmith.Positive = 1.0 (also NonNegative, Fraction, Real, or "
            f"Annotated[float, lossmith.Interval(low, high)])."
        )
    return domain, next((e for e in extras if isinstance(e, str)), "")


def _parameter(loss: str, parameter: inspect.Parameter, hint: Any) -> Parameter:
    name, default = parameter.name, parameter.default
    if name == "u":
        raise FormulaError(
            f"{loss}: a parameter cannot be called u, as the variable is everywhere. Call the "
            f"variable u and the parameter by another name: def {loss}(u, c: …)."
        )
    domain, why = _domain(loss, name, hint)
    if default is inspect.Parameter.empty:
        raise FormulaError(
            f"{loss}: parameter {name!r} has no default. Give it one inside {domain}, "
            f"so that {loss}(prediction, target) works as it stands."
        )
    if not isinstance(default, numbers.Real):
        raise FormulaError(
            f"{loss}: the default of {name!r} is no real number, but "
            f"{type(default).__name__}; give one inside {domain}."
        )
    checked = Parameter(name, float(default), domain, why)
    checked.check(checked.default, loss)
    return checked


def check_scale(loss: str, scale: Scale, shape: tuple[Parameter, ...], variables: int) -> None:
    """A scale is one more parameter, in the unit of the one variable."""
    name = scale.name
    if variables:
        raise FormulaError(
            f"{loss}: a scale is the unit of one variable; of {variables}, divide by a parameter "
            "in the formula."
        )
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
