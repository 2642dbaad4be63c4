"""Made by `python -m lossmith.face.stubs` from the records. Edits are lost."""

from typing import Any, Literal, Protocol

from torch import Tensor

from lossmith.face.modules import Loss as Loss
from lossmith.formula.record import Formula
from lossmith.errors import ArgumentError as ArgumentError
from lossmith.errors import CacheWarning as CacheWarning
from lossmith.errors import DeviceError as DeviceError
from lossmith.errors import DtypeError as DtypeError
from lossmith.errors import FormulaError as FormulaError
from lossmith.errors import InputError as InputError
from lossmith.errors import LabelError as LabelError
from lossmith.errors import LossmithError as LossmithError
from lossmith.errors import ParameterError as ParameterError
from lossmith.errors import ShapeError as ShapeError
from lossmith.errors import UnsupportedError as UnsupportedError
from lossmith.formula.domain import Fraction as Fraction
from lossmith.formula.domain import Interval as Interval
from lossmith.formula.domain import NonNegative as NonNegative
from lossmith.formula.domain import Positive as Positive
from lossmith.formula.domain import Real as Real
from lossmith.formula.parameter import Scale as Scale
from lossmith.face.own import residual as residual
from lossmith.face.own import margin as margin
from lossmith.face.own import probability as probability
from lossmith.face import presets as presets
from lossmith.face.inspect import Derivatives as Derivatives
from lossmith.face.inspect import curve as curve
from lossmith.face.inspect import derivatives as derivatives
from lossmith.face.inspect import engine_for as engine_for
from lossmith.face.inspect import formula_of as formula_of
from lossmith.face.multiclass import CrammerSinger as CrammerSinger
from lossmith.face.multiclass import OneVsRest as OneVsRest
from lossmith.face.radial import Radial as Radial
from lossmith.face.linear import LinearLoss as LinearLoss
from lossmith.face.linear import linear_loss as linear_loss
from lossmith.risk.centers import CenterLoss as CenterLoss
from lossmith.risk.adaptive import AdaptiveLoss as AdaptiveLoss
from lossmith.risk.learned import keep_inside as keep_inside
from lossmith.risk.sums.objective import Objective as Objective
from lossmith.risk.sums.weights import Uncertainty as Uncertainty
from lossmith.risk.sums.schedules import LinearRamp as LinearRamp
from lossmith.risk.sums.schedules import CosineRamp as CosineRamp
from lossmith.risk.sums.joint import JointProperties as JointProperties
from lossmith.risk.means.masses import mass_of as mass_of
from lossmith.risk.means.masses import global_masses as global_masses
from lossmith.risk.means.averaging import micro_batches as micro_batches
from lossmith.risk.means.normalise import share_of_mean as share_of_mean
from lossmith.risk.means.normalise import StepMean as StepMean
from lossmith.risk.penalty.base import Penalty as Penalty
from lossmith.risk.penalty.penalties import L1Penalty as L1Penalty
from lossmith.risk.penalty.penalties import L2Penalty as L2Penalty
from lossmith.risk.penalty.penalties import ElasticNet as ElasticNet
from lossmith.risk.penalty.penalties import MCP as MCP
from lossmith.risk.penalty.penalties import SCAD as SCAD
from lossmith.risk.penalty.groups import GroupLasso as GroupLasso
from lossmith.risk.penalty.proximal import ProximalStep as ProximalStep
from lossmith.risk.penalty.sparsity import Sparsity as Sparsity
from lossmith.risk.penalty.sparsity import sparsity as sparsity
from lossmith.risk.penalty.channels import ChannelRemoval as ChannelRemoval
from lossmith.risk.penalty.channels import remove_zero_channels as remove_zero_channels
from lossmith.risk.classes.parallel import class_parallel_loss as class_parallel_loss
from lossmith.risk.classes.parallel import ClassParallelLoss as ClassParallelLoss
from lossmith.lab.picture.curves import plot as plot
from lossmith.lab.picture.boundary import plot_decision_boundary as plot_decision_boundary
from lossmith.lab.picture.embedding import plot_embedding as plot_embedding
from lossmith.lab.picture.landscape import plot_landscape as plot_landscape

__version__: str
primitives: Any
__all__ = [  # noqa: RUF022
    "ArgumentError",
    "CacheWarning",
    "DeviceError",
    "DtypeError",
    "FormulaError",
    "InputError",
    "LabelError",
    "LossmithError",
    "ParameterError",
    "ShapeError",
    "UnsupportedError",
    "Fraction",
    "Interval",
    "NonNegative",
    "Positive",
    "Real",
    "Scale",
    "residual",
    "margin",
    "probability",
    "primitives",
    "presets",
    "Derivatives",
    "curve",
    "derivatives",
    "engine_for",
    "formula_of",
    "Loss",
    "CrammerSinger",
    "OneVsRest",
    "Radial",
    "LinearLoss",
    "linear_loss",
    "l1",
    "l2",
    "huber",
    "smooth_l1",
    "tukey_biweight",
    "pseudo_huber",
    "log_cosh",
    "cauchy",
    "welsch",
    "geman_mcclure",
    "fair",
    "pinball",
    "expectile",
    "epsilon_insensitive",
    "squared_epsilon_insensitive",
    "barron",
    "zero_one",
    "hinge",
    "squared_hinge",
    "smoothed_hinge",
    "ramp",
    "perceptron",
    "logistic",
    "exponential",
    "modified_huber",
    "savage",
    "sigmoid_loss",
    "brier",
    "binary_focal",
    "binary_cross_entropy",
    "cross_entropy",
    "focal",
    "generalized_cross_entropy",
    "poly1",
    "kl_divergence",
    "js_divergence",
    "L1",
    "L2",
    "Huber",
    "SmoothL1",
    "TukeyBiweight",
    "PseudoHuber",
    "LogCosh",
    "Cauchy",
    "Welsch",
    "GemanMcclure",
    "Fair",
    "Pinball",
    "Expectile",
    "EpsilonInsensitive",
    "SquaredEpsilonInsensitive",
    "Barron",
    "ZeroOne",
    "Hinge",
    "SquaredHinge",
    "SmoothedHinge",
    "Ramp",
    "Perceptron",
    "Logistic",
    "Exponential",
    "ModifiedHuber",
    "Savage",
    "SigmoidLoss",
    "Brier",
    "BinaryFocal",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Focal",
    "GeneralizedCrossEntropy",
    "Poly1",
    "KLDivergence",
    "JSDivergence",
    "CenterLoss",
    "AdaptiveLoss",
    "keep_inside",
    "Objective",
    "Uncertainty",
    "LinearRamp",
    "CosineRamp",
    "JointProperties",
    "mass_of",
    "global_masses",
    "micro_batches",
    "share_of_mean",
    "StepMean",
    "Penalty",
    "L1Penalty",
    "L2Penalty",
    "ElasticNet",
    "MCP",
    "SCAD",
    "GroupLasso",
    "ProximalStep",
    "Sparsity",
    "sparsity",
    "ChannelRemoval",
    "remove_zero_channels",
    "class_parallel_loss",
    "ClassParallelLoss",
    "plot",
    "plot_decision_boundary",
    "plot_embedding",
    "plot_landscape",
]

class _L1Function(Protocol):
    formula: Formula
    Module: type[L1]
    def __call__(self, prediction: Tensor, target: Tensor, *, sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Absolute error: its minimiser is the median, so a few wild targets do not move the fit. ψ(u) = abs(u)."""
    def total(self, prediction: Tensor, target: Tensor, *, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

l1: _L1Function

class L1(Loss):
    """Absolute error: its minimiser is the median, so a few wild targets do not move the fit. ψ(u) = abs(u)."""
    def __init__(self, *, reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _L2Function(Protocol):
    formula: Formula
    Module: type[L2]
    def __call__(self, prediction: Tensor, target: Tensor, *, sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Squared error: its minimiser is the mean; best where errors are normal. ψ(u) = u ** 2."""
    def total(self, prediction: Tensor, target: Tensor, *, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

l2: _L2Function

class L2(Loss):
    """Squared error: its minimiser is the mean; best where errors are normal. ψ(u) = u ** 2."""
    def __init__(self, *, reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _HuberFunction(Protocol):
    formula: Formula
    Module: type[Huber]
    def __call__(self, prediction: Tensor, target: Tensor, delta: float | Tensor = 1.0, *, sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Squared near zero, absolute beyond delta: the usual first choice against mild outliers. ψ(u) = delta^2·ψ₀(u/delta), ψ₀(u) = where(abs(u) <= 1, u ** 2 / 2, abs(u) - Rational(1, 2))."""
    def total(self, prediction: Tensor, target: Tensor, delta: float | Tensor = 1.0, *, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

huber: _HuberFunction

class Huber(Loss):
    """Squared near zero, absolute beyond delta: the usual first choice against mild outliers. ψ(u) = delta^2·ψ₀(u/delta), ψ₀(u) = where(abs(u) <= 1, u ** 2 / 2, abs(u) - Rational(1, 2))."""
    delta: float | Tensor
    def __init__(self, delta: float | Tensor = 1.0, *, reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _SmoothL1Function(Protocol):
    formula: Formula
    Module: type[SmoothL1]
    def __call__(self, prediction: Tensor, target: Tensor, beta: float | Tensor = 1.0, *, sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Absolute error with a rounded tip: slope at most 1, and it fades near zero. ψ(u) = beta·ψ₀(u/beta), ψ₀(u) = where(abs(u) < 1, u ** 2 / 2, abs(u) - Rational(1, 2))."""
    def total(self, prediction: Tensor, target: Tensor, beta: float | Tensor = 1.0, *, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

smooth_l1: _SmoothL1Function

class SmoothL1(Loss):
    """Absolute error with a rounded tip: slope at most 1, and it fades near zero. ψ(u) = beta·ψ₀(u/beta), ψ₀(u) = where(abs(u) < 1, u ** 2 / 2, abs(u) - Rational(1, 2))."""
    beta: float | Tensor
    def __init__(self, beta: float | Tensor = 1.0, *, reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _TukeyBiweightFunction(Protocol):
    formula: Formula
    Module: type[TukeyBiweight]
    def __call__(self, prediction: Tensor, target: Tensor, c: float | Tensor = 4.685, *, sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Redescending: beyond c a residual no longer pulls at all. ψ(u) = c^2·ψ₀(u/c), ψ₀(u) = where(abs(u) <= 1, (3 * u ** 2 - 3 * u ** 4 + u ** 6) / 6, Rational(1, 6))."""
    def total(self, prediction: Tensor, target: Tensor, c: float | Tensor = 4.685, *, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

tukey_biweight: _TukeyBiweightFunction

class TukeyBiweight(Loss):
    """Redescending: beyond c a residual no longer pulls at all. ψ(u) = c^2·ψ₀(u/c), ψ₀(u) = where(abs(u) <= 1, (3 * u ** 2 - 3 * u ** 4 + u ** 6) / 6, Rational(1, 6))."""
    c: float | Tensor
    def __init__(self, c: float | Tensor = 4.685, *, reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _PseudoHuberFunction(Protocol):
    formula: Formula
    Module: type[PseudoHuber]
    def __call__(self, prediction: Tensor, target: Tensor, delta: float | Tensor = 1.0, *, sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Huber's shape, smooth of every order: for optimisers that use curvature. ψ(u) = delta^2·ψ₀(u/delta), ψ₀(u) = hypot1m1(u)."""
    def total(self, prediction: Tensor, target: Tensor, delta: float | Tensor = 1.0, *, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

pseudo_huber: _PseudoHuberFunction

class PseudoHuber(Loss):
    """Huber's shape, smooth of every order: for optimisers that use curvature. ψ(u) = delta^2·ψ₀(u/delta), ψ₀(u) = hypot1m1(u)."""
    delta: float | Tensor
    def __init__(self, delta: float | Tensor = 1.0, *, reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _LogCoshFunction(Protocol):
    formula: Formula
    Module: type[LogCosh]
    def __call__(self, prediction: Tensor, target: Tensor, *, sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Half the square near zero, |u| - log 2 far out, smooth of every order, no parameter. ψ(u) = log_cosh(u)."""
    def total(self, prediction: Tensor, target: Tensor, *, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

log_cosh: _LogCoshFunction

class LogCosh(Loss):
    """Half the square near zero, |u| - log 2 far out, smooth of every order, no parameter. ψ(u) = log_cosh(u)."""
    def __init__(self, *, reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _CauchyFunction(Protocol):
    formula: Formula
    Module: type[Cauchy]
    def __call__(self, prediction: Tensor, target: Tensor, c: float | Tensor = 2.385, *, sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Log-likelihood of Cauchy errors: outliers pull ever less, yet never quite stop. ψ(u) = c^2·ψ₀(u/c), ψ₀(u) = log1p_square(u) / 2."""
    def total(self, prediction: Tensor, target: Tensor, c: float | Tensor = 2.385, *, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

cauchy: _CauchyFunction

class Cauchy(Loss):
    """Log-likelihood of Cauchy errors: outliers pull ever less, yet never quite stop. ψ(u) = c^2·ψ₀(u/c), ψ₀(u) = log1p_square(u) / 2."""
    c: float | Tensor
    def __init__(self, c: float | Tensor = 2.385, *, reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _WelschFunction(Protocol):
    formula: Formula
    Module: type[Welsch]
    def __call__(self, prediction: Tensor, target: Tensor, c: float | Tensor = 2.985, *, sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Bounded and smooth (Leclerc, correntropy): outliers fade out like a Gaussian's tail. ψ(u) = c^2·ψ₀(u/c), ψ₀(u) = gauss_rise(u) / 2."""
    def total(self, prediction: Tensor, target: Tensor, c: float | Tensor = 2.985, *, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

welsch: _WelschFunction

class Welsch(Loss):
    """Bounded and smooth (Leclerc, correntropy): outliers fade out like a Gaussian's tail. ψ(u) = c^2·ψ₀(u/c), ψ₀(u) = gauss_rise(u) / 2."""
    c: float | Tensor
    def __init__(self, c: float | Tensor = 2.985, *, reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _GemanMcclureFunction(Protocol):
    formula: Formula
    Module: type[GemanMcclure]
    def __call__(self, prediction: Tensor, target: Tensor, c: float | Tensor = 1.0, *, sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Bounded and smooth, half a squared residual near zero: for heavy outliers in vision. ψ(u) = c^2·ψ₀(u/c), ψ₀(u) = unit(u) ** 2 / 2."""
    def total(self, prediction: Tensor, target: Tensor, c: float | Tensor = 1.0, *, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

geman_mcclure: _GemanMcclureFunction

class GemanMcclure(Loss):
    """Bounded and smooth, half a squared residual near zero: for heavy outliers in vision. ψ(u) = c^2·ψ₀(u/c), ψ₀(u) = unit(u) ** 2 / 2."""
    c: float | Tensor
    def __init__(self, c: float | Tensor = 1.0, *, reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _FairFunction(Protocol):
    formula: Formula
    Module: type[Fair]
    def __call__(self, prediction: Tensor, target: Tensor, c: float | Tensor = 1.4, *, sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Convex with bounded slope and no kink in any derivative but the third. ψ(u) = c^2·ψ₀(u/c), ψ₀(u) = abs_minus_log1p(u)."""
    def total(self, prediction: Tensor, target: Tensor, c: float | Tensor = 1.4, *, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

fair: _FairFunction

class Fair(Loss):
    """Convex with bounded slope and no kink in any derivative but the third. ψ(u) = c^2·ψ₀(u/c), ψ₀(u) = abs_minus_log1p(u)."""
    c: float | Tensor
    def __init__(self, c: float | Tensor = 1.4, *, reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _PinballFunction(Protocol):
    formula: Formula
    Module: type[Pinball]
    def __call__(self, prediction: Tensor, target: Tensor, tau: float | Tensor = 0.5, *, sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Quantile regression: its minimiser is the tau-quantile of the target. ψ(u) = where(u <= 0, -tau * u, (1 - tau) * u)."""
    def total(self, prediction: Tensor, target: Tensor, tau: float | Tensor = 0.5, *, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

pinball: _PinballFunction

class Pinball(Loss):
    """Quantile regression: its minimiser is the tau-quantile of the target. ψ(u) = where(u <= 0, -tau * u, (1 - tau) * u)."""
    tau: float | Tensor
    def __init__(self, tau: float | Tensor = 0.5, *, reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _ExpectileFunction(Protocol):
    formula: Formula
    Module: type[Expectile]
    def __call__(self, prediction: Tensor, target: Tensor, tau: float | Tensor = 0.5, *, sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Asymmetric squares: its minimiser is the tau-expectile; a smooth cousin of the quantile. ψ(u) = where(u <= 0, tau * u ** 2, (1 - tau) * u ** 2)."""
    def total(self, prediction: Tensor, target: Tensor, tau: float | Tensor = 0.5, *, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

expectile: _ExpectileFunction

class Expectile(Loss):
    """Asymmetric squares: its minimiser is the tau-expectile; a smooth cousin of the quantile. ψ(u) = where(u <= 0, tau * u ** 2, (1 - tau) * u ** 2)."""
    tau: float | Tensor
    def __init__(self, tau: float | Tensor = 0.5, *, reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _EpsilonInsensitiveFunction(Protocol):
    formula: Formula
    Module: type[EpsilonInsensitive]
    def __call__(self, prediction: Tensor, target: Tensor, epsilon: float | Tensor = 0.1, *, sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Absolute error outside a tube: residuals within epsilon cost nothing. ψ(u) = where(abs(u) <= epsilon, 0, abs(u) - epsilon)."""
    def total(self, prediction: Tensor, target: Tensor, epsilon: float | Tensor = 0.1, *, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

epsilon_insensitive: _EpsilonInsensitiveFunction

class EpsilonInsensitive(Loss):
    """Absolute error outside a tube: residuals within epsilon cost nothing. ψ(u) = where(abs(u) <= epsilon, 0, abs(u) - epsilon)."""
    epsilon: float | Tensor
    def __init__(self, epsilon: float | Tensor = 0.1, *, reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _SquaredEpsilonInsensitiveFunction(Protocol):
    formula: Formula
    Module: type[SquaredEpsilonInsensitive]
    def __call__(self, prediction: Tensor, target: Tensor, epsilon: float | Tensor = 0.1, *, sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Squared error outside a tube: smooth at its edge, strict on large residuals. ψ(u) = where(abs(u) <= epsilon, 0, (abs(u) - epsilon) ** 2)."""
    def total(self, prediction: Tensor, target: Tensor, epsilon: float | Tensor = 0.1, *, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

squared_epsilon_insensitive: _SquaredEpsilonInsensitiveFunction

class SquaredEpsilonInsensitive(Loss):
    """Squared error outside a tube: smooth at its edge, strict on large residuals. ψ(u) = where(abs(u) <= epsilon, 0, (abs(u) - epsilon) ** 2)."""
    epsilon: float | Tensor
    def __init__(self, epsilon: float | Tensor = 0.1, *, reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _BarronFunction(Protocol):
    formula: Formula
    Module: type[Barron]
    def __call__(self, prediction: Tensor, target: Tensor, alpha: float | Tensor = 1.0, c: float | Tensor = 1.0, *, sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """One family of robust losses, tuned by one number. ψ(u) = ψ₀(u/c), ψ₀(u) = where(Eq(alpha, 2), u ** 2 / 2, general), b = abs(alpha - 2), general = b * half_boxcox1p(u / sqrt(b), alpha / 2)."""
    def total(self, prediction: Tensor, target: Tensor, alpha: float | Tensor = 1.0, c: float | Tensor = 1.0, *, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

barron: _BarronFunction

class Barron(Loss):
    """One family of robust losses, tuned by one number. ψ(u) = ψ₀(u/c), ψ₀(u) = where(Eq(alpha, 2), u ** 2 / 2, general), b = abs(alpha - 2), general = b * half_boxcox1p(u / sqrt(b), alpha / 2)."""
    alpha: float | Tensor
    c: float | Tensor
    def __init__(self, alpha: float | Tensor = 1.0, c: float | Tensor = 1.0, *, reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _ZeroOneFunction(Protocol):
    formula: Formula
    Module: type[ZeroOne]
    def __call__(self, scores: Tensor, target: Tensor, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """1 when wrong, 0 when right; a tie (u = 0) is an error. To report, not to train: slope 0. ψ(u) = where(u <= 0, 1, 0)."""
    def total(self, scores: Tensor, target: Tensor, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

zero_one: _ZeroOneFunction

class ZeroOne(Loss):
    """1 when wrong, 0 when right; a tie (u = 0) is an error. To report, not to train: slope 0. ψ(u) = where(u <= 0, 1, 0)."""
    def __init__(self, *, labels: Literal["binary", "signed"] = "binary", reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _HingeFunction(Protocol):
    formula: Formula
    Module: type[Hinge]
    def __call__(self, scores: Tensor, target: Tensor, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """The support vector machine's loss: right by less than 1 still costs, by more is free. ψ(u) = where(u < 1, 1 - u, 0)."""
    def total(self, scores: Tensor, target: Tensor, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

hinge: _HingeFunction

class Hinge(Loss):
    """The support vector machine's loss: right by less than 1 still costs, by more is free. ψ(u) = where(u < 1, 1 - u, 0)."""
    def __init__(self, *, labels: Literal["binary", "signed"] = "binary", reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _SquaredHingeFunction(Protocol):
    formula: Formula
    Module: type[SquaredHinge]
    def __call__(self, scores: Tensor, target: Tensor, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Hinge, squared: smooth at the edge of the margin, harder on gross errors. ψ(u) = where(u < 1, (1 - u) ** 2, 0)."""
    def total(self, scores: Tensor, target: Tensor, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

squared_hinge: _SquaredHingeFunction

class SquaredHinge(Loss):
    """Hinge, squared: smooth at the edge of the margin, harder on gross errors. ψ(u) = where(u < 1, (1 - u) ** 2, 0)."""
    def __init__(self, *, labels: Literal["binary", "signed"] = "binary", reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _SmoothedHingeFunction(Protocol):
    formula: Formula
    Module: type[SmoothedHinge]
    def __call__(self, scores: Tensor, target: Tensor, gamma: float | Tensor = 1.0, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Hinge with its corner rounded over a width gamma: for solvers that need a smooth slope. ψ(u) = where(u < 1 - gamma, 1 - u - gamma / 2, where(u < 1, (1 - u) ** 2 / (2 * gamma), 0))."""
    def total(self, scores: Tensor, target: Tensor, gamma: float | Tensor = 1.0, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

smoothed_hinge: _SmoothedHingeFunction

class SmoothedHinge(Loss):
    """Hinge with its corner rounded over a width gamma: for solvers that need a smooth slope. ψ(u) = where(u < 1 - gamma, 1 - u - gamma / 2, where(u < 1, (1 - u) ** 2 / (2 * gamma), 0))."""
    gamma: float | Tensor
    def __init__(self, gamma: float | Tensor = 1.0, *, labels: Literal["binary", "signed"] = "binary", reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _RampFunction(Protocol):
    formula: Formula
    Module: type[Ramp]
    def __call__(self, scores: Tensor, target: Tensor, s: float | Tensor = -1.0, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Hinge with a cap: min(1 - s, max(0, 1 - u)). A wrong label cannot pull without limit. ψ(u) = where(u < s, 1 - s, where(u < 1, 1 - u, 0))."""
    def total(self, scores: Tensor, target: Tensor, s: float | Tensor = -1.0, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

ramp: _RampFunction

class Ramp(Loss):
    """Hinge with a cap: min(1 - s, max(0, 1 - u)). A wrong label cannot pull without limit. ψ(u) = where(u < s, 1 - s, where(u < 1, 1 - u, 0))."""
    s: float | Tensor
    def __init__(self, s: float | Tensor = -1.0, *, labels: Literal["binary", "signed"] = "binary", reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _PerceptronFunction(Protocol):
    formula: Formula
    Module: type[Perceptron]
    def __call__(self, scores: Tensor, target: Tensor, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Only mistakes cost, in proportion to how wrong; no margin is asked for. ψ(u) = where(u < 0, -u, 0)."""
    def total(self, scores: Tensor, target: Tensor, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

perceptron: _PerceptronFunction

class Perceptron(Loss):
    """Only mistakes cost, in proportion to how wrong; no margin is asked for. ψ(u) = where(u < 0, -u, 0)."""
    def __init__(self, *, labels: Literal["binary", "signed"] = "binary", reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _LogisticFunction(Protocol):
    formula: Formula
    Module: type[Logistic]
    def __call__(self, scores: Tensor, target: Tensor, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Negative log-likelihood of a logistic model: smooth, calibrated, linear in gross errors. ψ(u) = softplus(-u)."""
    def total(self, scores: Tensor, target: Tensor, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

logistic: _LogisticFunction

class Logistic(Loss):
    """Negative log-likelihood of a logistic model: smooth, calibrated, linear in gross errors. ψ(u) = softplus(-u)."""
    def __init__(self, *, labels: Literal["binary", "signed"] = "binary", reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _ExponentialFunction(Protocol):
    formula: Formula
    Module: type[Exponential]
    def __call__(self, scores: Tensor, target: Tensor, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """AdaBoost's loss: mistakes weigh exponentially, so a wrong label can dominate everything. ψ(u) = exp(-u)."""
    def total(self, scores: Tensor, target: Tensor, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

exponential: _ExponentialFunction

class Exponential(Loss):
    """AdaBoost's loss: mistakes weigh exponentially, so a wrong label can dominate everything. ψ(u) = exp(-u)."""
    def __init__(self, *, labels: Literal["binary", "signed"] = "binary", reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _ModifiedHuberFunction(Protocol):
    formula: Formula
    Module: type[ModifiedHuber]
    def __call__(self, scores: Tensor, target: Tensor, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Squared hinge, linear below -1: smooth, tolerant of outliers, gives probabilities. ψ(u) = where(u < -1, -4 * u, where(u < 1, (1 - u) ** 2, 0))."""
    def total(self, scores: Tensor, target: Tensor, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

modified_huber: _ModifiedHuberFunction

class ModifiedHuber(Loss):
    """Squared hinge, linear below -1: smooth, tolerant of outliers, gives probabilities. ψ(u) = where(u < -1, -4 * u, where(u < 1, (1 - u) ** 2, 0))."""
    def __init__(self, *, labels: Literal["binary", "signed"] = "binary", reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _SavageFunction(Protocol):
    formula: Formula
    Module: type[Savage]
    def __call__(self, scores: Tensor, target: Tensor, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """σ(-2u)²: calibrated and bounded, so outliers and wrong labels lose their pull. ψ(u) = sigmoid(-2 * u) ** 2."""
    def total(self, scores: Tensor, target: Tensor, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

savage: _SavageFunction

class Savage(Loss):
    """σ(-2u)²: calibrated and bounded, so outliers and wrong labels lose their pull. ψ(u) = sigmoid(-2 * u) ** 2."""
    def __init__(self, *, labels: Literal["binary", "signed"] = "binary", reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _SigmoidLossFunction(Protocol):
    formula: Formula
    Module: type[SigmoidLoss]
    def __call__(self, scores: Tensor, target: Tensor, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """σ(-u): a smooth 0-1 loss; symmetric, hence robust to uniform label noise; not convex. ψ(u) = sigmoid(-u)."""
    def total(self, scores: Tensor, target: Tensor, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

sigmoid_loss: _SigmoidLossFunction

class SigmoidLoss(Loss):
    """σ(-u): a smooth 0-1 loss; symmetric, hence robust to uniform label noise; not convex. ψ(u) = sigmoid(-u)."""
    def __init__(self, *, labels: Literal["binary", "signed"] = "binary", reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _BrierFunction(Protocol):
    formula: Formula
    Module: type[Brier]
    def __call__(self, scores: Tensor, target: Tensor, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """(1 - σ(u))²: L2 after a sigmoid. Proper, bounded; its slope dies where it is most wrong. ψ(u) = sigmoid(-u) ** 2."""
    def total(self, scores: Tensor, target: Tensor, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

brier: _BrierFunction

class Brier(Loss):
    """(1 - σ(u))²: L2 after a sigmoid. Proper, bounded; its slope dies where it is most wrong. ψ(u) = sigmoid(-u) ** 2."""
    def __init__(self, *, labels: Literal["binary", "signed"] = "binary", reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _BinaryFocalFunction(Protocol):
    formula: Formula
    Module: type[BinaryFocal]
    def __call__(self, scores: Tensor, target: Tensor, gamma: float | Tensor = 2.0, *, labels: Literal["binary", "signed"] = "binary", alpha: float | None = None, sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Cross-entropy turned down by (1 - p)^gamma where it is already easy: for rare positives. ψ(u) = sigmoid(-u) ** gamma * softplus(-u)."""
    def total(self, scores: Tensor, target: Tensor, gamma: float | Tensor = 2.0, *, labels: Literal["binary", "signed"] = "binary", alpha: float | None = None, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

binary_focal: _BinaryFocalFunction

class BinaryFocal(Loss):
    """Cross-entropy turned down by (1 - p)^gamma where it is already easy: for rare positives. ψ(u) = sigmoid(-u) ** gamma * softplus(-u)."""
    gamma: float | Tensor
    def __init__(self, gamma: float | Tensor = 2.0, *, labels: Literal["binary", "signed"] = "binary", alpha: float | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _BinaryCrossEntropyFunction(Protocol):
    formula: Formula
    Module: type[BinaryCrossEntropy]
    def __call__(self, scores: Tensor, target: Tensor, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """-t log σ(z) - (1 - t) log σ(-z) for scores z and hard or soft labels t. ψ(u) = softplus(-u)."""
    def total(self, scores: Tensor, target: Tensor, *, labels: Literal["binary", "signed"] = "binary", sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

binary_cross_entropy: _BinaryCrossEntropyFunction

class BinaryCrossEntropy(Loss):
    """-t log σ(z) - (1 - t) log σ(-z) for scores z and hard or soft labels t. ψ(u) = softplus(-u)."""
    def __init__(self, *, labels: Literal["binary", "signed"] = "binary", reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, scores: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _CrossEntropyFunction(Protocol):
    formula: Formula
    Module: type[CrossEntropy]
    def __call__(self, logits: Tensor, target: Tensor, *, class_weight: Tensor | None = None, label_smoothing: float = 0.0, ignore_index: int = -100, sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """-log p: the negative log-likelihood. The default for classification, and the baseline. ψ(u) = -u."""
    def total(self, logits: Tensor, target: Tensor, *, class_weight: Tensor | None = None, label_smoothing: float = 0.0, ignore_index: int = -100, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

cross_entropy: _CrossEntropyFunction

class CrossEntropy(Loss):
    """-log p: the negative log-likelihood. The default for classification, and the baseline. ψ(u) = -u."""
    def __init__(self, *, class_weight: Tensor | None = None, label_smoothing: float = 0.0, ignore_index: int = -100, reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, logits: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, logits: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, logits: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _FocalFunction(Protocol):
    formula: Formula
    Module: type[Focal]
    def __call__(self, logits: Tensor, target: Tensor, gamma: float | Tensor = 2.0, *, alpha: Tensor | None = None, class_weight: Tensor | None = None, label_smoothing: float = 0.0, ignore_index: int = -100, sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """(1 - p)^gamma times cross-entropy: easy examples step back, hard and rare ones count. ψ(u) = -u * complement(u) ** gamma."""
    def total(self, logits: Tensor, target: Tensor, gamma: float | Tensor = 2.0, *, alpha: Tensor | None = None, class_weight: Tensor | None = None, label_smoothing: float = 0.0, ignore_index: int = -100, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

focal: _FocalFunction

class Focal(Loss):
    """(1 - p)^gamma times cross-entropy: easy examples step back, hard and rare ones count. ψ(u) = -u * complement(u) ** gamma."""
    gamma: float | Tensor
    def __init__(self, gamma: float | Tensor = 2.0, *, alpha: Tensor | None = None, class_weight: Tensor | None = None, label_smoothing: float = 0.0, ignore_index: int = -100, reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, logits: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, logits: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, logits: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _GeneralizedCrossEntropyFunction(Protocol):
    formula: Formula
    Module: type[GeneralizedCrossEntropy]
    def __call__(self, logits: Tensor, target: Tensor, q: float | Tensor = 0.7, *, class_weight: Tensor | None = None, label_smoothing: float = 0.0, ignore_index: int = -100, sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """(1 - p^q) / q: between cross-entropy (q → 0) and mean absolute error (q = 1). ψ(u) = -exp_rise(u, q)."""
    def total(self, logits: Tensor, target: Tensor, q: float | Tensor = 0.7, *, class_weight: Tensor | None = None, label_smoothing: float = 0.0, ignore_index: int = -100, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

generalized_cross_entropy: _GeneralizedCrossEntropyFunction

class GeneralizedCrossEntropy(Loss):
    """(1 - p^q) / q: between cross-entropy (q → 0) and mean absolute error (q = 1). ψ(u) = -exp_rise(u, q)."""
    q: float | Tensor
    def __init__(self, q: float | Tensor = 0.7, *, class_weight: Tensor | None = None, label_smoothing: float = 0.0, ignore_index: int = -100, reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, logits: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, logits: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, logits: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _Poly1Function(Protocol):
    formula: Formula
    Module: type[Poly1]
    def __call__(self, logits: Tensor, target: Tensor, epsilon: float | Tensor = 1.0, *, class_weight: Tensor | None = None, label_smoothing: float = 0.0, ignore_index: int = -100, sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Cross-entropy + epsilon·(1 - p): one more term of its series, tuned by one number. ψ(u) = exp_excess(u) + (1 + epsilon) * complement(u)."""
    def total(self, logits: Tensor, target: Tensor, epsilon: float | Tensor = 1.0, *, class_weight: Tensor | None = None, label_smoothing: float = 0.0, ignore_index: int = -100, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

poly1: _Poly1Function

class Poly1(Loss):
    """Cross-entropy + epsilon·(1 - p): one more term of its series, tuned by one number. ψ(u) = exp_excess(u) + (1 + epsilon) * complement(u)."""
    epsilon: float | Tensor
    def __init__(self, epsilon: float | Tensor = 1.0, *, class_weight: Tensor | None = None, label_smoothing: float = 0.0, ignore_index: int = -100, reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, logits: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def forward(self, logits: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor: ...
    def total(self, logits: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _KLDivergenceFunction(Protocol):
    formula: Formula
    Module: type[KLDivergence]
    def __call__(self, logits: Tensor, target_probs: Tensor | None = None, *, target_logits: Tensor | None = None, direction: Literal["forward", "reverse"] = "forward", sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """KL(a‖b) = Σ a·log(a/b): what it costs to code a by b. Not symmetric, not bounded. ψ(u) = exp_excess(u)."""
    def total(self, logits: Tensor, target_probs: Tensor | None = None, *, target_logits: Tensor | None = None, direction: Literal["forward", "reverse"] = "forward", sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

kl_divergence: _KLDivergenceFunction

class KLDivergence(Loss):
    """KL(a‖b) = Σ a·log(a/b): what it costs to code a by b. Not symmetric, not bounded. ψ(u) = exp_excess(u)."""
    def __init__(self, *, direction: Literal["forward", "reverse"] = "forward", reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, logits: Tensor, target_probs: Tensor | None = None, sample_weight: Tensor | None = None, mask: Tensor | None = None, *, target_logits: Tensor | None = None) -> Tensor: ...
    def forward(self, logits: Tensor, target_probs: Tensor | None = None, sample_weight: Tensor | None = None, mask: Tensor | None = None, *, target_logits: Tensor | None = None) -> Tensor: ...
    def total(self, logits: Tensor, target_probs: Tensor | None = None, sample_weight: Tensor | None = None, mask: Tensor | None = None, *, target_logits: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

class _JSDivergenceFunction(Protocol):
    formula: Formula
    Module: type[JSDivergence]
    def __call__(self, logits: Tensor, target_probs: Tensor | None = None, *, target_logits: Tensor | None = None, sample_weight: Tensor | None = None, mask: Tensor | None = None, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """½ KL(a‖m) + ½ KL(b‖m) with m = (a + b)/2: symmetric, finite always, at most log 2. ψ(u) = (1 + exp(u)) / 2 * where(abs(u) <= 2, near, far), x = u / 2, near = x * tanh(x) - log_cosh(x), far = log(2) - abs(u) * sigmoid(-abs(u)) - softplus(-abs(u))."""
    def total(self, logits: Tensor, target_probs: Tensor | None = None, *, target_logits: Tensor | None = None, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

js_divergence: _JSDivergenceFunction

class JSDivergence(Loss):
    """½ KL(a‖m) + ½ KL(b‖m) with m = (a + b)/2: symmetric, finite always, at most log 2. ψ(u) = (1 + exp(u)) / 2 * where(abs(u) <= 2, near, far), x = u / 2, near = x * tanh(x) - log_cosh(x), far = log(2) - abs(u) * sigmoid(-abs(u)) - softplus(-abs(u))."""
    def __init__(self, *, reduction: Literal["mean", "sum", "none"] = "mean") -> None: ...
    def __call__(self, logits: Tensor, target_probs: Tensor | None = None, sample_weight: Tensor | None = None, mask: Tensor | None = None, *, target_logits: Tensor | None = None) -> Tensor: ...
    def forward(self, logits: Tensor, target_probs: Tensor | None = None, sample_weight: Tensor | None = None, mask: Tensor | None = None, *, target_logits: Tensor | None = None) -> Tensor: ...
    def total(self, logits: Tensor, target_probs: Tensor | None = None, sample_weight: Tensor | None = None, mask: Tensor | None = None, *, target_logits: Tensor | None = None) -> tuple[Tensor, Tensor]: ...
