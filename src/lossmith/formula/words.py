"""The words for writing formulas: `where`, `maximum`, `exp`, `softplus`, ... (see primitives.py).

They are looked up on first use, so that importing Lossmith does not import SymPy.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    from lossmith.formula import primitives

    return getattr(primitives, name)


def __dir__() -> list[str]:
    from lossmith.formula import primitives

    return [n for n in dir(primitives) if not n.startswith("_")]
