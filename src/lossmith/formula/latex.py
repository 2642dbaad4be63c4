"""A formula as people read it, printed from the record: LaTeX, or one line of plain text."""

from __future__ import annotations

import sympy as sp

from lossmith.formula.calculus import base
from lossmith.formula.printers import line, tex
from lossmith.formula.reading import Order, readable
from lossmith.formula.record import Formula


def latex(formula: Formula, order: Order = 0) -> str:
    """ψ, ψ' or ψ'' of a record as LaTeX, scale included; or its ∂ by the variables named."""
    return tex(readable(formula, order))


def text(formula: Formula, order: Order = 0) -> str:
    """ψ, ψ' or ψ'' of a record as one line of plain text, scale included."""
    parts = [value + (f" {when}" if when else "") for value, when in branches(formula, order)]
    return "; ".join(parts)


def branches(formula: Formula, order: Order = 0) -> list[tuple[str, str]]:
    """What the formula is, and when: `where …`, `otherwise`, or nothing if it always is."""
    whole = readable(formula, order)
    note = "" if order else _limits(formula)
    if not isinstance(whole, sp.Piecewise):
        return [(line(whole), note)]
    return [
        (
            line(value),
            f"where {line(when)}" if when != sp.true else " ".join(["otherwise", note]).strip(),
        )
        for value, when in whole.args
    ]


def _limits(formula: Formula) -> str:
    """Where the formula as printed is 0 / 0, and the loss is its limit."""
    boxes = [f for f in base(formula).atoms(sp.Function) if type(f).__name__ == "half_boxcox1p"]
    zeros = {line(sp.numer(f.args[1])) for f in boxes if f.args[1].free_symbols}
    return " ".join(f"(its limit where {zero} = 0)" for zero in sorted(zeros))
