"""A linear layer and the loss of its scores, in blocks of rows: never all logits at once.

    logits of a block = F_b Wᵀ + bias,   G = their gradient, by the engine that runs the plain loss
    dF_b = G W,   dW += Gᵀ F_b,   dbias += Σ G

A reduced loss makes its gradients in the pass that makes its value, as every reduced loss here
does; `reduction="none"` keeps nothing and makes the logits again in the backward. A block costs one
buffer: the loss takes a part of it at a time, whose gradient takes the place of its logits.

Half precision is computed in float32, logits included (a dense layer would round them to 8 or 11
bits), and sums over blocks are kept in float32 until the upstream gradient has scaled them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lossmith.engine import reference, run
from lossmith.engine.choose import why_not_cpu
from lossmith.engine.cpu import launch
from lossmith.engine.cpu.machine import NoCompilerError
from lossmith.engine.cpu.memory import fresh
from lossmith.engine.heads import Head, dense_logits, kept, no_autocast, why_dense, with_tensors
from lossmith.engine.plan import Output, Reduction
from lossmith.engine.reduction import summed
from lossmith.link.link import Call

_PART = 8 << 20  # of logits that the loss itself takes at a time; its gradient is as large again
_TENSORS = ("target", "weight", "mask", "class_weight", "alpha")
Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]


def reduce(head: Head, reduction: Reduction) -> Tensor:
    """total / mass, total, or one value for each row."""
    if why_dense(head) is not None:
        return run.reduce(with_tensors(head.call, prediction=dense_logits(head)), reduction)
    if reduction == "none":
        if _needs_gradient(head):
            return _Values.apply(head.features, head.weight, head.bias, head)
        return _sweep(head, "values", 1.0).values  # type: ignore[return-value]
    return _total(head, reduction == "mean")[0]


def pair(head: Head) -> tuple[Tensor, Tensor]:
    """(total, mass): pairs of micro-batches and ranks add up."""
    if why_dense(head) is not None:
        return run.pair(with_tensors(head.call, prediction=dense_logits(head)))
    return _total(head, False)


def _needs_gradient(head: Head) -> bool:
    tensors = (head.features, head.weight, head.bias)
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


def _total(head: Head, mean: bool) -> tuple[Tensor, Tensor]:
    """The total (or mean) and the mass."""
    if _needs_gradient(head):
        return _Reduced.apply(head.features, head.weight, head.bias, head, mean)
    swept = _sweep(head, "total", 1.0)
    return _scalar(head, swept.total * _share(mean, swept.mass)), _scalar(head, swept.mass)


def _scalar(head: Head, value: Any) -> Tensor:
    return torch.as_tensor(value, dtype=head.dtype, device=head.features.device)


class _Swept(NamedTuple):
    """Sums over all blocks (numbers on the CPU, tensors elsewhere), and what was asked for."""

    total: Any
    mass: Any
    values: Tensor | None
    gradients: Gradients


def _room(shape: Any, like: Tensor, dtype: torch.dtype) -> Tensor:
    if like.device.type == "cpu":
        return fresh(shape, dtype)
    return torch.empty(shape, dtype=dtype, device=like.device)


def _blocks(head: Head, keep: Tensor | None) -> Iterator[tuple[Any, Tensor | None]]:
    """Which rows each block has; on the CPU dropped rows are in none.

    Elsewhere they would have to be counted, which waits for the device: they are in, and the
    second item tells which rows of the block count.
    """
    count = head.features.shape[0]
    chosen = None
    if keep is not None and head.features.device.type == "cpu":
        if not bool(keep.all()):
            chosen = keep.nonzero().squeeze(1)
            count = chosen.numel()
        keep = None
    for first in range(0, count, head.rows):
        span = slice(first, min(count, first + head.rows))
        if chosen is not None:
            yield chosen[span], None
        else:
            yield span, None if keep is None else keep[span]


def _sweep(
    head: Head,
    output: Output,
    factor: Any,
    wanted: tuple[bool, ...] = (False, False, False),
    upstream: Tensor | None = None,
) -> _Swept:
    """Block by block: logits, loss, and the gradients that are wanted of (features, W, bias)."""
    call, dtype, features = head.call, head.dtype, head.features
    count, classes = call.prediction.shape
    values = grad_features = grad_weight = grad_bias = None
    total: Any = 0.0
    mass: Any = 0.0
    with torch.no_grad(), no_autocast(features):
        weight = head.weight.detach().to(dtype)
        bias = None if head.bias is None else head.bias.detach().to(dtype)
        keep = kept(call)
        if output == "values":
            values = torch.zeros(count, dtype=dtype, device=features.device)
        if wanted[0]:
            make = torch.empty_like if keep is None else torch.zeros_like
            grad_features = make(features, dtype=dtype, memory_format=torch.contiguous_format)
        if wanted[1]:
            grad_weight = _room(weight.shape, features, dtype)
        if wanted[2]:
            grad_bias = torch.zeros(classes, dtype=dtype, device=features.device)
        logits = None
        for rows, keep_rows in _blocks(head, keep):
            x = features[rows].detach().to(dtype)
            if keep_rows is not None:
                x = torch.where(keep_rows.unsqueeze(1), x, 0.0)
            first = logits is None
            if logits is None:
                logits = _room((x.shape[0], classes), features, dtype)
            z = logits[: x.shape[0]]
            if bias is None:
                torch.mm(x, weight.t(), out=z)
            else:
                torch.addmm(bias, x, weight.t(), out=z)
            part = with_tensors(call, prediction=z, target=call.target[rows], mask=keep_rows)
            part.weight = None if call.weight is None else call.weight[rows]
            result = _evaluate(part, output, factor, None if upstream is None else upstream[rows])
            total, mass = total + result.total, mass + result.mass
            if values is not None:
                values[rows] = result.values  # type: ignore[assignment]
            if "gradient" not in output:
                continue
            slopes = z
            if grad_features is not None:
                if isinstance(rows, slice):
                    torch.mm(slopes, weight, out=grad_features[rows])
                else:
                    grad_features[rows] = slopes @ weight
            if grad_weight is not None:
                beta = 0 if first else 1  # 0: what lay in that memory is not looked at
                torch.addmm(grad_weight, slopes.t(), x, beta=beta, out=grad_weight)
            if grad_bias is not None:
                grad_bias += slopes.sum(0)
        if grad_weight is not None and logits is None:
            grad_weight.zero_()
    return _Swept(total, mass, values, (grad_features, grad_weight, grad_bias))


class _Sums(NamedTuple):
    """Like `launch.Result`, with tensors as sums where reading them would wait for a device."""

    total: Any
    mass: Any
    gradient: Tensor | None
    values: Tensor | None


def _evaluate(call: Call, output: Output, factor: Any, upstream: Tensor | None) -> _Sums:
    """Sums and values of one block of logits, part by part; a gradient replaces the logits."""
    z = call.prediction
    rows = max(1, _PART // (z.shape[1] * z.dtype.itemsize)) if z.is_cpu else z.shape[0]
    total: Any = 0.0
    mass: Any = 0.0
    values = []
    for first in range(0, z.shape[0], rows):
        span = slice(first, first + rows)
        part = with_tensors(call, prediction=z[span], target=call.target[span])
        part.weight = None if call.weight is None else call.weight[span]
        part.mask = None if call.mask is None else call.mask[span]
        found = _plain(part, output, factor, None if upstream is None else upstream[span])
        total, mass = total + found.total, mass + found.mass
        if found.values is not None:
            values.append(found.values)
        if found.gradient is not None:
            part.prediction.copy_(found.gradient)
    return _Sums(total, mass, None, torch.cat(values) if values else None)


def _plain(call: Call, output: Output, factor: Any, upstream: Tensor | None) -> Any:
    """The plain loss of some logits, by the engine that runs it."""
    if why_not_cpu(call) is None:
        scale = run._value_scale(call) if output == "values" else run._slope_scale(call)
        try:
            return launch.run(call, output, scale * factor, upstream)
        except NoCompilerError:  # from now on why_not_cpu says so, too
            pass
    if "gradient" not in output:
        losses, weight = run._reference(call)
        values = losses.to(call.prediction.dtype) if output == "values" else None
        return _Sums(*summed(losses, weight), None, values)
    with torch.enable_grad():
        leaf = call.prediction.detach().requires_grad_()
        losses, weight = run._reference(with_tensors(call, prediction=leaf))
        seed = torch.full_like(losses, factor) * (1.0 if upstream is None else upstream)
        (slopes,) = torch.autograd.grad(losses, leaf, seed)
    return _Sums(*summed(losses.detach(), weight), slopes, None)


def _share(mean: bool, mass: Any) -> Any:
    if isinstance(mass, Tensor) and mean:
        return torch.where(mass == 0, 0.0, 1.0 / mass)
    return run._share(mean, mass)


def _strip(ctx: Any, head: Head) -> None:
    """Hand the tensors to autograd, which frees them and sees in-place changes; keep the rest."""
    call = head.call
    ctx.save_for_backward(
        head.features, head.weight, head.bias, *(getattr(call, name) for name in _TENSORS)
    )
    ctx.head = Head(with_tensors(call, **dict.fromkeys(_TENSORS)), None, None, None, head.rows)  # type: ignore[arg-type]


def _restore(ctx: Any) -> Head:
    features, weight, bias, *rest = ctx.saved_tensors
    call = with_tensors(ctx.head.call, **dict(zip(_TENSORS, rest, strict=True)))
    return Head(call, features, weight, bias, ctx.head.block)


def _scaled(head: Head, gradients: Gradients, step: Any) -> Gradients:
    """Our own buffers times a number, each in the dtype of what it is the gradient of."""
    made: list[Tensor | None] = []
    for gradient, of in zip(gradients, (head.features, head.weight, head.bias), strict=True):
        if gradient is None or of is None:
            made.append(None)
            continue
        if isinstance(step, Tensor) or step != 1.0:
            gradient.mul_(step)
        made.append(gradient.to(of.dtype))
    return made[0], made[1], made[2]


class _Reduced(torch.autograd.Function):
    """The total (or mean) and the mass. See `run._Reduced`, whose life this one shares."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor | None, head: Head, mean: bool
    ) -> tuple[Tensor, Tensor]:
        ctx.wanted = tuple(ctx.needs_input_grad[:3])
        share = run._share(mean, features.shape[0])
        swept = _sweep(head, "total+gradient", share, ctx.wanted)
        ctx.factor, ctx.share = share, _share(mean, swept.mass)
        ctx.remaining = ctx.share / share if share else 0.0
        ctx.gradients = swept.gradients
        total, mass = _scalar(head, swept.total * ctx.share), _scalar(head, swept.mass)
        ctx.mark_non_differentiable(mass)
        _strip(ctx, head)
        return total, mass

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, _: Any) -> Any:
        head = _restore(ctx)
        if not run._plain_backward(upstream):
            return *_differentiable(head, ctx.wanted, upstream, ctx.share), None, None
        gradients, ctx.gradients = ctx.gradients, None
        step = upstream.item() if upstream.device.type == "cpu" else upstream
        if gradients is None:  # a second backward, to the last bit like the first
            gradients = _sweep(head, "total+gradient", ctx.factor, ctx.wanted).gradients
        step = step * ctx.remaining
        return *_scaled(head, gradients, step), None, None


class _Values(torch.autograd.Function):
    """One loss for each row; the backward makes the logits again."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor | None, head: Head
    ) -> Tensor:
        ctx.wanted = tuple(ctx.needs_input_grad[:3])
        values = _sweep(head, "values", 1.0).values
        _strip(ctx, head)
        return values  # type: ignore[return-value]

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        head = _restore(ctx)
        if not run._plain_backward(upstream):
            return *_differentiable(head, ctx.wanted, upstream, None), None
        gradients = _sweep(head, "gradient", 1.0, ctx.wanted, upstream).gradients
        return *_scaled(head, gradients, 1.0), None


def _differentiable(
    head: Head, wanted: tuple[bool, ...], upstream: Tensor, share: Any
) -> list[Tensor | None]:
    """The gradients, dense, by the reference engine: as a graph, to any order, where wanted."""
    graph = torch.is_grad_enabled()
    given = (head.features, head.weight, head.bias)
    inputs = [t for t, want in zip(given, wanted, strict=True) if want and t is not None]
    with torch.enable_grad():
        losses, _ = reference.losses(with_tensors(head.call, prediction=dense_logits(head)))
        out = losses if share is None else losses.sum() * share
        found = iter(torch.autograd.grad(out, inputs, upstream, create_graph=graph))
    return [next(found) if want else None for want in wanted]
