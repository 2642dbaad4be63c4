"""The public names, all on one page; `lossmith` itself hands them out on first use."""

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
from lossmith.face import presets as presets
from lossmith.face.catalogue import FUNCTIONS as _FUNCTIONS
from lossmith.face.catalogue import MODULES as _MODULES
from lossmith.face.divergences import JSDivergence as JSDivergence
from lossmith.face.divergences import KLDivergence as KLDivergence
from lossmith.face.divergences import js_divergence as js_divergence
from lossmith.face.divergences import kl_divergence as kl_divergence
from lossmith.face.inspect import Derivatives as Derivatives
from lossmith.face.inspect import curve as curve
from lossmith.face.inspect import derivatives as derivatives
from lossmith.face.inspect import engine_for as engine_for
from lossmith.face.inspect import formula_of as formula_of
from lossmith.face.linear import LinearLoss as LinearLoss
from lossmith.face.linear import linear_loss as linear_loss
from lossmith.face.modules import Loss as Loss
from lossmith.face.multiclass import CrammerSinger as CrammerSinger
from lossmith.face.multiclass import OneVsRest as OneVsRest
from lossmith.face.own import margin as margin
from lossmith.face.own import probability as probability
from lossmith.face.own import residual as residual
from lossmith.formula import words
from lossmith.formula.domain import Fraction as Fraction
from lossmith.formula.domain import Interval as Interval
from lossmith.formula.domain import NonNegative as NonNegative
from lossmith.formula.domain import Positive as Positive
from lossmith.formula.domain import Real as Real
from lossmith.formula.record import Scale as Scale

primitives = words
globals().update(_FUNCTIONS)
globals().update(_MODULES)

# Public names of the floors further on, which this one cannot import: where `lossmith` finds them.
FURTHER_ON = {
    "Penalty": "lossmith.risk.penalty.penalties",
    "L1Penalty": "lossmith.risk.penalty.penalties",
    "L2Penalty": "lossmith.risk.penalty.penalties",
    "ElasticNet": "lossmith.risk.penalty.penalties",
    "MCP": "lossmith.risk.penalty.penalties",
    "SCAD": "lossmith.risk.penalty.penalties",
    "GroupLasso": "lossmith.risk.penalty.groups",
    "ProximalStep": "lossmith.risk.penalty.proximal",
    "Sparsity": "lossmith.risk.penalty.sparsity",
    "sparsity": "lossmith.risk.penalty.sparsity",
    "ChannelRemoval": "lossmith.risk.penalty.channels",
    "remove_zero_channels": "lossmith.risk.penalty.channels",
    "AdaptiveLoss": "lossmith.risk.adaptive",
    "CenterLoss": "lossmith.risk.centers",
    "CosineRamp": "lossmith.risk.sums.schedules",
    "JointProperties": "lossmith.risk.sums.joint",
    "LinearRamp": "lossmith.risk.sums.schedules",
    "Objective": "lossmith.risk.sums.objective",
    "Uncertainty": "lossmith.risk.sums.weights",
    "ClassParallelLoss": "lossmith.risk.classes.parallel",
    "class_parallel_loss": "lossmith.risk.classes.parallel",
    "keep_inside": "lossmith.risk.learned",
    "mass_of": "lossmith.risk.means.masses",
    "global_masses": "lossmith.risk.means.masses",
    "micro_batches": "lossmith.risk.means.averaging",
    "share_of_mean": "lossmith.risk.means.normalise",
    "StepMean": "lossmith.risk.means.normalise",
}

__all__ = [
    *("CacheWarning", "DeviceError", "DtypeError", "FormulaError", "InputError", "LabelError"),
    *("LossmithError", "ParameterError", "ShapeError", "UnsupportedError"),
    *("Fraction", "Interval", "NonNegative", "Positive", "Real", "Scale"),
    *("residual", "margin", "probability", "primitives", "presets"),
    *("Derivatives", "curve", "derivatives", "engine_for", "formula_of"),
    *("Loss", "CrammerSinger", "OneVsRest"),
    *("LinearLoss", "linear_loss"),
    *("kl_divergence", "KLDivergence", "js_divergence", "JSDivergence"),
    *_FUNCTIONS,
    *_MODULES,
    *FURTHER_ON,
]
