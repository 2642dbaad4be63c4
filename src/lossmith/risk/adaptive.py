"""Barron's adaptive loss: how robust to be, and at what scale, learned with the model."""

from __future__ import annotations

import math
from typing import Any, Never

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossmith.engine.choose import CALLS
from lossmith.engine.reduction import reduced, summed
from lossmith.errors import ParameterError, ShapeError
from lossmith.face import names, settings
from lossmith.face.catalogue import FUNCTIONS
from lossmith.face.summand import Summand
from lossmith.formula.domain import as_number
from lossmith.link import shapes
from lossmith.link.counting import counted
from lossmith.link.dtypes import compute_dtype
from lossmith.risk.partition import log_partition

_NAME = "AdaptiveLoss"
_barron = FUNCTIONS["barron"]


class AdaptiveLoss(Summand, nn.Module):
    """The negative log-likelihood of Barron's family: its shape alpha and scale c are learned.

    Without log(c·Z(alpha)) a learned alpha only falls and a learned c only grows, for that makes
    every residual cheaper; as a likelihood both have to pay for the outliers that they allow.

    Formula:
        loss = ρ(u, alpha, c) + log(c·Z(alpha)), u = prediction - target, ρ = `barron`,
        Z(alpha) = ∫ exp(-ρ(x, alpha, 1)) dx
        alpha = low + (high - low)·σ(latent_alpha)
        c = scale_min + softplus(latent_scale)

    Shapes:
        prediction: any shape; with columns=D its last dimension has size D.
        target: the prediction's shape. sample_weight, mask: the same, or a size of 1 where
            they repeat.
        Result: a scalar, or with reduction="none" one loss for each element.
        alpha, scale: (), or with columns=D one for each column, (D,); both are attributes.

    Parameters:
        columns (default None): None learns one alpha and one c for all; a number D learns them
            for each of D columns, which may differ in units and in outliers.
        alpha (default 1.0): where the shape starts, in [0, 2]: 2 is a Gaussian, 0 a Cauchy.
        scale (default 1.0): where c starts, in units of the residual; above scale_min.
        learn_alpha (default True): False holds alpha at its start, for example a Gaussian (2) or
            a Cauchy (0) with a learned scale.
        learn_scale (default True): False holds c at its start.
        alpha_range (default (0.001, 1.999)): (low, high) within [0, 2], the paper's choice. A
            learned alpha starts strictly inside. At exactly 2, ∂ρ/∂alpha is infinite in the limit.
        scale_min (default 1e-05): below it c does not go, so a column without noise stays finite.
        reduction (default "mean"): "mean" = total / mass, mass = Σ weight; "sum", or "none".
        forward(prediction, target, sample_weight=None, mask=None) takes the data of a batch.

    Give latent_alpha and latent_scale to the optimiser with the model (`loss.parameters()`),
    without weight decay. A likelihood can be negative; that is no fault.

    Errors:
        InputError (a ValueError) for wrong shapes, dtypes and parameters: what was given, what is
        needed. A batch of mass 0 gives a connected 0.

    Source: Barron 2019, A general and adaptive robust loss function, doi:10.1109/CVPR.2019.00446,
    eq. 16 (likelihood) and appendix (latent variables).
    """

    latent_alpha: Tensor | None
    latent_scale: Tensor | None

    def __init__(
        self,
        columns: int | None = None,
        alpha: float = 1.0,
        scale: float = 1.0,
        *,
        learn_alpha: bool = True,
        learn_scale: bool = True,
        alpha_range: tuple[float, float] = (0.001, 1.999),
        scale_min: float = 1e-5,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        columns = None if columns is None else settings.count(_NAME, "columns", columns)
        low, high = _range(alpha_range)
        self.columns, self.alpha_range = columns, (low, high)
        self.scale_min = _above("scale_min", scale_min, 0.0)
        self.reduction = settings.reduction(_NAME, reduction)
        self._alpha = _within("alpha", alpha, learn_alpha, low, high)
        self._scale = _above("scale", scale, self.scale_min, "scale_min, ")
        shape = () if columns is None else (int(columns),)
        self.latent_alpha = self.latent_scale = None
        if learn_alpha:
            share = (self._alpha - low) / (high - low)
            self.latent_alpha = nn.Parameter(torch.full(shape, math.log(share / (1 - share))))
        if learn_scale:
            start = _softplus_inverse(self._scale - self.scale_min)
            self.latent_scale = nn.Parameter(torch.full(shape, start))

    @property
    def alpha(self) -> Tensor:
        """The shape, as the latent variable has it now."""
        if self.latent_alpha is None:
            return self._constant(self._alpha)
        low, high = self.alpha_range
        return low + (high - low) * torch.sigmoid(self.latent_alpha)

    @property
    def scale(self) -> Tensor:
        """The scale c, as the latent variable has it now."""
        if self.latent_scale is None:
            return self._constant(self._scale)
        return self.scale_min + F.softplus(self.latent_scale)

    def _constant(self, value: float) -> Tensor:
        learned = self.latent_alpha if self.latent_alpha is not None else self.latent_scale
        if learned is None:
            return torch.tensor(value, dtype=torch.float64)
        # All digits: a number that is held is not rounded to the dtype of what is learned.
        wide = torch.float32 if learned.device.type == "mps" else torch.float64
        return torch.full_like(learned, value, dtype=wide, requires_grad=False)

    @names.listed
    def forward(
        self,
        prediction: Tensor,
        target: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
        **unknown: Never,
    ) -> Tensor:
        """The reduced loss of a batch."""
        if unknown:
            names.refuse(_NAME, unknown, self.forward)
        return reduced(*self._losses(prediction, target, sample_weight, mask), self.reduction)

    @names.listed
    def total(
        self,
        prediction: Tensor,
        target: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
        **unknown: Never,
    ) -> tuple[Tensor, Tensor]:
        """(total, mass) of a batch: pairs of micro-batches and ranks add up."""
        if unknown:
            names.refuse(_NAME, unknown, self.total)
        return summed(*self._losses(prediction, target, sample_weight, mask))

    def _losses(
        self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Losses by element, weights applied, and the weights: 0 where dropped."""
        shapes.tensors(_NAME, prediction, target)
        if self.columns is not None and tuple(prediction.shape[-1:]) != (self.columns,):
            raise ShapeError(
                f"{_NAME}: prediction has shape {tuple(prediction.shape)}, but columns = "
                f"{self.columns} asks for a last dimension of that size."
            )
        dtype = compute_dtype(prediction.dtype)
        alpha = self.alpha.to(dtype=dtype, device=prediction.device)
        scale = self.scale.to(dtype=dtype, device=prediction.device)
        call = _barron.check(
            prediction, target, alpha, scale, sample_weight=sample_weight, mask=mask
        )
        robust = CALLS.reduce(call, "none")
        weights = counted(call, dtype).mass(dtype)
        if weights is None:
            weights = torch.ones_like(robust, requires_grad=False)
        return robust + weights * (torch.log(scale) + log_partition(alpha)), weights

    def extra_repr(self) -> str:
        """Settings, as the constructor takes them."""
        return (
            f"{self.columns}, alpha={self._alpha:g}, scale={self._scale:g}, "
            f"learn_alpha={self.latent_alpha is not None}, "
            f"learn_scale={self.latent_scale is not None}, alpha_range={self.alpha_range}, "
            f"scale_min={self.scale_min:g}, reduction={self.reduction!r}"
        )


def _softplus_inverse(y: float) -> float:
    return y + math.log(-math.expm1(-y))


def _range(given: Any) -> tuple[float, float]:
    pair = isinstance(given, (tuple, list)) and len(given) == 2
    low, high = (as_number(end) for end in given) if pair else (None, None)
    if low is None or high is None or not 0.0 <= low < high <= 2.0:
        raise ParameterError(
            f"{_NAME}: alpha_range = {settings.shown(given)}; it must be (low, high) with "
            "0 <= low < high <= 2. Outside, exp(-ρ) has no finite integral (alpha < 0), or is none "
            "of Barron's robust losses (alpha > 2). For a fixed alpha give learn_alpha=False."
        )
    return low, high


def _above(name: str, value: Any, least: float, word: str = "") -> float:
    number = as_number(value)
    if number is None or not least < number < math.inf:
        raise ParameterError(
            f"{_NAME}: {name} = {settings.shown(value)}; it must be a finite number above "
            f"{word}{least:g}."
        )
    return number


def _within(name: str, value: Any, learned: bool, low: float, high: float) -> float:
    number = as_number(value)
    if learned and (number is None or not low < number < high):
        raise ParameterError(
            f"{_NAME}: {name} = {settings.shown(value)}; a learned one starts strictly inside "
            f"alpha_range, ({low:g}, {high:g}). To hold it at an end, give learn_alpha=False."
        )
    if number is None or not 0.0 <= number <= 2.0:
        raise ParameterError(f"{_NAME}: {name} = {settings.shown(value)} is outside [0, 2].")
    return number
