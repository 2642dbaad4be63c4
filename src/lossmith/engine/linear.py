"""A linear layer and the loss of its scores, in blocks of rows: never all logits at once.

    logits of a block = F_b Wᵀ + bias,   G = their gradient, by the engine that runs the plain loss
    dF_b = G W,   dW += Gᵀ F_b,   dbias += Σ G

A block costs one buffer: the loss takes a part of it at a time, whose gradient takes the place of
its logits. `reduction="none"` keeps nothing and makes the logits again in the backward.

Half precision is computed in float32, logits included (a dense layer would round them to 8 or 11
bits), and sums over blocks are kept in float32 until the upstream gradient has scaled them; then
autograd rounds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from lossmith.engine import choose, eager
from lossmith.engine.autograd import Road
from lossmith.engine.cpu.memory import fresh
from lossmith.engine.heads import Head, dense_logits, kept, no_autocast, why_dense, with_tensors
from lossmith.engine.plan import Output
from lossmith.engine.protocol import Number, Result
from lossmith.engine.reduction import share
from lossmith.link.link import Call

_PART = 8 << 20  # of logits that the loss itself takes at a time; its gradient is as large again
Rows = slice | Tensor


class Blocks:
    """The engine of a linear head on every device: products by torch, losses by another engine."""

    name, does = "blocks", "logits in blocks of rows"

    def why_not(self, head: Head, output: Output) -> str | None:
        """None if blocks run; else why all logits are made at once."""
        return why_dense(head)

    def run(
        self, head: Head, output: Output, factor: Number = 1.0, upstream: Tensor | None = None
    ) -> Result:
        """Block by block: logits, loss, and the gradients of those inputs that require one."""
        call, found = head.call, Result(0.0, 0.0)
        with torch.no_grad(), no_autocast(head.features):
            layer, gradients = _Layer(head), None
            if "gradient" in output:
                gradients = _Gradients(head, layer)
            if output == "values":
                found.values = layer.features.new_zeros(head.count, dtype=head.dtype)
            for rows, x, keep in layer.blocks(head.rows):
                z = layer.logits(x)
                part = with_tensors(call, prediction=z, target=call.target[rows], mask=keep)
                part.weight = None if call.weight is None else call.weight[rows]
                own = None if upstream is None else upstream[rows]
                result = _losses(part, output, factor, own)
                found.total, found.mass = found.total + result.total, found.mass + result.mass
                if found.values is not None:
                    found.values[rows] = result.values  # type: ignore[assignment]
                if gradients is not None:
                    gradients.add(rows, x, z)
            if gradients is not None:
                found.gradients = gradients.result()
        return found

    def ahead(self, head: Head, mean: bool) -> float:
        """As if every row had weight 1."""
        return share(head.count) if mean else 1.0

    def divides(self, head: Head) -> bool:
        """No: sums are numbers here, which divide at no cost."""
        return False

    def scale(self, gradient: Tensor, step: Number) -> None:
        """gradient *= step."""
        gradient.mul_(step)


def _graph(head: Head) -> tuple[Tensor, Tensor | None]:
    return eager.graph(with_tensors(head.call, prediction=dense_logits(head)))


HEADS = Road(engines=(Blocks(),), graph=_graph)


def _room(shape: Any, like: Tensor, dtype: torch.dtype) -> Tensor:
    if like.device.type == "cpu":
        return fresh(shape, dtype)
    return torch.empty(shape, dtype=dtype, device=like.device)


class _Layer:
    """The linear layer in the dtype that is computed in, and which rows go through it."""

    def __init__(self, head: Head) -> None:
        self.dtype, self.features, self.keep = head.dtype, head.features, kept(head.call)
        self.weight = head.weight.detach().to(self.dtype)
        self.bias = None if head.bias is None else head.bias.detach().to(self.dtype)
        self._buffer: Tensor | None = None

    def blocks(self, size: int) -> Iterator[tuple[Rows, Tensor, Tensor | None]]:
        """Which rows each block has, and their features; on the CPU dropped rows are in none.

        Elsewhere they would have to be counted, which waits for the device: they are in, and the
        last item tells which rows of the block count.
        """
        count, chosen, keep = self.features.shape[0], None, self.keep
        if keep is not None and keep.device.type == "cpu":
            if not bool(keep.all()):
                chosen = keep.nonzero().squeeze(1)
                count = chosen.numel()
            keep = None
        for first in range(0, count, size):
            span = slice(first, min(count, first + size))
            rows = span if chosen is None else chosen[span]
            x, own = self.features[rows].detach().to(self.dtype), None
            if keep is not None:
                own = keep[span]
                x = torch.where(own.unsqueeze(1), x, 0.0)
            yield rows, x, own

    def logits(self, x: Tensor) -> Tensor:
        """The scores of a block, in the one buffer of them all: the first block is the largest."""
        if self._buffer is None:
            self._buffer = _room((x.shape[0], self.weight.shape[0]), x, self.dtype)
        z = self._buffer[: x.shape[0]]
        if self.bias is None:
            return torch.mm(x, self.weight.t(), out=z)
        return torch.addmm(self.bias, x, self.weight.t(), out=z)


class _Gradients:
    """The gradients of those of features, weight and bias that require one, block by block."""

    def __init__(self, head: Head, layer: _Layer) -> None:
        self.layer, self.begun = layer, False
        self.of_features = self.of_weight = self.of_bias = None
        if head.features.requires_grad:
            make = torch.empty_like if layer.keep is None else torch.zeros_like
            self.of_features = make(
                head.features, dtype=head.dtype, memory_format=torch.contiguous_format
            )
        if head.weight.requires_grad:
            self.of_weight = _room(head.weight.shape, head.features, head.dtype)
        if head.bias is not None and head.bias.requires_grad:
            self.of_bias = head.features.new_zeros(head.bias.shape, dtype=head.dtype)

    def add(self, rows: Rows, x: Tensor, slopes: Tensor) -> None:
        if self.of_features is not None:
            if isinstance(rows, slice):
                torch.mm(slopes, self.layer.weight, out=self.of_features[rows])
            else:
                self.of_features[rows] = slopes @ self.layer.weight
        if self.of_weight is not None:
            beta = 1 if self.begun else 0  # 0: what lay in that memory is not looked at
            torch.addmm(self.of_weight, slopes.t(), x, beta=beta, out=self.of_weight)
        if self.of_bias is not None:
            self.of_bias += slopes.sum(0)
        self.begun = True

    def result(self) -> tuple[Tensor | None, ...]:
        if self.of_weight is not None and not self.begun:
            self.of_weight.zero_()
        return self.of_features, self.of_weight, self.of_bias


def _losses(call: Call, output: Output, factor: Number, upstream: Tensor | None) -> Result:
    """Sums and values of one block of logits, part by part; a gradient replaces the logits."""
    z, found, values = call.prediction, Result(0.0, 0.0), []
    rows = max(1, _PART // (z.shape[1] * z.dtype.itemsize)) if z.is_cpu else z.shape[0]
    for first in range(0, z.shape[0], rows):
        span = slice(first, first + rows)
        part = with_tensors(call, prediction=z[span], target=call.target[span])
        part.weight = None if call.weight is None else call.weight[span]
        part.mask = None if call.mask is None else call.mask[span]
        own = None if upstream is None else upstream[span]
        result = choose.run(part, output, factor, own)
        found.total, found.mass = found.total + result.total, found.mass + result.mass
        if result.values is not None:
            values.append(result.values)
        for gradient in result.gradients:
            z[span].copy_(gradient)  # type: ignore[arg-type]
    found.values = torch.cat(values) if values else None
    return found
