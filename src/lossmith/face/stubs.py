"""The typed public page, written from the same records: run `python -m lossmith.face.stubs`.

Editors complete names and defaults from it; a test keeps it from drifting.
"""

from __future__ import annotations

from pathlib import Path

from lossmith.face import public, signature
from lossmith.face.catalogue import FUNCTIONS
from lossmith.face.modules import class_name
from lossmith.formula.ledger import FAMILIES
from lossmith.formula.written import written

_HEAD = '''"""Made by `python -m lossmith.face.stubs` from the records. Edits are lost."""

from typing import Any, Literal, Protocol

from torch import Tensor

from lossmith.face.modules import Loss as Loss
from lossmith.formula.record import Formula
'''
_NAMES = ["", "__version__: str", "primitives: Any"]


def write() -> str:
    """The text of `lossmith/__init__.pyi`."""
    exported = ["__all__ = [  # noqa: RUF022", *(f'    "{n}",' for n in public.__all__), "]"]
    lines = [_HEAD + "\n".join(_handwritten()), *_NAMES, *exported]
    for name, function in FUNCTIONS.items():
        loss, record = function.loss, function.formula
        summary = record.doc.split("\n")[0]
        call, total = (
            signature.source(signature.call(loss, reduction=on), types=True) for on in (True, False)
        )
        own = signature.parameters(loss)
        made = signature.source([*own, "*", *signature.options(loss)], types=True)
        batch = signature.source(signature.batch(loss.link), types=True)
        title = class_name(name)
        lines += [
            "",
            f"class _{title}Function(Protocol):",
            "    formula: Formula",
            f"    Module: type[{title}]",
            f"    def __call__(self, {call}) -> Tensor:",
            f'        """{summary} {written(record)}."""',
            f"    def total(self, {total}) -> tuple[Tensor, Tensor]: ...",
            "",
            f"{name}: _{title}Function",
            "",
            f"class {title}(Loss):",
            f'    """{summary} {written(record)}."""',
            *(f"    {a.name}: {a.type}" for a in own),
            f"    def __init__(self, {made}) -> None: ...",
            f"    def __call__(self, {batch}) -> Tensor: ...",
            f"    def forward(self, {batch}) -> Tensor: ...",
            f"    def total(self, {batch}) -> tuple[Tensor, Tensor]: ...",
        ]
    return "\n".join(lines) + "\n"


def _handwritten() -> list[str]:
    """Names that are written by hand, re-exported from where they live."""
    made = {*FUNCTIONS, *map(class_name, FUNCTIONS), "Loss", "primitives"}
    return [
        f"from {_home(name)} import {name} as {name}" for name in public.__all__ if name not in made
    ]


def _home(name: str) -> str:
    if name in public.FURTHER_ON:
        return public.FURTHER_ON[name]
    if name == "presets":
        return "lossmith.face"
    if name in ("Fraction", "NonNegative", "Positive", "Real"):
        return "lossmith.formula.domain"
    if name in FAMILIES:
        return "lossmith.face.own"
    return str(getattr(public, name).__module__)


def path() -> Path:
    """Where the page lies: beside the package's own."""
    return Path(__file__).parent.parent / "__init__.pyi"


if __name__ == "__main__":
    path().write_text(write(), encoding="utf-8")
