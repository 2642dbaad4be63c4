"""The function of a loss, made from its record: `smooth_l1(prediction, target, beta=1.0, *, …)`.

A real function with a real signature is compiled from a few lines of text, as dataclasses do it,
because a general one that sorts its arguments at run time costs more than a small loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lossmith.engine import run
from lossmith.face import call, checks, describe, signature
from lossmith.link.links import Linked


def make(loss: Linked, module: str) -> Callable[..., Any]:
    """The function of a loss, with `.total(...)` (the pair of total and mass) and `.loss`."""
    own = [a.name for a in signature.parameters(loss)]
    names = {a.name for a in signature.options(loss)}
    given = f"({', '.join(own)},)" if own else "()"
    word = signature.shape_words(loss)[0]
    if loss.classes:
        smoothing = "label_smoothing" if "label_smoothing" in names else "0.0"
        checked = (
            f"_classes(_loss, {word}, target, {given}, class_weight, {smoothing}, ignore_index, "
            f"weight, mask{', alpha' if 'alpha' in names else ''})"
        )
    elif loss.kind == "margin":
        alpha = "alpha" if "alpha" in names else "None"
        checked = f"_elementwise(_loss, {word}, target, {given}, weight, mask, labels, {alpha})"
    else:
        checked = f"_elementwise(_loss, {word}, target, {given}, weight, mask)"
    arguments = source(loss)
    total_arguments = source(loss, reduction=False)
    # Everything used is a closure variable: tracers look up globals in the module by its name.
    text = (
        "def make(_loss, _classes, _elementwise, _reduce, _pair, _reduction, _REDUCTIONS):\n"
        f"  def {loss.name}({arguments}):\n"
        "    if type(reduction) is not str or reduction not in _REDUCTIONS:\n"
        f"      reduction = _reduction({loss.name!r}, reduction)\n"
        f"    return _reduce({checked}, reduction)\n"
        f"  def total({total_arguments}):\n"
        f"    return _pair({checked})\n"
        f"  def check({total_arguments}):\n"
        f"    return {checked}\n"
        f"  return {loss.name}, total, check\n"
    )
    scope: dict[str, Any] = {"__name__": module}
    exec(compile(text, f"<lossmith {loss.name}>", "exec"), scope)  # text of our own writing
    function, total, check = scope["make"](
        loss, call.classes, call.elementwise, run.reduce, run.pair, checks.reduction,
        checks.REDUCTIONS,
    )  # fmt: skip
    function.__qualname__ = loss.name
    function.__doc__ = describe.docstring(loss, module=False)
    total.__qualname__ = f"{loss.name}.total"
    total.__doc__ = f"(total, mass) of {loss.name}: Σ weight·loss and Σ weight. Pairs add."
    function.total, function.loss, function.formula = total, loss, loss.formula
    function.check = check  # the checked call, for those who look into it
    return function


def source(loss: Linked, *, reduction: bool = True, types: bool = False) -> str:
    """The argument list as source text; with types, as the .pyi has it."""

    def show(name: str, kind: str, default: str | None) -> str:
        if types:
            return f"{name}: {kind}" + (f" = {default}" if default is not None else "")
        return name if default is None else f"{name}={default}"

    word = signature.shape_words(loss)[0]
    parts = [show(word, "Tensor", None), show("target", "Tensor", None)]
    parts += [show(a.name, a.type, a.default) for a in signature.parameters(loss)]
    parts.append("*")
    options = [a for a in signature.options(loss) if reduction or a.name != "reduction"]
    last = [a for a in options if a.name == "reduction"]
    middle = [a for a in options if a.name != "reduction"]
    parts += [show(a.name, a.type, a.default) for a in [*middle, *signature.data(loss), *last]]
    return ", ".join(parts)
