"""The ledger: every built-in record by name. Tests, faces, documents and plots are driven by it."""

from __future__ import annotations

import copyreg
import hashlib
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from lossmith.errors import InputError, UnsupportedError
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


def named(name: str) -> str | None:
    """The own name of a loss, from that or from how people write it; None if it is none of ours.

    "Huber", "SmoothL1", "smooth-L1 loss" and the title of a record are names as well.
    """
    if name in LEDGER or name in DIVERGENCES:
        return name
    spelt = _spelt(name)
    return _spellings().get(spelt) or _spellings().get(spelt.removesuffix("loss"))


def _spelt(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


@cache
def _spellings() -> dict[str, str]:
    known = LEDGER | DIVERGENCES
    titles = {_spelt(record.title): name for name, record in known.items()}
    return titles | {_spelt(name): name for name in known}


def find(name: str) -> Formula:
    """The record of this name; an unknown name is an error that offers the nearest ones."""
    known = LEDGER | DIVERGENCES
    if (own := named(name)) is not None:
        return known[own]
    import difflib

    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise InputError(f"no loss is called {name!r}.{hint} `lossmith list` shows every name.")


def built_in(name: str, penalty: bool) -> Formula:
    """The record of this name, among the losses or the penalties."""
    if penalty:
        from lossmith.formula.penalty import PENALTIES

        return PENALTIES[name]
    return find(name)


def of_face(face: Any) -> Formula:
    """The record of what stands under a person's name now."""
    record: Formula = face.formula
    return record


def key(record: Formula) -> str:
    """What tells formulas apart across calls and processes.

    The name of a built-in, and for a person's own its name with a hash of its derived content, so
    that an edited formula never meets a kernel of its former self.
    """
    return record.name if record.builtin else _fingerprint(record)


def _fingerprint(record: Formula) -> str:
    import sympy as sp

    from lossmith.formula.calculus import base

    text = sp.srepr(base(record)) + repr(record.parameters) + repr(record.scale)
    text += repr(record.several) if record.several else ""
    return f"{record.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _by_name(record: Formula) -> str | tuple[Callable[..., Formula], tuple[Any, ...]]:
    """Pickled: a built-in one by its name, a person's by the function that takes tensors.

    One of several variables, which has no such function, by its own place.
    """
    home, place = record.function.__module__ or "", record.function.__qualname__
    if record.builtin:
        return built_in, (record.name, home == "lossmith.formula.penalty")
    face: Any = sys.modules.get(home)
    for name in place.split("."):
        face = getattr(face, name, None)
    if face is record:
        return place
    if getattr(face, "formula", None) is not record:
        raise UnsupportedError(
            f"{record.name}: a record is pickled by its name, and {home or 'no module'} has no "
            f"{place} that is this loss. Define it at the top of a module that can be imported, "
            "under the name of its function."
        )
    return of_face, (face,)


copyreg.pickle(Formula, _by_name)
