"""Every built-in loss as a function and a Module, made from the ledger."""

from __future__ import annotations

from typing import Any

from lossmith.face import functions, modules
from lossmith.formula.ledger import DIVERGENCES, LEDGER
from lossmith.link.links import link

FUNCTIONS: dict[str, Any] = {
    name: functions.make(link(record), "lossmith")
    for name, record in (LEDGER | DIVERGENCES).items()
}
MODULES: dict[str, type[modules.Loss]] = {
    modules.class_name(name): modules.make(function, "lossmith")
    for name, function in FUNCTIONS.items()
}
