"""A call whose sum came out infinite or NaN, once more by the reference engine in float64.

Every kernel adds up what it computes, so a finite sum shows at no cost that no number left the
range of its type; of a bounded loss the largest residual shows it. Where one did, the truth may
still have a result: the residual in units of a small scale is beyond the largest float, a sum is
but its mean is not, a score is infinite and the formula has a limit there. That costs a second,
slower pass, on such data only.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from lossmith.engine import reference
from lossmith.engine.plan import Output
from lossmith.link.dtypes import compute_dtype
from lossmith.link.link import Call


@dataclass(slots=True)  # the quickest to make
class Result:
    """The sums of a call, and what was written besides."""

    total: float
    mass: float
    gradient: Tensor | None
    values: Tensor | None


def again(call: Call, output: Output, factor: float, upstream: Tensor | None) -> Result:
    """What `launch.run` returns for the same arguments."""
    prediction = call.prediction
    call = copy(call)
    wants = "gradient" in output
    with torch.set_grad_enabled(wants):
        call.prediction = leaf = prediction.detach().to(torch.float64).requires_grad_(wants)
        losses, weight = reference.wide_losses(call)
        # The factor of a slope holds s^(power - 1) already, that of a value s^power.
        inside = call.loss.unit(call.parameters, int(wants))
        share = factor / inside
        gradient = values = None
        if wants:
            seed = torch.ones_like(losses) if upstream is None else upstream.to(losses.dtype)
            (slope,) = torch.autograd.grad(losses, leaf, seed.reshape(losses.shape) * share)
            gradient = slope.to(prediction.dtype).contiguous()
        if output == "values":
            dtype = compute_dtype(prediction.dtype)
            values = (losses * share).to(dtype)
    mass = float(losses.numel()) if weight is None else weight.sum().item()
    return Result(losses.sum().item(), mass, gradient, values)
