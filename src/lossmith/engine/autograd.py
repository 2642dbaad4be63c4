"""From a checked call to its loss: an engine, the reduction, and the one glue to autograd.

A reduced loss may have its gradient made in the pass that makes its value; it keeps only that, and
the first backward hands it out. A second backward computes it again; a differentiable one, and
whatever no engine takes, goes through the road's own graph of torch operations, to any order.

Nothing here reads a number from another device: sums, shares and factors are numbers where an
engine counts on the CPU, and tensors without dimensions elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lossmith.engine import looking
from lossmith.engine.plan import Reduction
from lossmith.engine.protocol import Engine, NotHereError, Number
from lossmith.engine.reduction import reduced, share, summed

_LARGEST = torch.finfo(torch.float32).max


@dataclass(frozen=True)
class Road:
    """How calls of one sort are run: the engines, the first that will; and at its end, a graph."""

    engines: tuple[Engine[Any], ...]
    # Losses with their weights applied, and the weights (None: all 1), as differentiable tensors
    # in the width they are computed in; labels that can be looked at are refused.
    graph: Callable[[Any], tuple[Tensor, Tensor | None]]

    def reduce(self, call: Any, reduction: Reduction) -> Tensor:
        """The loss of a call: total / mass, total, or one value per element (row)."""
        values = reduction == "none"
        for engine in self.engines:
            if engine.why_not(call, "values" if values else "total") is None:
                try:
                    if values:
                        return _values(self, engine, call)
                    return _total(self, engine, call, reduction == "mean")[0]
                except NotHereError:  # from now on its why_not says so, too
                    continue
        dtype = call.dtype
        return reduced(*self.graph(call), reduction).to(dtype)

    def pair(self, call: Any) -> tuple[Tensor, Tensor]:
        """(total, mass) of a call: pairs of micro-batches and ranks add up."""
        for engine in self.engines:
            if engine.why_not(call, "total") is None:
                try:
                    total, mass = _total(self, engine, call, False)
                    if isinstance(mass, Tensor):
                        return total, mass.to(total.dtype)
                    return total, total.new_full((), mass)
                except NotHereError:
                    continue
        dtype = call.dtype
        total, mass = summed(*self.graph(call))
        return total.to(dtype), mass.to(dtype)


def _total(road: Road, engine: Engine[Any], call: Any, mean: bool) -> tuple[Tensor, Number]:
    inputs = call.inputs
    for tensor in inputs:
        if tensor is not None and tensor.requires_grad and torch.is_grad_enabled():
            box: list[Number] = []
            total = _Reduced.apply(*inputs, (road, engine, call, mean, box))
            return total, box[0]
    divided = mean and engine.divides(call)
    result = engine.run(call, "mean" if divided else "total")
    value = result.total * share(result.mass) if mean and not divided else result.total
    return _scalar(value, call.dtype), result.mass


def _values(road: Road, engine: Engine[Any], call: Any) -> Tensor:
    inputs = call.inputs
    for tensor in inputs:
        if tensor is not None and tensor.requires_grad and torch.is_grad_enabled():
            return _Values.apply(*inputs, (road, engine, call))
    return engine.run(call, "values").values  # type: ignore[return-value]


def _scalar(value: Number, dtype: torch.dtype) -> Tensor:
    if type(value) is not float:
        return value.to(dtype)  # type: ignore[union-attr]  # a subclass of float is nobody's sum
    if -_LARGEST < value < _LARGEST:
        return torch.scalar_tensor(value, dtype=dtype)
    return torch.scalar_tensor(value, dtype=torch.float64).to(dtype)  # where it may be infinite


class _Reduced(torch.autograd.Function):
    """The total (or mean) of a call; its gradient made in the same pass, where the engine does so.

    What is no tensor comes as one argument, for torch looks at each; its box takes the mass. So is
    what the backward has to know one attribute, and what it hands out another.
    """

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        road, engine, call, mean, box = arguments[-1]
        ahead, divided = engine.ahead(call, mean), mean and engine.divides(call)
        if ahead is None:
            result = engine.run(call, "mean" if divided else "total")
        else:
            result = engine.run(call, "mean+gradient" if divided else "total+gradient", ahead)
        box.append(result.mass)
        step = part = share(result.mass) if mean else 1.0
        if type(ahead) is float:  # it may be a guess; a tensor is the share itself
            step = part if ahead == 1.0 else part / ahead if ahead else 0.0
        elif ahead is not None:
            step = 1.0
        value = _scalar(result.total if divided else result.total * part, call.dtype)
        ctx.save_for_backward(*call.strip())
        numbers = type(result.total) is float
        ctx.state = road, engine, call, mean, ahead, step, numbers
        ctx.gradients = result.gradients
        return value

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        road, engine, call, mean, ahead, step, numbers = ctx.state
        if not looking.backward_is_plain(upstream):
            reduction: Reduction = "mean" if mean else "sum"
            return *_differentiable(road, call.filled(ctx.saved_tensors), upstream, reduction), None
        if numbers and upstream.is_cpu and type(upstream) is Tensor:  # no device is waited for
            step = step * upstream.item()
        else:
            step = upstream if type(step) is float and step == 1.0 else step * upstream
        if ahead is None:
            call = call.filled(ctx.saved_tensors)
            return *engine.run(call, "gradient", step).gradients, None
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is None:  # a second backward: as the first, to the digit
            call = call.filled(ctx.saved_tensors)
            gradients = engine.run(call, "total+gradient", ahead).gradients
        if type(step) is not float or step != 1.0:
            for gradient in gradients:
                if gradient is not None:
                    engine.scale(gradient, step)
        return *gradients, None


class _Values(torch.autograd.Function):
    """One loss per element (row); the backward computes slopes again instead of keeping them."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        road, engine, call = arguments[-1]
        values = engine.run(call, "values").values
        ctx.save_for_backward(*call.strip())
        ctx.state = road, engine, call
        return values

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        road, engine, call = ctx.state
        call = call.filled(ctx.saved_tensors)
        if not looking.backward_is_plain(upstream):
            return *_differentiable(road, call, upstream, "none"), None
        return *engine.run(call, "gradient", 1.0, upstream).gradients, None


def _differentiable(
    road: Road, call: Any, upstream: Tensor, reduction: Reduction
) -> list[Tensor | None]:
    """The gradients from the road's graph: as a graph, to any order, where one is wanted."""
    graph, given = torch.is_grad_enabled(), call.inputs
    wanted = [t is not None and t.requires_grad for t in given]
    inputs = [t for t, on in zip(given, wanted, strict=True) if on]
    with torch.enable_grad():
        losses, weight = road.graph(call)
        out = reduced(losses, weight, reduction).to(upstream.dtype)
        found = iter(torch.autograd.grad(out, inputs, upstream, create_graph=graph))
    return [next(found) if on else None for on in wanted]
