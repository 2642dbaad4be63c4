"""The function of a loss, made from its record: `smooth_l1(prediction, target, beta=1.0, *, …)`.

A real function with a real signature is compiled from a few lines of text, as dataclasses do it,
because a general one that sorts its arguments at run time costs more than a small loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lossmith.engine import run
from lossmith.face import call, checks, describe, modules, names, signature
from lossmith.link.links import Linked


def make(loss: Linked, module: str) -> Callable[..., Any]:
    """The function of a loss, with `.total(...)` (the pair of total and mass) and `.loss`."""
    if not loss.formula.builtin:
        signature.free(loss, modules.attributes())
    own = [a.name for a in signature.parameters(loss)]
    taken = {a.name for a in signature.options(loss)}
    given = f"({', '.join(own)},)" if own else "()"
    word, hide = signature.shape_words(loss)[0], signature.hidden(loss)
    if loss.classes:
        smoothing = "label_smoothing" if "label_smoothing" in taken else "0.0"
        checked = (
            f"{hide}classes({hide}loss, {word}, target, {given}, class_weight, {smoothing}, "
            f"ignore_index, sample_weight, mask{', alpha' if 'alpha' in taken else ''})"
        )
    elif loss.kind == "margin":
        alpha = "alpha" if "alpha" in taken else "None"
        checked = (
            f"{hide}elementwise({hide}loss, {word}, target, {given}, sample_weight, mask, "
            f"labels, {alpha})"
        )
    else:
        checked = f"{hide}elementwise({hide}loss, {word}, target, {given}, sample_weight, mask)"
    arguments = source(loss)
    total_arguments = source(loss, reduction=False)
    outer = (
        *("loss", "classes", "elementwise", "reduce", "pair"),
        *("reduction", "REDUCTIONS", "refuse"),
    )

    def start(made: str, arguments: str) -> str:
        name = f"{loss.name}.{made}" if made == "total" else loss.name
        return (
            f"  def {hide}{made}({arguments}, **{hide}unknown):\n"
            f"    if {hide}unknown:\n"
            f"      {hide}refuse({name!r}, {hide}unknown, {hide}{made})\n"
        )

    # Everything used is a closure variable: tracers look up globals in the module by its name.
    # The functions get their names afterwards, for a loss may be called total, or check.
    text = (
        f"def make({', '.join(hide + name for name in outer)}):\n"
        f"{start('function', arguments)}"
        f"    if type(reduction) is not str or reduction not in {hide}REDUCTIONS:\n"
        f"      reduction = {hide}reduction({loss.name!r}, reduction)\n"
        f"    return {hide}reduce({checked}, reduction)\n"
        f"{start('total', total_arguments)}"
        f"    return {hide}pair({checked})\n"
        f"{start('check', total_arguments)}"
        f"    return {checked}\n"
        f"  return {hide}function, {hide}total, {hide}check\n"
    )
    scope: dict[str, Any] = {"__name__": module}
    exec(compile(text, f"<lossmith {loss.name}>", "exec"), scope)  # text of our own writing
    function, total, check = scope["make"](
        loss, call.classes, call.elementwise, run.reduce, run.pair, checks.reduction,
        checks.REDUCTIONS, names.refuse,
    )  # fmt: skip
    for made, name in ((function, loss.name), (total, "total"), (check, "check")):
        made.__code__ = made.__code__.replace(co_name=name, co_qualname=name)
        made.__name__ = made.__qualname__ = name
        names.listed(made)
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
