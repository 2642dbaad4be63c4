"""Lossmith: loss functions for deep learning, each written once, as a formula.

The public names are those of `lossmith.face.public`, loaded on first use so that the command line
answers before torch is imported. Editors read them from the generated `__init__.pyi`.
"""

from typing import Any

from lossmith.face.summand import door as _door

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name.startswith("_") and name != "__all__":
        raise AttributeError(f"module 'lossmith' has no attribute {name!r}")
    from lossmith.face import public

    try:
        if name in public.FURTHER_ON:
            from importlib import import_module

            value = getattr(import_module(public.FURTHER_ON[name]), name)
        else:
            value = getattr(public, name)
    except AttributeError:
        from lossmith.face.elsewhere import answer

        hint = answer(name, public.__all__)
        raise AttributeError(f"module 'lossmith' has no attribute {name!r}{hint}") from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    from lossmith.face import public

    return sorted({*globals(), *public.__all__})


_door(lambda: __getattr__("Objective"))
