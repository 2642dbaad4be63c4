"""Losses of u = log p(target) ≤ 0, p being the softmax of the logits."""

from typing import Annotated, Any

from lossmith.formula import words as w
from lossmith.formula.domain import Interval, NonNegative
from lossmith.formula.record import probability

Expr = Any
FromMinusOne = Annotated[float, Interval(low=-1.0, low_closed=True)]
UpToOne = Annotated[float, Interval(low=0.0, high=1.0, high_closed=True)]


@probability(
    title="cross-entropy",
    cite="Good 1952, doi:10.1111/j.2517-6161.1952.tb00104.x; Bridle 1990 (with softmax)",
    twin="torch.nn.functional.cross_entropy",
)
def cross_entropy(u: Expr) -> Expr:
    """-log p: the negative log-likelihood. The default for classification, and the baseline."""
    return -u


@probability(
    cite="Lin et al. 2017, doi:10.1109/ICCV.2017.324, eq. 4, on softmax probabilities",
    balanced=True,
)
def focal(
    u: Expr,
    gamma: Annotated[NonNegative, "the paper's best, table 1b"] = 2.0,
) -> Expr:
    """(1 - p)^gamma times cross-entropy: easy examples step back, hard and rare ones count."""
    return -u * w.complement(u) ** gamma


@probability(
    title="generalized cross-entropy", cite="Zhang & Sabuncu 2018, arXiv:1805.07836, eq. 6"
)
def generalized_cross_entropy(
    u: Expr,
    q: Annotated[UpToOne, "the paper's choice for label noise"] = 0.7,
) -> Expr:
    """(1 - p^q) / q: between cross-entropy (q → 0) and mean absolute error (q = 1).

    Bounded by 1/q, so a wrong label cannot pull without limit: for noisy labels.
    """
    return -w.exp_rise(u, q)


@probability(cite="Leng et al. 2022, arXiv:2204.12511, eq. 6")
def poly1(
    u: Expr,
    epsilon: Annotated[FromMinusOne, "the paper's choice for ImageNet is 1 to 2"] = 1.0,
) -> Expr:
    """Cross-entropy + epsilon·(1 - p): one more term of its series, tuned by one number.

    Written as -log p - (1 - p), which is p - 1 - log p, and (1 + epsilon)·(1 - p): two terms that
    are never negative, where for a negative epsilon log p and 1 - p would nearly cancel.
    """
    return w.exp_excess(u) + (1 + epsilon) * w.complement(u)
