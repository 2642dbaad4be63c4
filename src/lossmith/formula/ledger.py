"""The ledger: every built-in record by name. Tests, faces, documents and plots are driven by it."""

from __future__ import annotations

from lossmith.errors import InputError
from lossmith.formula import divergence, margin, probability, residual
from lossmith.formula.record import Formula

FAMILIES = {"residual": residual, "margin": margin, "probability": probability}
LEDGER: dict[str, Formula] = {
    name: record
    for module in FAMILIES.values()
    for name, record in vars(module).items()
    if isinstance(record, Formula)
}
# Apart, because what a loss of one target is asked in every test and table (class indices, class
# weights, a margin …) has no meaning for two distributions.
DIVERGENCES: dict[str, Formula] = {
    name: record for name, record in vars(divergence).items() if isinstance(record, Formula)
}


def find(name: str) -> Formula:
    """The record of this name; an unknown name is an error that offers the nearest ones."""
    known = LEDGER | DIVERGENCES
    if name in known:
        return known[name]
    import difflib

    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise InputError(f"no loss is called {name!r}.{hint} `lossmith list` shows every name.")
