"""Run a checked call: engine, reduction, and the glue to autograd.

A reduced loss on the CPU computes its gradient in the pass that computes its value and keeps only
that; a second backward computes it again; a differentiable backward goes through the reference.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import torch
from torch import Tensor

from lossmith.engine import labels, looking, reference
from lossmith.engine.choose import why_not_cpu
from lossmith.engine.cpu import launch
from lossmith.engine.cpu.machine import NoCompilerError
from lossmith.engine.plan import Reduction
from lossmith.engine.reduction import reduced, summed
from lossmith.link.dtypes import compute_dtype
from lossmith.link.link import Call

_HALVES = (torch.float16, torch.bfloat16)
_LARGEST = torch.finfo(torch.float32).max


def reduce(call: Call, reduction: Reduction) -> Tensor:
    """The loss of a call: total / mass, total, or one value per element (row)."""
    if why_not_cpu(call) is None:
        try:
            if reduction == "none":
                return _values(call)
            return _total(call, reduction == "mean")[0]
        except NoCompilerError:  # from now on why_not_cpu says so, too
            pass
    dtype = compute_dtype(call.prediction.dtype)
    return reduced(*_reference(call), reduction).to(dtype)


def pair(call: Call) -> tuple[Tensor, Tensor]:
    """(total, mass) of a call: pairs of micro-batches and ranks add up."""
    if why_not_cpu(call) is None:
        try:
            found = _total(call, False)
            return found[0], torch.tensor(found[1], dtype=found[0].dtype)
        except NoCompilerError:
            pass
    dtype = compute_dtype(call.prediction.dtype)
    sums = summed(*_reference(call))
    return sums[0].to(dtype), sums[1].to(dtype)


def _reference(call: Call) -> tuple[Tensor, Tensor | None]:
    labels.refuse(call)
    return reference.wide_losses(call)


def _total(call: Call, mean: bool) -> tuple[Tensor, float]:
    if call.prediction.requires_grad and torch.is_grad_enabled():
        box: list[float] = []
        total = _Reduced.apply(call.prediction, (call, mean, box))
        return total, box[0]
    result = launch.run(call, "total", 1.0)
    return _scalar(call, result.total * _share(mean, result.mass)), result.mass


def _share(mean: bool, mass: float) -> float:
    if not mean:
        return 1.0
    return 1.0 / mass if mass else 0.0


def _scalar(call: Call, value: float) -> Tensor:
    dtype = compute_dtype(call.prediction.dtype)
    if -_LARGEST < value < _LARGEST:
        return torch.scalar_tensor(value, dtype=dtype)
    return torch.scalar_tensor(value, dtype=torch.float64).to(dtype)  # where it may be infinite


def _slope_scale(call: Call) -> float:
    return call.loss.unit(call.parameters, 1)


def _value_scale(call: Call) -> float:
    return call.loss.unit(call.parameters)


def _losses(call: Call) -> int:
    """How many losses a call has, dropped ones included."""
    shape = call.prediction.shape
    return shape.numel() // shape[1] if call.loss.classes else shape.numel()


def _strip(ctx: Any, call: Call) -> None:
    """Hand the tensors to autograd, which frees them and sees in-place changes; keep the rest."""
    alpha = call.alpha if call.loss.classes else None  # elsewhere it is a number
    ctx.save_for_backward(
        call.prediction, call.target, call.weight, call.mask, call.class_weight, alpha
    )  # fmt: skip
    call.prediction = call.target = None  # type: ignore[assignment]
    call.weight = call.mask = call.class_weight = None
    if alpha is not None:
        call.alpha = None
    ctx.call = call


def _restore(ctx: Any) -> Call:
    """The call with its tensors, as a copy: what autograd frees must not be held on to here."""
    call = copy(ctx.call)
    (
        call.prediction, call.target, call.weight, call.mask, call.class_weight, alpha
    ) = ctx.saved_tensors  # fmt: skip
    if alpha is not None:
        call.alpha = alpha
    return call


def _plain_backward(upstream: Tensor) -> bool:
    """Neither a differentiable backward, nor a transform of it, nor many of them at once."""
    return (
        not torch.is_grad_enabled()
        and torch._C._functorch.peek_interpreter_stack() is None
        and type(upstream) is Tensor
        and not looking.is_batch(upstream)
    )


class _Reduced(torch.autograd.Function):
    """The total (or mean) of a call, its gradient made in the same pass.

    The gradient is written as if every loss had weight 1, and divided again in the rare case that
    the mass turns out otherwise. In half precision it waits for the upstream gradient instead:
    rounded before a loss scale reaches it, it would lose what the scale is there to save.
    What is no tensor comes as one argument, for torch looks at each; its `box` takes the mass.
    """

    @staticmethod
    def forward(ctx: Any, prediction: Tensor, request: tuple[Call, bool, list[float]]) -> Tensor:
        call, mean, box = request
        ctx.ahead = ahead = _share(mean, _losses(call))
        if prediction.dtype in _HALVES:
            result = launch.run(call, "total", 1.0)
        else:
            result = launch.run(call, "total+gradient", _slope_scale(call) * ahead)
        box.append(result.mass)
        ctx.share = _share(mean, result.mass)
        ctx.gradient = result.gradient
        ctx.remaining = ctx.share / ahead if ahead else 0.0
        reduced = _scalar(call, result.total * ctx.share)
        _strip(ctx, call)
        return reduced

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        if not _plain_backward(upstream):
            return _differentiable(ctx, upstream, reduced=True), None
        step = ctx.remaining * upstream.item()
        gradient, ctx.gradient = ctx.gradient, None
        if gradient is None:  # half precision, or a second backward: as the first, to the digit
            call = _restore(ctx)
            half = call.prediction.dtype in _HALVES
            factor = _slope_scale(call) * ctx.ahead * (step if half else 1.0)
            gradient = launch.run(call, "total+gradient", factor).gradient
            step = 1.0 if half else step
        if step != 1.0:
            gradient.mul_(step)  # our own buffer, nobody has seen it yet
        return gradient, None


class _Values(torch.autograd.Function):
    """One loss per element (row); the backward computes slopes again instead of keeping them."""

    @staticmethod
    def forward(ctx: Any, prediction: Tensor, call: Call) -> Tensor:
        values = launch.run(call, "values", _value_scale(call)).values
        _strip(ctx, call)
        return values  # type: ignore[return-value]

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        if not _plain_backward(upstream):
            return _differentiable(ctx, upstream, reduced=False), None
        call = _restore(ctx)
        result = launch.run(call, "gradient", _slope_scale(call), upstream)
        return result.gradient, None


def _values(call: Call) -> Tensor:
    if call.prediction.requires_grad and torch.is_grad_enabled():
        return _Values.apply(call.prediction, call)
    return launch.run(call, "values", _value_scale(call)).values  # type: ignore[return-value]


def _differentiable(ctx: Any, upstream: Tensor, *, reduced: bool) -> Tensor:
    """The gradient from the reference engine: as a graph, to any order, where one is wanted."""
    call, graph = _restore(ctx), torch.is_grad_enabled()
    with torch.enable_grad():
        losses, _ = reference.wide_losses(call)
        losses = losses.sum() * ctx.share if reduced else losses
        out = losses.to(upstream.dtype)
        (gradient,) = torch.autograd.grad(out, call.prediction, upstream, create_graph=graph)
    return gradient
