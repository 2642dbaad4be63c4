"""Every link, one line each, and the formula under one of them.

    residual        u = prediction - target                   target: real, the prediction's shape
    norm            u = ‖prediction - target‖, last dimension  target: real, the prediction's shape
    margin          u = s·score, s = ±1                       target: 0 … 1 (soft) or ±1 (signed)
    softmax         u = log p_target, p = softmax(logits)     target: class index or distribution
    crammer_singer  u = z_target - max of the other logits    target: class index or distribution
    one_vs_rest     u = ±z_k for every class k, summed        target: class index or distribution
    ratio           u = log b_k - log a_k, summed over k      target: a distribution, or its logits

Soft targets average the formula: t·ψ(z) + (1 - t)·ψ(-z) for a binary one, Σ_k q_k ψ(u_k) for a
distribution q over classes.
"""

from __future__ import annotations

from lossmith.errors import UnsupportedError
from lossmith.formula.record import Formula
from lossmith.link.crammer_singer import CrammerSinger
from lossmith.link.link import Link, Linked, linked
from lossmith.link.margin import Margin
from lossmith.link.norm import Norm
from lossmith.link.one_vs_rest import OneVsRest
from lossmith.link.ratio import Ratio
from lossmith.link.residual import Residual
from lossmith.link.softmax import Softmax

LINKS: dict[str, Link] = {
    made.name: made
    for made in (Residual(), Norm(), Margin(), Softmax(), CrammerSinger(), OneVsRest(), Ratio())
}
_NATURAL = {made.family: made for made in LINKS.values() if made.natural}


def link(formula: Formula, name: str | None = None) -> Linked:
    """The formula under its family's own link, or under another one that takes it, by name."""
    if formula.several:
        names = ", ".join(v.name for v in formula.several)
        raise UnsupportedError(
            f"{formula.name}: no link takes a formula of several variables ({names}) yet; "
            "lossmith.formula.several.derivatives gives its value, gradient and Hessian."
        )
    return linked(formula, _NATURAL[formula.family] if name is None else LINKS[name])
