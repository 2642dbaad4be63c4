"""The reference's mathematics as far as an engine's: sums, first gradients and values of any call.

It is what blocks of a linear head run where there is no kernel, and what a kernel's call runs once
more where its sums show that something left the range of its type.
"""

from __future__ import annotations

from copy import copy

import torch
from torch import Tensor

from lossmith.engine import labels, reference
from lossmith.engine.plan import Output
from lossmith.engine.protocol import Number, Result
from lossmith.engine.reduction import summed
from lossmith.link.link import Call


def graph(call: Call) -> tuple[Tensor, Tensor | None]:
    """Losses and weights of a call as differentiable tensors; labels are looked at first."""
    labels.refuse(call)
    return reference.wide_losses(call)


def run(call: Call, output: Output, factor: Number, upstream: Tensor | None) -> Result:
    """What `Engine.run` returns: on the CPU from float64, whatever the dtype of the loss."""
    dtype, wants = call.dtype, "gradient" in output
    call = copy(call)
    call.prediction = leaf = call.prediction.detach().requires_grad_(wants)
    gradients: tuple[Tensor, ...] = ()
    values = None
    with torch.set_grad_enabled(wants):
        losses, weight = graph(call)
        if wants:
            seed = torch.ones_like(losses) if upstream is None else upstream.to(losses.dtype)
            (slope,) = torch.autograd.grad(losses, leaf, seed.reshape(losses.shape) * factor)
            gradients = (slope.contiguous(),)
        if output == "values":
            values = (losses * factor).to(dtype)
    return Result(*summed(losses.detach(), weight), gradients, values)
