"""Learned parameters of losses, kept where they mean something."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from lossmith.errors import InputError, ParameterError
from lossmith.face import heads
from lossmith.face.linear import LinearLoss
from lossmith.face.modules import Loss
from lossmith.formula.domain import Interval
from lossmith.link.link import Linked
from lossmith.link.options import CLASS_ALPHA, Number
from lossmith.risk.classes.parallel import ClassParallelLoss

M = TypeVar("M", bound=nn.Module)


class Inside(nn.Module):
    """A parametrisation of `torch.nn.utils.parametrize`: any real number → a point of an interval.

    Between two ends it is a sigmoid, above or below one end a softplus. Where those round to an
    end that is not part of the interval, the nearest number inside stands for it.
    """

    def __init__(self, name: str, domain: Interval) -> None:
        super().__init__()
        self.name, self.domain = name, domain

    def forward(self, latent: Tensor) -> Tensor:
        """The parameter."""
        low, high = self.domain.low, self.domain.high
        if math.isfinite(low) and math.isfinite(high):
            value = low + (high - low) * torch.sigmoid(latent)
        elif math.isfinite(low):
            value = low + F.softplus(latent)
        else:
            value = high - F.softplus(latent)
        least, most = self._ends(latent.dtype)
        return value.clamp(least, most)

    def right_inverse(self, value: Tensor) -> Tensor:
        """The latent number of a parameter."""
        low, high = self.domain.low, self.domain.high
        number = value.detach()
        if not bool(((number > low) & (number < high)).all()):
            raise ParameterError(
                f"{self.name} = {number.flatten().tolist()} does not lie strictly inside "
                f"{self.domain}; a learned parameter starts there, for at the end of a sigmoid or "
                "softplus it would stand still."
            )
        if math.isfinite(low) and math.isfinite(high):
            return torch.logit((number - low) / (high - low))
        away = number - low if math.isfinite(low) else high - number
        return away + torch.log(-torch.expm1(-away))

    def _ends(self, dtype: torch.dtype) -> tuple[float, float]:
        """The least and the greatest number of the interval in a dtype."""
        limits, ends = torch.finfo(dtype), []
        for end, closed, sign in (
            (self.domain.low, self.domain.low_closed, 1.0),
            (self.domain.high, self.domain.high_closed, -1.0),
        ):
            if not math.isfinite(end):
                ends.append(-sign * limits.max)
            else:
                ends.append(end if closed else end + sign * max(abs(end) * limits.eps, limits.tiny))
        return ends[0], ends[1]


def keep_inside(module: M) -> M:
    """Make every learned parameter of the losses in a module stay in its domain while it trains.

    An optimiser knows nothing of domains: one large step takes Huber's delta below 0, where the
    loss raises ParameterError. After this call the optimiser moves a latent number instead.

    Formula:
        parameter = low + softplus(latent), high - softplus(latent) or
        low + (high - low)·σ(latent), by its domain; those on the whole line stay as they are.

    Parameters:
        module: a loss with learned parameters, such as lossmith.Huber(delta=nn.Parameter(…)), or
            any module that holds such losses. It is changed in place and returned. Call it before
            the optimiser is made: what `module.parameters()` yields for such a setting is its
            latent number, which the state_dict holds as "parametrizations.delta.original".

    Errors:
        ParameterError where a parameter does not start strictly inside its domain; InputError
        where the module has no learned parameter of a loss.

    Undo it with torch.nn.utils.parametrize.remove_parametrizations(loss, "delta"). As with every
    parametrisation of torch, the state_dict can be saved, the module as a whole not pickled.
    """
    found = 0
    for part in list(module.modules()):
        linked = _linked(part)
        if linked is None:
            continue
        domains = {p.name: p.domain for p in linked.formula.parameters}
        for option in linked.options:
            if isinstance(option.takes, Number) and option.takes.learned:
                domains[option.name] = option.takes.domain
            elif option == CLASS_ALPHA:
                domains[option.name] = Interval(0.0, low_closed=True)
        for name, domain in domains.items():
            if name not in part._parameters or part._parameters[name] is None:
                found += parametrize.is_parametrized(part, name)
                continue
            found += 1
            if math.isfinite(domain.low) or math.isfinite(domain.high):
                inside = Inside(f"{linked.name}: {name}", domain)
                parametrize.register_parametrization(part, name, inside)
    if not found:
        raise InputError(
            "keep_inside: this module holds no loss with a learned parameter. Give a parameter as "
            "nn.Parameter, for example lossmith.Huber(delta=torch.nn.Parameter(torch.tensor(1.0)))."
        )
    return module


def _linked(part: nn.Module) -> Linked | None:
    if isinstance(part, Loss):
        return part.loss
    if isinstance(part, (LinearLoss, ClassParallelLoss)):
        return heads.chosen(part.loss).loss
    return None
