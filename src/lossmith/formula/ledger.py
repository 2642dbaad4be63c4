"""The ledger: every built-in record by name. Tests, faces, documents and plots are driven by it."""

from __future__ import annotations

from lossmith.errors import InputError
from lossmith.formula import margin, probability, residual
from lossmith.formula.record import Formula

FAMILIES = {"residual": residual, "margin": margin, "probability": probability}
LEDGER: dict[str, Formula] = {
    name: record
    for module in FAMILIES.values()
    for name, record in vars(module).items()
    if isinstance(record, Formula)
}


def find(name: str) -> Formula:
    """The record of this name; an unknown name is an error that offers the nearest ones."""
    if name in LEDGER:
        return LEDGER[name]
    import difflib

    near = difflib.get_close_matches(name, LEDGER, n=3, cutoff=0.4)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise InputError(f"no loss is called {name!r}.{hint} `lossmith list` shows every name.")
