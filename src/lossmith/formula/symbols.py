"""The symbols of a record: its variables, which are told apart from its parameters."""

from __future__ import annotations

from typing import Any

import sympy as sp

from lossmith.formula.record import Formula

Expr = Any
U = sp.Symbol("u", real=True)


class VariableSymbol(sp.Symbol):
    """One of several variables; the one variable of most formulas is U."""


def symbol(name: str, positive: bool) -> Expr:
    return sp.Symbol(name, real=True, positive=positive or None)


def symbols(formula: Formula) -> dict[str, Expr]:
    """The symbols of every parameter, scale included."""
    return {
        p.name: symbol(p.name, p.domain.low >= 0 and 0 not in p.domain) for p in formula.parameters
    }


def variables(formula: Formula) -> tuple[Expr, ...]:
    """The symbols of the variables, in the order of the record."""
    if not formula.several:
        return (U,)
    above = {v.name: v.domain.low >= 0 and 0 not in v.domain for v in formula.several}
    return tuple(VariableSymbol(n, real=True, positive=p or None) for n, p in above.items())


def moving(expression: Expr) -> set[Expr]:
    """The variables in an expression, not its parameters."""
    return {s for s in expression.free_symbols if s == U or isinstance(s, VariableSymbol)}
