"""Losses of a residual u = prediction - target: how far off, whatever the sign means."""

from typing import Annotated, Any

from lossmith.formula import words as w
from lossmith.formula.domain import Fraction, NonNegative, Real
from lossmith.formula.record import Scale, residual

Expr = Any
NINETY_FIVE = "95 % efficiency where the errors are normal with unit scale"


@residual(
    title="L1",
    cite="Boscovich 1757; Laplace 1774; Bloomfield & Steiger 1983, doi:10.1007/978-1-4684-8574-5",
    twin="torch.nn.functional.l1_loss; its slope at 0 is 0, here too",
)
def l1(u: Expr) -> Expr:
    """Absolute error: its minimiser is the median, so a few wild targets do not move the fit.

    The slope never fades, so late in training it overshoots unless the learning rate falls.
    """
    return abs(u)


@residual(
    title="L2",
    cite="Legendre 1805; Gauss 1809, Theoria motus, section 179",
    twin="torch.nn.functional.mse_loss (no half)",
)
def l2(u: Expr) -> Expr:
    """Squared error: its minimiser is the mean; best where errors are normal.

    A target that is off by k pulls k times as hard, so outliers take over the fit.
    """
    return u**2


@residual(
    title="Huber",
    scale=Scale("delta", 1.0, 2, "torch's default; 1.345 gives " + NINETY_FIVE),
    cite="Huber 1964, doi:10.1214/aoms/1177703732, eq. 1.2",
    twin="torch.nn.functional.huber_loss",
)
def huber(u: Expr) -> Expr:
    """Squared near zero, absolute beyond delta: the usual first choice against mild outliers.

    Equals delta · smooth_l1 with beta = delta.
    """
    return w.where(abs(u) <= 1, u**2 / 2, abs(u) - w.Rational(1, 2))


@residual(
    title="smooth L1",
    scale=Scale("beta", 1.0, 1, "as in Fast R-CNN and torch"),
    cite="Girshick 2015, Fast R-CNN, doi:10.1109/ICCV.2015.169, eq. 3",
    twin="torch.nn.functional.smooth_l1_loss",
)
def smooth_l1(u: Expr) -> Expr:
    """Absolute error with a rounded tip: slope at most 1, and it fades near zero.

    For box regression: no blow-up early, fine steps late. Equals huber / beta.
    """
    return w.where(abs(u) < 1, u**2 / 2, abs(u) - w.Rational(1, 2))


@residual(
    title="Tukey's biweight",
    scale=Scale("c", 4.685, 2, NINETY_FIVE),
    cite="Beaton & Tukey 1974, doi:10.1080/00401706.1974.10489171",
    start="huber",
)
def tukey_biweight(u: Expr) -> Expr:
    """Redescending: beyond c a residual no longer pulls at all.

    Against gross outliers; not convex, so start it from a robust fit (huber) and give c in units
    of the residual's scale.
    """
    return w.where(abs(u) <= 1, (3 * u**2 - 3 * u**4 + u**6) / 6, w.Rational(1, 6))


@residual(
    title="pseudo-Huber",
    scale=Scale("delta", 1.0, 2, "slope at most 1, as huber"),
    cite="Charbonnier et al. 1997, doi:10.1109/83.551699; Hartley & Zisserman 2003, sec. A6.8",
)
def pseudo_huber(u: Expr) -> Expr:
    """Huber's shape, smooth of every order: for optimisers that use curvature."""
    return w.hypot1m1(u)


@residual(
    title="log-cosh",
    cite="Green 1990, doi:10.1109/42.52985; Saleh & Saleh 2022, arXiv:2208.04564",
)
def log_cosh(u: Expr) -> Expr:
    """Half the square near zero, |u| - log 2 far out, smooth of every order, no parameter."""
    return w.log_cosh(u)


@residual(
    title="Cauchy",
    scale=Scale("c", 2.385, 2, NINETY_FIVE),
    cite="Holland & Welsch 1977, doi:10.1080/03610927708827533; Black & Anandan 1996",
    start="huber",
)
def cauchy(u: Expr) -> Expr:
    """Log-likelihood of Cauchy errors: outliers pull ever less, yet never quite stop."""
    return w.log1p_square(u) / 2


@residual(
    title="Welsch",
    scale=Scale("c", 2.985, 2, NINETY_FIVE),
    cite="Dennis & Welsch 1978, doi:10.1080/03610917808812083; Holland & Welsch 1977",
    start="huber",
)
def welsch(u: Expr) -> Expr:
    """Bounded and smooth (Leclerc, correntropy): outliers fade out like a Gaussian's tail."""
    return w.gauss_rise(u) / 2


@residual(
    title="Geman-McClure",
    scale=Scale("c", 1.0, 2, "as published; no efficiency tuning is customary"),
    cite="Geman & McClure 1987, Statistical methods for tomographic image reconstruction",
    start="huber",
)
def geman_mcclure(u: Expr) -> Expr:
    """Bounded and smooth, half a squared residual near zero: for heavy outliers in vision."""
    return w.unit(u) ** 2 / 2


@residual(
    title="Fair",
    scale=Scale("c", 1.4, 2, "1.3998 gives " + NINETY_FIVE),
    cite="Fair 1974, On the robust estimation of econometric models, Ann. Econ. Soc. Meas. 3:667",
)
def fair(u: Expr) -> Expr:
    """Convex with bounded slope and no kink in any derivative but the third."""
    return w.abs_minus_log1p(u)


@residual(
    cite="Koenker & Bassett 1978, doi:10.2307/1913643",
)
def pinball(
    u: Expr,
    tau: Annotated[Fraction, "the median"] = 0.5,
) -> Expr:
    """Quantile regression: its minimiser is the tau-quantile of the target.

    At u = 0 the slope is -tau, as in scikit-learn.
    """
    return w.where(u <= 0, -tau * u, (1 - tau) * u)


@residual(cite="Newey & Powell 1987, doi:10.2307/1911031")
def expectile(
    u: Expr,
    tau: Annotated[Fraction, "the mean"] = 0.5,
) -> Expr:
    """Asymmetric squares: its minimiser is the tau-expectile; a smooth cousin of the quantile."""
    return w.where(u <= 0, tau * u**2, (1 - tau) * u**2)


@residual(
    title="epsilon-insensitive",
    cite="Vapnik 1995, doi:10.1007/978-1-4757-2440-0, sec. 6.1; support vector regression",
)
def epsilon_insensitive(
    u: Expr,
    epsilon: Annotated[NonNegative, "scikit-learn's SGDRegressor and SVR"] = 0.1,
) -> Expr:
    """Absolute error outside a tube: residuals within epsilon cost nothing."""
    return w.where(abs(u) <= epsilon, 0, abs(u) - epsilon)


@residual(
    title="squared epsilon-insensitive",
    cite="Vapnik 1995, doi:10.1007/978-1-4757-2440-0, sec. 6.1",
)
def squared_epsilon_insensitive(
    u: Expr,
    epsilon: Annotated[NonNegative, "scikit-learn's SGDRegressor and LinearSVR"] = 0.1,
) -> Expr:
    """Squared error outside a tube: smooth at its edge, strict on large residuals."""
    return w.where(abs(u) <= epsilon, 0, (abs(u) - epsilon) ** 2)


@residual(
    title="Barron",
    scale=Scale("c", 1.0, 0, "the paper's default"),
    cite="Barron 2019, doi:10.1109/CVPR.2019.00446, eq. 1 and its limits eq. 8",
)
def barron(
    u: Expr,
    alpha: Annotated[Real, "between square and Cauchy: the smooth L1 (Charbonnier)"] = 1.0,
) -> Expr:
    """One family of robust losses, tuned by one number.

    From squared error (alpha = 2) over pseudo-Huber (1), Cauchy (0) and Geman-McClure (-2) towards
    Welsch (alpha → -∞).
    """
    b = abs(alpha - 2)
    general = b * w.half_boxcox1p(u / w.sqrt(b), alpha / 2)
    return w.where(w.Eq(alpha, 2), u**2 / 2, general)
