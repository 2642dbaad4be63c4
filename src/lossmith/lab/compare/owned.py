"""Losses from a person's own Python file, which is executed because they name it."""

from __future__ import annotations

import linecache
import sys
from functools import lru_cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from lossmith.errors import InputError
from lossmith.formula.ledger import DIVERGENCES, LEDGER
from lossmith.formula.record import Formula

_MODULE = "lossmith_losses_from"


def text_of(path: str) -> str:
    """The text of the file."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--losses-from {path}: cannot read it: {error}") from None


@lru_cache(maxsize=1)
def losses(text: str, path: str) -> dict[str, Any]:
    """Execute the text and collect its losses by name.

    A loss is a function made by lossmith.residual, margin or probability, or a plain function of
    (prediction, target) that is defined in the file and does not begin with an underscore.
    """
    module = ModuleType(_MODULE)
    module.__file__ = path
    sys.modules[_MODULE] = module
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    try:
        exec(compile(text, path, "exec"), module.__dict__)
    except Exception as error:
        raise InputError(f"--losses-from {path}: {type(error).__name__}: {error}") from error
    found = {}
    for name, value in vars(module).items():
        formula = getattr(value, "formula", None)
        if isinstance(formula, Formula):
            mine = callable(value) and not isinstance(value, type) and not formula.builtin
        else:
            mine = isinstance(value, FunctionType) and value.__module__ == _MODULE
        if mine and not name.startswith("_"):
            found[name] = value
    if not found:
        raise InputError(
            f"--losses-from {path}: no loss in it. Write a function of (prediction, target), or "
            "decorate a formula with lossmith.residual, lossmith.margin or lossmith.probability"
        )
    for name in found:
        if name in LEDGER or name in DIVERGENCES:
            raise InputError(f"--losses-from {path}: {name} is the name of a built-in loss")
    return found
