"""ψ of several variables: gradient vector and Hessian by the same calculus, and their numbers.

Each entry is an expression, and a program, of its own: written together, entries share parts, and
a product may then overflow before the factor that is 0. The Hessian is symmetric because an entry
and its mirror image are one expression.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lossmith.errors import InputError
from lossmith.formula.calculus import base, partial
from lossmith.formula.lowering import make
from lossmith.formula.numpy_math import function
from lossmith.formula.program import Program
from lossmith.formula.record import Formula

Expr = Any
Array = NDArray[np.float64]


class Derivatives(NamedTuple):
    """The value, its gradient (one entry for each variable, first), and its Hessian (two)."""

    value: Array
    gradient: Array
    hessian: Array


def gradient(formula: Formula) -> tuple[Expr, ...]:
    """∂ψ/∂v for every variable v, in the order of the record."""
    return tuple(partial(formula, v.name) for v in formula.variables)


def hessian(formula: Formula) -> tuple[tuple[Expr, ...], ...]:
    """∂²ψ/∂v∂w, row by row."""
    names = [v.name for v in formula.variables]
    return tuple(tuple(partial(formula, v, w) for w in names) for v in names)


def program(formula: Formula, expression: Expr) -> Program:
    """The program of ψ or one of its derivatives: variables first, then the parameters."""
    variables = tuple(v.name for v in formula.variables)
    return make((expression,), variables, tuple(p.name for p in formula.shape))


def derivatives(formula: Formula, *given: Any, **parameters: float) -> Derivatives:
    """Value, gradient and Hessian of ψ on NumPy arrays, in float64.

    Parameters:
        formula: a record.
        given: real numbers or arrays for each variable, in the order of the record.
        parameters: those of the record; defaults where left out.

    Errors:
        InputError for too few or too many variables. ParameterError for a parameter that is
        unknown or outside its domain.
    """
    names = [v.name for v in formula.variables]
    if formula.scale is not None:
        raise InputError(f"{formula.name} is a function of one variable and its scale; use curve.")
    if len(given) != len(names):
        raise InputError(
            f"{formula.name}: a function of {', '.join(names)}, got {len(given)} of them; give "
            "one number or array for each."
        )
    values = formula.bind(parameters)
    data = [*np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in given))]
    shape = [values[p.name] for p in formula.shape]

    def at(expression: Expr) -> Array:
        (found,) = function(program(formula, expression))(*data, *shape)
        result: Array = found
        return result

    slopes = [at(e) for e in gradient(formula)]
    above = {frozenset(pair): at(partial(formula, *pair)) for pair in _pairs(names)}
    bends = [[above[frozenset((v, w))] for w in names] for v in names]
    return Derivatives(at(base(formula)), np.stack(slopes), np.array(bends))


def _pairs(names: list[str]) -> Iterator[tuple[str, str]]:
    return itertools.combinations_with_replacement(names, 2)
