"""Divergences of two distributions over the same classes: D(a, b) = Σ_k a_k ψ(u_k).

u = log b_k - log a_k, any real number. Every ψ here is 0 with slope 0 at u = 0, so each term is at
least 0 and two distributions that nearly agree lose no digits to a sum of terms that cancel.
(ψ and ψ + c·(e^u - 1) give the same D, for both distributions sum to 1.)
"""

from typing import Any

from lossmith.formula import words as w
from lossmith.formula.record import divergence

Expr = Any


@divergence(
    title="KL divergence",
    cite="Kullback & Leibler 1951, doi:10.1214/aoms/1177729694",
    twin='torch.nn.functional.kl_div(log q, p, reduction="batchmean")',
)
def kl_divergence(u: Expr) -> Expr:
    """KL(a‖b) = Σ a·log(a/b): what it costs to code a by b. Not symmetric, not bounded.

    Averaged over the target (direction "forward") it covers everything that the target does, and
    is cross-entropy less the target's entropy; averaged over the prediction ("reverse") it
    settles on what the target does most.
    """
    return w.exp_excess(u)


@divergence(
    symmetric=True,
    title="Jensen-Shannon divergence",
    cite="Lin 1991, doi:10.1109/18.61115, with equal weights, in nats",
    twin="scipy.spatial.distance.jensenshannon(p, q)**2",
)
def js_divergence(u: Expr) -> Expr:
    """½ KL(a‖m) + ½ KL(b‖m) with m = (a + b)/2: symmetric, finite always, at most log 2.

    For targets with zeros, and where an example that is certainly wrong must not pull without
    limit. Per class it is m·(x·tanh x - log cosh x) with x = u/2; far out, where those two nearly
    cancel, the same number is log 2 less the entropy of σ(u).
    """
    x = u / 2
    near = x * w.tanh(x) - w.log_cosh(x)
    far = w.log(2) - abs(u) * w.sigmoid(-abs(u)) - w.softplus(-abs(u))
    return (1 + w.exp(u)) / 2 * w.where(abs(u) <= 2, near, far)
