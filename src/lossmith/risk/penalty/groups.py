"""Group lasso: ψ over the norm of a row, a column or a channel, so that whole ones become zero."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lossmith.errors import InputError, ParameterError, ShapeError, UnsupportedError
from lossmith.link.dtypes import compute_dtype
from lossmith.risk.penalty.base import Penalty, check_step
from lossmith.risk.penalty.select import Found, Rules

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_GROUPS = ("rows", "columns", "channels")


class GroupLasso(Penalty):
    """Whole rows, columns or channels of weights become zero together, and can be removed.

    Formula:
        penalty = Σ_g √size_g · ψ(‖w_g‖), by default ψ(u) = |u|; size_g is the number of weights
        in a group, and the root makes groups of all sizes equally dear (the paper's factor).
        prox(x, t) = x_g · u/‖x_g‖ with u = argmin ½(u - ‖x_g‖)² + t·√size_g·ψ(u).

    Shapes:
        parameters of two dimensions or more; of a vector each weight is a row by itself, and
        columns are refused.

    Parameters:
        groups (default "channels"): "rows": one group for each index of dimension 0, which is an
            output of a Linear layer; "columns": of dimension 1, an input; "channels": an output
            of any layer: dimension 0, but 1 where a convolution is transposed.
        of (default None, the lasso): a penalty whose ψ is taken of the norm: lossmith.MCP(…) gives
            group MCP. ψ must be even; its own only= and skip= have no say.
        only, skip (default None): which parameters, as in `Penalty`.

    Errors:
        As in `Penalty`; ParameterError for unknown groups, ShapeError for parameters without them.

    Source: Yuan & Lin 2006, doi:10.1111/j.1467-9868.2005.00532.x, eq. 2.1.
    """

    def __init__(
        self,
        groups: str = "channels",
        of: Penalty | None = None,
        only: Rules = None,
        skip: Rules = None,
    ) -> None:
        if groups not in _GROUPS:
            raise ParameterError(
                f"GroupLasso: groups = {groups!r}; give one of {', '.join(_GROUPS)}."
            )
        if of is not None and (not isinstance(of, Penalty) or isinstance(of, GroupLasso)):
            raise InputError(f"GroupLasso: of = {of!r}; give a penalty of one weight, or None.")
        settings = {} if of is None else of.settings
        super().__init__("l1" if of is None else of.formula, only, skip, **settings)
        if not self._scalar.even:
            raise InputError(
                f"GroupLasso: {self.formula.name} is not even, and a norm has no sign."
            )
        self.groups = groups
        self._of = None if of is None else repr(of)

    def prox(self, tensor: Tensor, step: float | Tensor) -> Tensor:
        """argmin_u ½‖u - tensor‖² + step·penalty(u), group by group.

        Parameters:
            tensor: the weights of one layer; "channels" are dimension 0 here.
            step: λ times the step size, ≥ 0; one number.
        """
        check_step("GroupLasso", step)
        if isinstance(step, Tensor) and step.numel() > 1:
            raise ShapeError(
                f"GroupLasso: step has shape {tuple(step.shape)}; one number is needed. In the "
                "metric of an adaptive optimiser, `ProximalStep` solves for the groups."
            )
        return self._prox_of(Found("tensor", tensor), tensor, step)

    def _split(self, found: Found) -> int:
        """The dimension that tells the groups apart."""
        dimension = 1 if self.groups == "columns" else 0
        if self.groups == "channels" and isinstance(found.layer, _TRANSPOSED):
            dimension = 1
        if found.parameter.dim() <= dimension:
            raise ShapeError(
                f"GroupLasso: {found.name} has shape {tuple(found.parameter.shape)}, so it has no "
                f"{self.groups}. Leave it out with skip=, or choose other groups."
            )
        return dimension

    def _rows(self, found: Found, x: Tensor) -> Tensor:
        """One group a row, as wide as computing wants."""
        split = self._split(found)
        return x.to(compute_dtype(x.dtype)).movedim(split, 0).reshape(x.shape[split], -1)

    def _value(self, found: Found) -> Tensor:
        rows = self._rows(found, found.parameter)
        # A group at 0 has no part in the norm's derivatives, whose second one is 0/0 there.
        alive = (rows != 0).any(1)
        norms = torch.linalg.vector_norm(torch.where(alive.unsqueeze(1), rows, 1.0), dim=1)
        norms = torch.where(alive, norms, 0.0)
        return math.sqrt(rows.shape[1]) * self._scalar.value(norms).sum()

    def _distance(self, found: Found, pull: Tensor, weight: float) -> Tensor:
        rows, pulls = self._rows(found, found.parameter), self._rows(found, pull)
        norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        weight = weight * math.sqrt(rows.shape[1])
        slope = self._scalar.slopes(norms)[1]
        outward = rows / torch.where(norms == 0, 1.0, norms)
        away = torch.linalg.vector_norm(pulls - weight * slope * outward, dim=1)
        # At 0 the subdifferential is a ball.
        within = torch.linalg.vector_norm(pulls, dim=1) - weight * slope.squeeze(1)
        return torch.where(norms.squeeze(1) == 0, within.clamp(min=0.0), away)

    def _threshold(self, found: Found, gradient: Tensor) -> float:
        rows = self._rows(found, gradient)
        pull = torch.linalg.vector_norm(rows, dim=1).max().item() / math.sqrt(rows.shape[1])
        slope = self._scalar.at_zero[1]
        return 0.0 if pull == 0 else pull / slope if slope > 0 else math.inf

    def _prox_of(self, found: Found, x: Tensor, step: float | Tensor) -> Tensor:
        rows = self._rows(found, x)
        factor = math.sqrt(rows.shape[1])
        if isinstance(step, Tensor) and step.numel() > 1:
            if self.formula.name != "l1":
                raise UnsupportedError(
                    f"GroupLasso of {self.formula.name} under an adaptive optimiser: its metric "
                    "differs within a group, and this is solved for the plain group lasso only. "
                    "Use SGD (with momentum), or of=None."
                )
            result = _in_metric(rows, self._rows(found, step.expand_as(x)) * factor)
        else:
            norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
            shorter = self._scalar.prox(norms, step * factor)
            result = torch.where(shorter == 0, 0.0, rows * (shorter / norms))
        split = self._split(found)
        shape = x.movedim(split, 0).shape
        return result.reshape(shape).movedim(0, split).to(x.dtype)

    def extra_repr(self) -> str:
        """Settings, as the constructor takes them."""
        of = "" if self._of is None else f", of={self._of}"
        chosen = "".join(
            f", {n}={v!r}" for n in ("only", "skip") if (v := getattr(self, n)) is not None
        )
        return f"{self.groups!r}{of}{chosen}"


def _in_metric(rows: Tensor, step: Tensor) -> Tensor:
    """argmin_u Σ ½(u_i - x_i)²/t_i + ‖u‖ for each row, with step sizes t.

    u_i (1 + t_i/‖u‖) = x_i, so ρ = ‖u‖ solves Σ (x_i / (ρ + t_i))² = 1, and u = 0 where the sum
    is at most 1 at ρ = 0. One over its root is increasing and concave in ρ (More & Sorensen 1983),
    so Newton's method climbs to the solution from 0 without a step too far.
    """
    # 0/0: a weight of 0 with no step size of its own stays where it is.
    safe = torch.where((rows == 0) & (step == 0), 1.0, step)
    alive = torch.linalg.vector_norm(rows / safe, dim=1, keepdim=True) > 1
    rho = torch.zeros_like(rows[:, :1])
    for _ in range(60):
        ratio = rows / (rho + safe)
        total = ratio.square().sum(1, keepdim=True)
        # F(ρ) = total^(-1/2) - 1; F' = total^(-3/2) · Σ ratio²/(ρ + t).
        slope = (ratio.square() / (rho + safe)).sum(1, keepdim=True)
        advance = torch.where(alive, (total.sqrt() - 1) * total / slope, 0.0)
        rho = rho + advance.clamp(min=0.0)
        if not (advance > 4 * torch.finfo(rows.dtype).eps * rho).any():
            break
    return torch.where(alive, rows * (rho / (rho + safe)), 0.0)
