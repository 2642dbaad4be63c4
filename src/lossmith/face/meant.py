"""Which loss is meant, in any of the ways in which a person may give one."""

from __future__ import annotations

from typing import Any, NamedTuple

from lossmith.face.catalogue import FUNCTIONS
from lossmith.face.modules import Loss
from lossmith.formula import ledger
from lossmith.link.link import Linked


class Meant(NamedTuple):
    """A loss: its function, and the settings that a Module brings along."""

    function: Any
    loss: Linked
    settings: dict[str, Any]


def meant(loss: Any) -> Meant | None:
    """A loss by name, function, Module, or a Module's class; None for what is none of ours."""
    settings = loss.given() if isinstance(loss, Loss) else {}
    if isinstance(loss, str):
        found = FUNCTIONS.get(ledger.named(loss) or "")
    else:
        found = getattr(loss, "function", loss)
    linked = getattr(found, "loss", None)
    return Meant(found, linked, settings) if isinstance(linked, Linked) else None
