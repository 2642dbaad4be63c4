"""Keywords that a call does not take: what people mean by them elsewhere, and what to give here.

A function that ends in `**unknown` looks at it only when it is not empty, which costs a call next
to nothing; `listed` keeps it out of help() and of completion.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Iterable
from typing import Any, NoReturn, TypeVar

from lossmith.errors import ArgumentError

F = TypeVar("F", bound=Callable[..., Any])

# Keywords of other libraries, and the arguments here that may be meant.
_FIRST = ("logits", "scores", "prediction", "features")
_MEANT: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("weight", "weights"), ("sample_weight", "class_weight")),
    "class_weights": ("class_weight",),
    "sample_weights": ("sample_weight",),
    "pos_weight": ("labels",),
    **dict.fromkeys(("ignore_label", "ignore_class", "ignore"), ("ignore_index",)),
    **dict.fromkeys(("smoothing", "label_smooth", "smooth_factor"), ("label_smoothing",)),
    **dict.fromkeys(("reduce", "size_average"), ("reduction",)),
    **dict.fromkeys(("input", "inputs", "pred", "preds", "y_pred", "output", "outputs"), _FIRST),
    **dict.fromkeys(("prediction", "predictions", "logits", "scores"), _FIRST),
    **dict.fromkeys(("label", "labels", "targets", "y_true", "y"), ("target", "target_probs")),
}
# What is said of them, where the name alone would not do.
_SAID = {
    "sample_weight": "sample_weight= for one weight per loss",
    "class_weight": "class_weight= for one per class",
    "reduction": 'reduction="mean", "sum" or "none"',
    # Each positive counts pos_weight times; torch's mean still divides by the number of elements.
    "labels": "sample_weight=1 + (pos_weight - 1) * target; total / target.numel() of "
    ".total(…) is then torch's mean",
}


def refuse(
    owner: str,
    unknown: Iterable[str],
    function: Callable[..., Any],
    made: Collection[str] = (),
    called: Callable[..., Any] | None = None,
) -> NoReturn:
    """An error for the first of these keywords, with the way out.

    `made`: what the constructor of a Module takes, for its call; `called`: the call, for it.
    """
    word, takes = next(iter(unknown)), of(function)
    elsewhere = (("When the Module is made, use", made), ("In its call, use", of(called)))
    ways = (("Use", takes), *elsewhere)
    cures = [f"{way} {said}." for way, names in ways if (said := meant(word, names))]
    cure = " ".join(cures) or _near(word, takes)
    raise ArgumentError(
        f"{owner}: there is no argument {word!r}.{cure and ' '}{cure} It takes "
        f"{', '.join(takes) or 'none'}."
    )


def meant(word: str, takes: Collection[str]) -> str:
    """What to give instead of a keyword that has a meaning elsewhere, in words."""
    here = [name for name in _MEANT.get(word, ()) if name in takes]
    return ", ".join(_SAID.get(name, f"{name}=") for name in here)


def _near(word: str, takes: Collection[str]) -> str:
    found = difflib.get_close_matches(word, list(takes), n=1)
    return f"Did you mean {found[0]!r}?" if found else ""


def listed(function: F) -> F:
    """Show the arguments without the `**unknown` that is there to be refused."""
    whole = inspect.signature(function)
    shown = [p for p in whole.parameters.values() if p.kind is not p.VAR_KEYWORD]
    function.__signature__ = whole.replace(parameters=shown)  # type: ignore[attr-defined]
    return function


def of(function: Callable[..., Any] | None) -> tuple[str, ...]:
    """The arguments of a function, as they are shown."""
    if function is None:
        return ()
    return tuple(name for name in inspect.signature(function).parameters if name != "self")
