"""Penalties: ψ(w) of one weight, or of the norm of a group of weights. The risk adds λ·Σ ψ(w).

A penalty is a residual, of a weight from 0, so it is a record like any other, with the properties
and the printed formulas that come with one. λ is no part of it: ψ has slope 1 at 0⁺ wherever it has
a kink there (elastic net: l1_ratio), so that λ is the pull that a gradient must exceed.
"""

from typing import Annotated, Any

from lossmith.formula import words as w
from lossmith.formula.domain import Interval
from lossmith.formula.record import Formula, Scale, residual

Expr = Any
_SCALE = Scale("scale", 1.0, 1, "λ · penalty is the paper's where scale = λ")


@residual(cite="Tibshirani 1996, doi:10.1111/j.2517-6161.1996.tb02080.x", twin="sklearn's Lasso")
def l1(u: Expr) -> Expr:
    """The lasso: weights whose gradient stays below λ are 0, all others are λ too timid."""
    return abs(u)


@residual(
    cite="Hoerl & Kennard 1970, doi:10.1080/00401706.1970.10488634",
    twin="weight_decay=λ of torch.optim.SGD",
)
def l2(u: Expr) -> Expr:
    """Ridge, weight decay: shrinks what is large, and never to 0."""
    return u**2 / 2


@residual(
    cite="Zou & Hastie 2005, doi:10.1111/j.1467-9868.2005.00503.x, in scikit-learn's parameters",
    twin="sklearn's ElasticNet",
)
def elastic_net(
    u: Expr,
    l1_ratio: Annotated[
        float, Interval(0.0, 1.0, low_closed=True, high_closed=True), "scikit-learn's"
    ] = 0.5,
) -> Expr:
    """Lasso and ridge: correlated inputs share the weight that the lasso gives to one of them."""
    return l1_ratio * abs(u) + (1 - l1_ratio) * u**2 / 2


@residual(
    scale=_SCALE,
    cite="Zhang 2010, doi:10.1214/09-AOS729, eq. 2.1",
    twin="skglm.penalties.MCPenalty(alpha=λ, gamma) is λ · mcp(gamma, scale=λ)",
)
def mcp(
    u: Expr,
    gamma: Annotated[float, Interval(low=1.0), "as in skglm's and ncvreg's examples"] = 3.0,
) -> Expr:
    """The lasso near 0, no pull beyond gamma·scale: large weights are not biased. Not convex."""
    return w.where(abs(u) <= gamma, abs(u) - u**2 / (2 * gamma), gamma / 2)


@residual(
    scale=_SCALE,
    cite="Fan & Li 2001, doi:10.1198/016214501753382273, eq. 2.7 and section 2",
    twin="skglm.penalties.SCAD(alpha=λ, gamma) is λ · scad(gamma, scale=λ)",
)
def scad(
    u: Expr,
    gamma: Annotated[float, Interval(low=2.0), "the paper's, called a there"] = 3.7,
) -> Expr:
    """The lasso up to scale, then an ever weaker pull, none beyond gamma·scale. Not convex."""
    size = abs(u)
    bend = (gamma + 1) / 2 - (gamma - size) ** 2 / (2 * (gamma - 1))
    return w.where(size <= 1, size, w.where(size <= gamma, bend, (gamma + 1) / 2))


PENALTIES: dict[str, Formula] = {
    name: record for name, record in list(globals().items()) if isinstance(record, Formula)
}
