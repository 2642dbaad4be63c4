"""The public names, all on one page; `lossmith` itself hands them out on first use."""

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
from lossmith.face import presets as presets
from lossmith.face.catalogue import FUNCTIONS as _FUNCTIONS
from lossmith.face.catalogue import MODULES as _MODULES
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
from lossmith.face.radial import Radial as Radial
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
_PLACES = {
    "risk.centers": ("CenterLoss",),
    "risk.adaptive": ("AdaptiveLoss",),
    "risk.learned": ("keep_inside",),
    "risk.sums.objective": ("Objective",),
    "risk.sums.weights": ("Uncertainty",),
    "risk.sums.schedules": ("LinearRamp", "CosineRamp"),
    "risk.sums.joint": ("JointProperties",),
    "risk.means.masses": ("mass_of", "global_masses"),
    "risk.means.averaging": ("micro_batches",),
    "risk.means.normalise": ("share_of_mean", "StepMean"),
    "risk.penalty.base": ("Penalty",),
    "risk.penalty.penalties": ("L1Penalty", "L2Penalty", "ElasticNet", "MCP", "SCAD"),
    "risk.penalty.groups": ("GroupLasso",),
    "risk.penalty.proximal": ("ProximalStep",),
    "risk.penalty.sparsity": ("Sparsity", "sparsity"),
    "risk.penalty.channels": ("ChannelRemoval", "remove_zero_channels"),
    "risk.classes.parallel": ("class_parallel_loss", "ClassParallelLoss"),
    "lab.picture.curves": ("plot",),
    "lab.picture.boundary": ("plot_decision_boundary",),
    "lab.picture.embedding": ("plot_embedding",),
    "lab.picture.landscape": ("plot_landscape",),
}
FURTHER_ON = {name: f"lossmith.{place}" for place, names in _PLACES.items() for name in names}

__all__ = [
    *("ArgumentError", "CacheWarning", "DeviceError", "DtypeError", "FormulaError", "InputError"),
    *("LabelError", "LossmithError", "ParameterError", "ShapeError", "UnsupportedError"),
    *("Fraction", "Interval", "NonNegative", "Positive", "Real", "Scale"),
    *("residual", "margin", "probability", "primitives", "presets"),
    *("Derivatives", "curve", "derivatives", "engine_for", "formula_of"),
    *("Loss", "CrammerSinger", "OneVsRest", "Radial"),
    *("LinearLoss", "linear_loss"),
    *_FUNCTIONS,
    *_MODULES,
    *FURTHER_ON,
]
