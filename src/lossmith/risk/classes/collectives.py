"""What ranks tell each other while a loss is computed, in a form that autograd sees through.

Some tensors are the same on every rank ("whole": a row's maximum, the loss), others differ ("part":
a shard of the logits). Two operations lead from one kind to the other, and each is the other's
derivative, so gradients come out right to every order:

    summed   parts → whole    backward: copied       y = Σ_r x_r
    copied   whole → parts    backward: summed       x_r = y

The gradient of a whole tensor is then whole, and the gradient of a part is that of this rank's
part, of the one loss that all ranks share (not of a sum of one loss for each rank).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributed

from lossmith.engine import looking
from lossmith.errors import UnsupportedError
from lossmith.risk.ranks import Group


def summed(parts: Sequence[Tensor], group: Group) -> tuple[Tensor, ...]:
    """Equally shaped tensors, each summed over the ranks: one collective for all of them."""
    return _Summed.apply(torch.stack(tuple(parts)), group).unbind()


def copied(wholes: Sequence[Tensor], group: Group) -> tuple[Tensor, ...]:
    """Tensors that all ranks have, for use in what each does apart: one collective in backward."""
    return _Copied.apply(torch.stack(tuple(wholes)), group).unbind()


def largest(parts: Sequence[Tensor], group: Group) -> tuple[Tensor, ...]:
    """The maximum over the ranks; infinite where a NaN is among them. Not differentiable."""
    # Whether a maximum keeps a NaN depends on the library below and on the order of the ranks.
    stacked = torch.nan_to_num(torch.stack(tuple(parts)), torch.inf, torch.inf, -torch.inf)
    if group.several():
        distributed.all_reduce(stacked, distributed.ReduceOp.MAX, group.process_group)
    return stacked.unbind()


def gathered(part: Tensor, group: Group) -> Tensor:
    """Every rank's tensor, stacked in the order of the ranks. Not differentiable."""
    part = part.contiguous()
    if not group.several():
        return part.unsqueeze(0)
    found = [torch.empty_like(part) for _ in range(group.size())]
    distributed.all_gather(found, part, group.process_group)
    return torch.stack(found)


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor, group: Group) -> Tensor:
        ctx.group = group
        whole = part.clone(memory_format=torch.contiguous_format)
        if group.several():
            group.add(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        _one(upstream, ctx.group)
        return _Copied.apply(upstream, ctx.group), None


class _Copied(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, whole: Tensor, group: Group) -> Tensor:
        ctx.group = group
        return whole.view_as(whole)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        _one(upstream, ctx.group)
        return _Summed.apply(upstream, ctx.group), None


def _one(upstream: Tensor, group: Group) -> None:
    """Ranks tell each other numbers: neither those of a transform nor many gradients at once."""
    if looking.transformed() or (group.several() and looking.is_batch(upstream)):
        raise UnsupportedError(
            "class_parallel_loss: its backward speaks to other processes and takes one upstream "
            "gradient at a time, neither torch.func nor is_grads_batched=True. Call "
            "torch.autograd.grad once for each."
        )
