"""One call on the CPU: pick the kernel, hand it pointers, add up the blocks."""

from __future__ import annotations

import ctypes
import hashlib
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossmith.engine import cache, eager
from lossmith.engine.cpu import elementwise, machine, panels, source
from lossmith.engine.cpu.memory import fresh, fresh_like, scratch
from lossmith.engine.cpu.threads import share
from lossmith.engine.plan import Output, Plan, fix
from lossmith.engine.protocol import Result
from lossmith.errors import InputError, LabelError
from lossmith.link.link import Call

_KERNELS: dict[Any, Any] = {}
_LARGE = 8 << 20  # bytes
_NARROW = 128  # classes; fewer go by panels
GRAIN = 64 * elementwise.BLOCK  # elements that one thread takes at a time
_BLOCKS = GRAIN // elementwise.BLOCK
_NAMES = {
    torch.float32: "float32", torch.float64: "float64", torch.float16: "float16",
    torch.bfloat16: "bfloat16", torch.int64: "int64", torch.int32: "int32",
    torch.bool: "bool", torch.uint8: "uint8",
}  # fmt: skip
Three = ctypes.c_double * 3
_address = Tensor.data_ptr
# Memory lies above it on the systems that are most used; where it does not, looking twice costs a
# little. Below lies a tensor without memory: at 0, and a part of it as many bytes on as it begins.
_LOWEST = 1 << 44


def _kernel(
    call: Call, output: Output, fixed: Any, contiguous: bool, panel: bool, stream: bool
) -> Any:
    """The compiled kernel of a call, from memory, from the cache directory, or made now."""
    short = (
        call.loss.key, call.loss.link.name, call.prediction.dtype, call.target.dtype, output,
        call.signed,
        call.weight is None, call.mask is None, call.alpha is None, call.class_weight is None,
        call.label_smoothing > 0, fixed, contiguous, panel, stream,
    )  # fmt: skip
    found = _KERNELS.get(short)
    if found is None:
        link = call.loss.link
        plan = Plan(
            formula=call.loss.key,
            body=link.body,
            axis=link.axis,
            form=link.form(call.hard, call.label_smoothing > 0),
            prediction=_NAMES[call.prediction.dtype],
            target=_NAMES[call.target.dtype],
            output=output,
            signed=call.signed,
            weight=call.weight is not None,
            mask=call.mask is not None,
            balanced=call.alpha is not None,
            hard=link.labelled and call.hard,
            class_weight=call.class_weight is not None,
            smoothed=call.label_smoothing > 0,
            contiguous=contiguous,
            panels=panel,
            stream=stream,
            fixed=fixed,
        )
        text = f"{plan!r}|{cache.fingerprint()}"
        name = hashlib.sha256(text.encode()).hexdigest()[:32]
        formula = call.loss.formula
        found = _KERNELS[short] = machine.kernel(name, lambda: source.write(plan, formula))
    return found


def run(call: Call, output: Output, factor: Any = 1.0, upstream: Tensor | None = None) -> Result:
    """What `Engine.run` returns, with sums as numbers; so is the factor, which is made of them."""
    share = factor
    if output != "total":
        if upstream is None and output == "gradient":
            output = "total+gradient"
        if call.loss.formula.scale is not None:  # a kernel holds ψ in units of the scale
            share = call.loss.unit(call.parameters, int("gradient" in output)) * factor
    result = (_elements if call.loss.link.axis is None else _rows)(call, output, share, upstream)
    if result.total - result.total != 0.0:  # infinite, or NaN
        return _again(call, output, factor, upstream)
    return result


def _again(call: Call, output: Output, factor: float, upstream: Tensor | None) -> Result:
    """The same call by the reference's mathematics, in float64.

    Every kernel adds up what it computes, so a finite sum shows at no cost that no number left the
    range of its type; of a bounded loss the largest residual shows it. Where one did, the truth may
    still have a result: the residual in units of a small scale is beyond the largest float, a sum
    is but its mean is not, a score is infinite and the formula has a limit there. That costs a
    second, slower pass, on such data only.
    """
    result = eager.run(call, output, factor, upstream)
    result.total, result.mass = float(result.total), float(result.mass)
    return result


def _elements(call: Call, output: Output, factor: float, upstream: Tensor | None) -> Result:
    prediction, target = _plain(call.prediction), _plain(call.target)
    count = prediction.numel()
    alive, arguments, gradient, values = _pointers(call, output, upstream, prediction, target)
    blocks = -(-count // elementwise.BLOCK)
    partial, address = _sums(blocks)
    arguments.append(address)
    if call.alpha is not None:
        arguments += (call.alpha, 1.0 - call.alpha)
    fixed: Any = ()
    if call.parameters:
        fixed, numbers = fix(call.loss, call.parameters)
        arguments += numbers
    stream = gradient is not None and _streams(gradient)
    kernel = _kernel(call, output, fixed, True, False, stream)
    if blocks <= _BLOCKS:
        kernel(machine.UNUSED, machine.UNUSED, 0, blocks, count, *arguments, factor)
    else:
        _share(kernel, (count, *arguments, factor), blocks, (alive, partial))
    return _collect(call, partial, blocks, gradient, values)


def _pointers(
    call: Call,
    output: Output,
    upstream: Tensor | None,
    prediction: Tensor,
    target: Tensor,
    rows: Any = None,
) -> tuple[list[Tensor], list[Any], Tensor | None, Tensor | None]:
    """The pointers that every kernel takes, in its text's order, and what must outlive them.

    `rows` is the shape of the losses where it is not the prediction's.
    """
    dtype = torch.float64 if prediction.dtype == torch.float64 else torch.float32
    alive = [prediction, target]
    losses = prediction.shape if rows is None else rows
    if call.weight is not None:
        alive.append(_plain(_as(dtype, call.weight), losses))
    if call.mask is not None:
        alive.append(_plain(call.mask, losses))
    if call.class_weight is not None:
        alive.append(_plain(_as(dtype, call.class_weight)))
    if call.alpha is not None and isinstance(call.alpha, Tensor):
        alive.append(_plain(_as(dtype, call.alpha)))
    if upstream is not None:
        alive.append(_plain(_as(dtype, upstream)))
    gradient = values = None
    if "gradient" in output:
        gradient = fresh_like(prediction)
        alive.append(gradient)
    if output == "values":
        alike = rows is None and dtype == prediction.dtype
        values = fresh_like(prediction) if alike else fresh(losses, dtype)
        alive.append(values)
    pointers = list(map(_address, alive))
    if min(pointers) < _LOWEST:
        alive = [_in_memory(call, t) for t in alive]
        pointers = list(map(_address, alive))
    return alive, pointers, gradient, values


def _as(dtype: torch.dtype, tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == dtype else tensor.to(dtype)


def _plain(tensor: Tensor, shape: Any = None) -> Tensor:
    """The same numbers, repeated to a shape, in the order and with the signs kernels read."""
    if shape is not None and tensor.shape != shape:
        tensor = tensor.expand(shape)
    return tensor.resolve_neg().contiguous() if tensor.is_neg() else tensor.contiguous()


def _in_memory(call: Call, tensor: Tensor) -> Tensor:
    """A tensor that can be read: only one without numbers may lie nowhere."""
    if tensor._is_zerotensor():  # autograd makes them
        return tensor.clone()
    if tensor.numel() and not tensor.untyped_storage().data_ptr():
        raise InputError(
            f"{call.loss.name}: a tensor of shape {tuple(tensor.shape)} and {tensor.dtype} has "
            "no memory: its storage was freed, as by untyped_storage().resize_(0). Compute the "
            "loss, and its gradient, while its arguments are there."
        )
    return tensor


def _rows(call: Call, output: Output, factor: float, upstream: Tensor | None) -> Result:
    prediction, target = _plain(call.prediction), _plain(call.target)
    link, shape = call.loss.link, prediction.shape
    losses = link.rows(shape)
    classes = shape[link.axis]  # type: ignore[index]  # or coordinates
    rows, inner = math.prod(losses), math.prod(shape[link.axis :][1:])
    smoothing = call.label_smoothing
    panel = classes < _NARROW and link.panels and not smoothing and call.hard
    most = 64 if link.classes else 4096
    block_rows = 4 * panels.LANES if panel else max(1, min(most, 16384 // classes))
    blocks = -(-rows // block_rows)
    alive, arguments, gradient, values = _pointers(
        call, output, upstream, prediction, target, losses
    )
    partial, address = _sums(blocks)
    arguments.append(address)
    fixed, numbers = fix(call.loss, call.parameters)
    tail = ((smoothing, *numbers) if smoothing else numbers) + (factor,)
    width = 8 if prediction.dtype == torch.float64 else 4
    kernel = _kernel(call, output, fixed, inner == 1, panel, False)

    # The function keeps the memory that the kernel touches, and its frame the room to work in.
    def run_blocks(first: int, last: int, held: Any = (alive, partial)) -> None:
        room: tuple[int, ...]
        if panel:
            lanes = panels.LANES
            _memory, places = scratch(lanes * (2 * 8 + (classes + panels.NUMBERS) * width))
            start = places + 2 * 8 * lanes
            room = (start + panels.NUMBERS * lanes * width, start, places, lanes)
        else:
            _memory, row = scratch(2 * classes * width)
            room = (row,)
        kernel(
            machine.UNUSED, machine.UNUSED, first, last, rows, classes, inner, block_rows,
            call.ignore_index, *arguments, *room, *tail,
        )  # fmt: skip

    grain = max(1, GRAIN // (block_rows * classes))
    if blocks <= grain:
        run_blocks(0, blocks)
    else:
        share(run_blocks, blocks, grain)
    return _collect(call, partial, blocks, gradient, values)


def _streams(gradient: Tensor) -> bool:
    """Whether a gradient is far larger than the cache, and aligned for stores that go past it."""
    return (
        gradient.numel() * gradient.element_size() >= _LARGE
        and gradient.dtype in (torch.float32, torch.float64)
        and gradient.data_ptr() % 64 == 0
    )


def _sums(blocks: int) -> tuple[Any, int]:
    """Room for total, mass and refused labels of each block, and its address."""
    if blocks <= 1:  # the cheapest to make: small calls count their microseconds
        one = Three()
        return one, ctypes.addressof(one)
    many = np.zeros(3 * blocks)  # not every output writes every sum
    return many, many.ctypes.data


def _share(kernel: Any, arguments: tuple[Any, ...], blocks: int, held: Any) -> None:
    """Run a kernel over all blocks in threads; `held` is the memory that its pointers lead to."""

    def run_blocks(first: int, last: int, held: Any = held) -> None:
        kernel(machine.UNUSED, machine.UNUSED, first, last, *arguments)

    share(run_blocks, blocks, _BLOCKS)


def _collect(
    call: Call, partial: Any, blocks: int, gradient: Tensor | None, values: Tensor | None
) -> Result:
    total, mass, bad = partial[:] if blocks <= 1 else partial.reshape(-1, 3).sum(axis=0).tolist()
    if bad:
        raise _label_error(call, int(bad))
    if call.loss.formula.scale is not None:
        total *= call.loss.unit(call.parameters)
    return Result(total, mass, () if gradient is None else (gradient,), values)


def _label_error(call: Call, bad: int) -> LabelError:
    """Say which label was refused; slow, and only on the way to an error."""
    from lossmith.engine.labels import describe

    return LabelError(describe(call, bad))
