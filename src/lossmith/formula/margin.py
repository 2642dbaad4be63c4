"""Losses of a margin u: positive when the sign of the score is right, negative when it is wrong."""

from typing import Annotated, Any

from lossmith.formula import words as w
from lossmith.formula.domain import Interval, NonNegative, Positive
from lossmith.formula.record import margin

Expr = Any
BelowOne = Annotated[float, Interval(high=1.0)]


@margin(title="0-1", cite="Wald 1950; the risk of classification itself")
def zero_one(u: Expr) -> Expr:
    """1 when wrong, 0 when right; a tie (u = 0) is an error. To report, not to train: slope 0."""
    return w.where(u <= 0, 1, 0)


@margin(cite="Cortes & Vapnik 1995, doi:10.1007/BF00994018; Gentile & Warmuth 1999")
def hinge(u: Expr) -> Expr:
    """The support vector machine's loss: right by less than 1 still costs, by more is free."""
    return w.where(u < 1, 1 - u, 0)


@margin(cite="Lee & Mangasarian 2001, doi:10.1023/A:1011215321374; L2-SVM")
def squared_hinge(u: Expr) -> Expr:
    """Hinge, squared: smooth at the edge of the margin, harder on gross errors."""
    return w.where(u < 1, (1 - u) ** 2, 0)


@margin(cite="Rennie & Srebro 2005 (gamma = 1); Shalev-Shwartz & Zhang 2013, JMLR 14:567, eq. 5")
def smoothed_hinge(
    u: Expr,
    gamma: Annotated[Positive, "Rennie & Srebro's"] = 1.0,
) -> Expr:
    """Hinge with its corner rounded over a width gamma: for solvers that need a smooth slope."""
    return w.where(u < 1 - gamma, 1 - u - gamma / 2, w.where(u < 1, (1 - u) ** 2 / (2 * gamma), 0))


@margin(
    cite="Collobert et al. 2006, doi:10.1145/1143844.1143870; Wu & Liu 2007",
    start="hinge",
)
def ramp(
    u: Expr,
    s: Annotated[BelowOne, "the loss is capped at 2, as in the paper's experiments"] = -1.0,
) -> Expr:
    """Hinge with a cap: min(1 - s, max(0, 1 - u)). A wrong label cannot pull without limit.

    The slope is 0 below s, so start from a model that is already better than chance.
    """
    return w.where(u < s, 1 - s, w.where(u < 1, 1 - u, 0))


@margin(cite="Rosenblatt 1958, doi:10.1037/h0042519")
def perceptron(u: Expr) -> Expr:
    """Only mistakes cost, in proportion to how wrong; no margin is asked for."""
    return w.where(u < 0, -u, 0)


@margin(
    cite="Cox 1958, doi:10.1111/j.2517-6161.1958.tb00292.x; Friedman et al. 2000",
    twin="torch.nn.functional.soft_margin_loss (which overflows below margin -88 in float32)",
)
def logistic(u: Expr) -> Expr:
    """Negative log-likelihood of a logistic model: smooth, calibrated, linear in gross errors."""
    return w.softplus(-u)


@margin(cite="Freund & Schapire 1997, doi:10.1006/jcss.1997.1504; Friedman et al. 2000, eq. 10")
def exponential(u: Expr) -> Expr:
    """AdaBoost's loss: mistakes weigh exponentially, so a wrong label can dominate everything."""
    return w.exp(-u)


@margin(
    title="modified Huber",
    cite="Zhang 2004, doi:10.1214/aos/1079120130; scikit-learn's modified_huber",
)
def modified_huber(u: Expr) -> Expr:
    """Squared hinge, linear below -1: smooth, tolerant of outliers, gives probabilities."""
    return w.where(u < -1, -4 * u, w.where(u < 1, (1 - u) ** 2, 0))


@margin(
    title="Savage",
    cite="Masnadi-Shirazi & Vasconcelos 2008, On the design of loss functions, table 1",
    start="logistic",
)
def savage(u: Expr) -> Expr:
    """σ(-2u)²: calibrated and bounded, so outliers and wrong labels lose their pull."""
    return w.sigmoid(-2 * u) ** 2


@margin(
    title="sigmoid",
    cite="Mason et al. 1999, Boosting algorithms as gradient descent; Ghosh et al. 2015",
    start="logistic",
)
def sigmoid_loss(u: Expr) -> Expr:
    """σ(-u): a smooth 0-1 loss; symmetric, hence robust to uniform label noise; not convex."""
    return w.sigmoid(-u)


@margin(
    title="Brier",
    cite="Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2",
    start="logistic",
)
def brier(u: Expr) -> Expr:
    """(1 - σ(u))²: L2 after a sigmoid. Proper, bounded; its slope dies where it is most wrong."""
    return w.sigmoid(-u) ** 2


@margin(
    cite="Lin et al. 2017, doi:10.1109/ICCV.2017.324, eq. 4 (alpha: eq. 5)",
    twin="torchvision.ops.sigmoid_focal_loss on hard labels (there alpha = 0.25 by default)",
    balanced=True,
)
def binary_focal(
    u: Expr,
    gamma: Annotated[NonNegative, "the paper's best, table 1b"] = 2.0,
) -> Expr:
    """Cross-entropy turned down by (1 - p)^gamma where it is already easy: for rare positives."""
    return w.sigmoid(-u) ** gamma * w.softplus(-u)


@margin(
    title="binary cross-entropy",
    cite="Cox 1958; Bishop 2006, eq. 4.90",
    twin="torch.nn.functional.binary_cross_entropy_with_logits",
)
def binary_cross_entropy(u: Expr) -> Expr:
    """-t log σ(z) - (1 - t) log σ(-z) for scores z and hard or soft labels t.

    The same formula as logistic; the name says that labels are probabilities.
    """
    return w.softplus(-u)
