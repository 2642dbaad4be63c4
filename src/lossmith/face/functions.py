"""The function of a loss, made from its record: `smooth_l1(prediction, target, beta=1.0, *, …)`.

A real function with a real signature is compiled from a few lines of text, as dataclasses do it,
because a general one that sorts its arguments at run time costs more than a small loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lossmith.engine.choose import CALLS
from lossmith.face import call, checks, describe, modules, names, signature
from lossmith.link.link import Linked


def make(loss: Linked, module: str) -> Callable[..., Any]:
    """The function of a loss, with `.total(...)` (the pair of total and mass) and `.loss`."""
    if not loss.formula.builtin:
        signature.free(loss, modules.attributes())
    hide, link = signature.hidden(loss), loss.link
    given, settled = (
        f"({', '.join(named)},)" if (named := [each.name for each in every]) else "()"
        for every in (loss.formula.parameters, loss.options)
    )
    if loss.options:  # nothing to look at while each is the very default
        usual = " and ".join(f"{o.name} is {hide}usual_{o.name}" for o in loss.options)
        settled = f"() if {usual} else {settled}"
    several = len(link.targets) > 1
    target = f"({', '.join(link.targets)})" if several else link.targets[0]
    checked = (
        f"{hide}checked({hide}loss, {link.word}, {target}, {given}, sample_weight, mask, {settled})"
    )
    outer = (
        *("loss", "checked", "reduce", "pair", "reduction", "REDUCTIONS", "refuse"),
        *(f"usual_{o.name}" for o in loss.options),
    )

    def start(made: str, *, reduction: bool = False) -> str:
        name = f"{loss.name}.{made}" if made == "total" else loss.name
        arguments = signature.source(signature.call(loss, reduction=reduction))
        return (
            f"  def {hide}{made}({arguments}, **{hide}unknown):\n"
            f"    if {hide}unknown:\n"
            f"      {hide}refuse({name!r}, {hide}unknown, {hide}{made})\n"
        )

    # Everything used is a closure variable: tracers look up globals in the module by its name.
    # The functions get their names afterwards, for a loss may be called total, or check.
    text = (
        f"def make({', '.join(hide + name for name in outer)}):\n"
        f"{start('function', reduction=True)}"
        f"    if type(reduction) is not str or reduction not in {hide}REDUCTIONS:\n"
        f"      reduction = {hide}reduction({loss.name!r}, reduction)\n"
        f"    return {hide}reduce({checked}, reduction)\n"
        f"{start('total')}"
        f"    return {hide}pair({checked})\n"
        f"{start('check')}"
        f"    return {checked}\n"
        f"  return {hide}function, {hide}total, {hide}check\n"
    )
    scope: dict[str, Any] = {"__name__": module}
    exec(compile(text, f"<lossmith {loss.name}>", "exec"), scope)  # text of our own writing
    function, total, check = scope["make"](
        loss, call.of_several if several else call.checked, CALLS.reduce, CALLS.pair,
        checks.reduction, checks.REDUCTIONS, names.refuse, *(o.default for o in loss.options),
    )  # fmt: skip
    for made, name in ((function, loss.name), (total, "total"), (check, "check")):
        made.__code__ = made.__code__.replace(co_name=name, co_qualname=name)
        made.__name__ = made.__qualname__ = name
        made.__kwdefaults__ |= {o.name: o.default for o in loss.options}  # the very objects
        names.listed(made)
    function.__doc__ = describe.docstring(loss, module=False)
    total.__qualname__ = f"{loss.name}.total"
    total.__doc__ = f"(total, mass) of {loss.name}: Σ weight·loss and Σ weight. Pairs add."
    function.total, function.loss, function.formula = total, loss, loss.formula
    function.check = check  # the checked call, for those who look into it
    return function
