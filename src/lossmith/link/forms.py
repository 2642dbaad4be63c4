"""The expressions that links take of a formula: ψ itself, and ψ rewritten for where digits are.

    plain    ψ(u)
    margin   ψ(log σ(m)): a probability formula in the margin m = z_target - logsumexp(others)
    mirror   e^w ψ(-w): a divergence averaged over its other side

They are found by the formula's key and the form's name, which are words: a tracer, an engine and a
kernel in the cache can hold on to those.
"""

from __future__ import annotations

from typing import Any

from lossmith.formula.ledger import key
from lossmith.formula.record import Formula

Expr = Any
Fixed = tuple[tuple[str, int], ...]  # whole numbers in the place of parameters
PLAIN, MARGIN, MIRROR = "plain", "margin", "mirror"
FORMULAS: dict[str, Formula] = {}


def known(formula: Formula) -> str:
    """The key of a formula, by which it is found from now on."""
    name = key(formula)
    FORMULAS[name] = formula
    return name


def expression(formula: Formula, form: str, fixed: Fixed = ()) -> Expr:
    """A form of a formula, in its variable u (a margin and w are called u there, too)."""
    return _MAKERS[form](formula, fixed)


def _plain(formula: Formula, fixed: Fixed = ()) -> Expr:
    from lossmith.formula.calculus import base

    return base(formula, fixed)


def through_margin(formula: Formula, fixed: Fixed = ()) -> Expr:
    """g(m) = ψ(log σ(m)): a probability formula in the margin m = z_target - logsumexp(others).

    For a hard target log p = log σ(m) exactly, and 1 - p = σ(-m) keeps its digits where log p
    has rounded to 0. Slope and curvature in m are finite at every logit.
    """
    import sympy as sp

    from lossmith.formula.calculus import U, base
    from lossmith.formula.primitives import sigmoid, softplus

    whole = base(formula, fixed).subs(U, -softplus(-U))
    return whole.replace(
        lambda e: isinstance(e, sp.exp) and e.args[0] == -softplus(-U), lambda e: sigmoid(U)
    )


def mirrored(formula: Formula, fixed: Fixed = ()) -> Expr:
    """ψ*(w) = e^w ψ(-w): Σ a ψ(u) = Σ b ψ*(-u), the same divergence averaged over b.

    Where b is far above a, a·ψ(u) is 0·∞ in floating point, and b·ψ*(-u) is not.
    """
    import mpmath as mp
    import sympy as sp

    from lossmith.formula.calculus import U, base
    from lossmith.formula.exact import function
    from lossmith.formula.primitives import exp_excess, expm1

    whole = base(formula, fixed)
    other = sp.exp(U) * whole.subs(U, -U)
    here, there = (function(e, ("u",)) for e in (whole, other))
    with mp.workdps(40):
        points = [mp.mpf(u) for u in (-7, -1.3, -0.2, 0.4, 2.5, 9)]
        if all(abs(here(u) - there(u)) < mp.mpf(10) ** -30 for u in points):
            return whole  # a symmetric divergence; its own form is the stable one
    plain = whole.replace(exp_excess, lambda x: sp.exp(x) - 1 - x)
    plain = plain.replace(expm1, lambda x: sp.exp(x) - 1)
    return sp.expand(sp.exp(U) * plain.subs(U, -U))


_MAKERS = {PLAIN: _plain, MARGIN: through_margin, MIRROR: mirrored}


def at_zero(expression: Expr) -> float:
    """The limit of ψ as u → -∞, where the other probability is 0: a number, or infinity."""
    import mpmath as mp

    from lossmith.formula.exact import function

    run = function(expression, ("u",))
    with mp.workdps(40):
        far, farther = (run(-(mp.mpf(10) ** k)) for k in (4, 8))
    return float(farther) if abs(farther - far) < 1e-12 else float("inf")
