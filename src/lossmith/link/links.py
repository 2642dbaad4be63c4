"""What u is. A link turns prediction and target into the one number that a formula takes.

    residual        u = prediction - target                   target: real, the prediction's shape
    margin          u = s·score, s = ±1                       target: 0 … 1 (soft) or ±1 (signed)
    softmax         u = log p_target, p = softmax(logits)     target: class index or distribution
    crammer_singer  u = z_target - max of the other logits    target: class index or distribution
    one_vs_rest     u = ±z_k for every class k, summed        target: class index or distribution
    ratio           u = log b_k - log a_k, summed over k      target: a distribution, or its logits

Soft targets average the formula: t·ψ(z) + (1 - t)·ψ(-z) for a binary one, Σ_k q_k ψ(u_k) for a
distribution q over classes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from lossmith.formula.record import Formula

Kind = Literal["residual", "margin", "softmax", "crammer_singer", "one_vs_rest", "ratio"]
FAMILY_LINK: dict[str, Kind] = {
    "residual": "residual",
    "margin": "margin",
    "probability": "softmax",
    "divergence": "ratio",
}


@dataclass(frozen=True, eq=False)
class Linked:
    """A formula and the link that feeds it: what a loss is, before options and data.

    `key` tells formulas apart across calls and processes: the name of a built-in, and for a
    person's own formula its name with a hash of its derived content, so that an edited formula
    never meets a kernel of its former self.
    """

    formula: Formula
    kind: Kind
    name: str
    key: str

    @cached_property
    def classes(self) -> bool:
        """Whether the prediction carries a class dimension (dimension 1)."""
        return self.kind in ("softmax", "crammer_singer", "one_vs_rest", "ratio")


def link(formula: Formula, kind: Kind | None = None) -> Linked:
    """The formula under its family's own link, or under another one that fits."""
    own = FAMILY_LINK[formula.family]
    kind = kind or own
    name = formula.name if kind == own else f"{kind}_{formula.name}"
    key = formula.name if formula.builtin else _fingerprint(formula)
    FORMULAS[key] = formula
    return Linked(formula, kind, name, key)


FORMULAS: dict[str, Formula] = {}


def _fingerprint(formula: Formula) -> str:
    import sympy as sp

    from lossmith.formula.calculus import base

    text = sp.srepr(base(formula)) + repr(formula.parameters) + repr(formula.scale)
    return f"{formula.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def through_margin(formula: Formula, fixed: tuple[tuple[str, int], ...] = ()) -> Any:
    """g(m) = ψ(log σ(m)): a probability formula in the margin m = z_target - logsumexp(others).

    For a hard target log p = log σ(m) exactly, and 1 - p = σ(-m) keeps its digits where log p
    has rounded to 0. Slope and curvature in m are finite at every logit.
    """
    import sympy as sp

    from lossmith.formula.calculus import U, base
    from lossmith.formula.primitives import sigmoid, softplus

    expression = base(formula, fixed).subs(U, -softplus(-U))
    return expression.replace(
        lambda e: isinstance(e, sp.exp) and e.args[0] == -softplus(-U), lambda e: sigmoid(U)
    )


def mirrored(formula: Formula) -> Any:
    """ψ*(w) = e^w ψ(-w): Σ a ψ(u) = Σ b ψ*(-u), the same divergence averaged over b.

    Where b is far above a, a·ψ(u) is 0·∞ in floating point, and b·ψ*(-u) is not.
    """
    import mpmath as mp
    import sympy as sp

    from lossmith.formula.calculus import U, base
    from lossmith.formula.exact import function
    from lossmith.formula.primitives import exp_excess, expm1

    expression = base(formula)
    other = sp.exp(U) * expression.subs(U, -U)
    here, there = (function(e, ("u",)) for e in (expression, other))
    with mp.workdps(40):
        points = [mp.mpf(u) for u in (-7, -1.3, -0.2, 0.4, 2.5, 9)]
        if all(abs(here(u) - there(u)) < mp.mpf(10) ** -30 for u in points):
            return expression  # a symmetric divergence; its own form is the stable one
    plain = expression.replace(exp_excess, lambda x: sp.exp(x) - 1 - x)
    plain = plain.replace(expm1, lambda x: sp.exp(x) - 1)
    return sp.expand(sp.exp(U) * plain.subs(U, -U))


def at_zero(expression: Any) -> float:
    """The limit of ψ as u → -∞, where the other probability is 0: a number, or infinity."""
    import mpmath as mp

    from lossmith.formula.exact import function

    run = function(expression, ("u",))
    with mp.workdps(40):
        far, farther = (run(-(mp.mpf(10) ** k)) for k in (4, 8))
    return float(farther) if abs(farther - far) < 1e-12 else float("inf")
