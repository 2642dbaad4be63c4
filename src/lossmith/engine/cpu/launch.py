"""One call on the CPU: pick the kernel, hand it pointers, add up the blocks."""

from __future__ import annotations

import ctypes
import hashlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossmith.engine import cache
from lossmith.engine.cpu import elementwise, machine, panels, source
from lossmith.engine.cpu.again import Result, again
from lossmith.engine.cpu.memory import fresh, scratch
from lossmith.engine.cpu.threads import share
from lossmith.engine.plan import Call, Output, Plan, fix
from lossmith.errors import InputError, LabelError

_KERNELS: dict[Any, Any] = {}
_LARGE = 8 << 20  # bytes
_NARROW = 128  # classes; fewer go by panels
_GRAIN = 64 * elementwise.BLOCK  # elements that one thread takes at a time
_NAMES = {
    torch.float32: "float32", torch.float64: "float64", torch.float16: "float16",
    torch.bfloat16: "bfloat16", torch.int64: "int64", torch.int32: "int32",
    torch.bool: "bool", torch.uint8: "uint8",
}  # fmt: skip
Three = ctypes.c_double * 3


def _kernel(
    call: Call, output: Output, fixed: Any, contiguous: bool, panel: bool, stream: bool
) -> Any:
    """The compiled kernel of a call, from memory, from the cache directory, or made now."""
    short = (
        call.loss.key, call.loss.kind, call.prediction.dtype, call.target.dtype, output,
        call.signed,
        call.weight is None, call.mask is None, call.alpha is None, call.class_weight is None,
        call.label_smoothing > 0, fixed, contiguous, panel, stream,
    )  # fmt: skip
    found = _KERNELS.get(short)
    if found is None:
        plan = Plan(
            formula=call.loss.key,
            kind=call.loss.kind,
            prediction=_NAMES[call.prediction.dtype],
            target=_NAMES[call.target.dtype],
            output=output,
            signed=call.signed,
            weight=call.weight is not None,
            mask=call.mask is not None,
            balanced=call.alpha is not None,
            hard=call.hard,
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


def run(call: Call, output: Output, factor: float, upstream: Tensor | None = None) -> Result:
    """Run a call whose tensors are checked. `factor` multiplies gradients (or values).

    Labels that the kernel refused raise; nothing of the result is returned then.
    """
    result = (_rows if call.loss.classes else _elements)(call, output, factor, upstream)
    if result.total - result.total != 0.0:  # infinite, or NaN
        return again(call, output, factor, upstream)
    return result


def _elements(call: Call, output: Output, factor: float, upstream: Tensor | None) -> Result:
    prediction, target = _plain(call.prediction), _plain(call.target)
    count = prediction.numel()
    alive, arguments, gradient, values = _pointers(
        call, output, upstream, prediction, target, prediction.shape
    )
    blocks = -(-count // elementwise.BLOCK)
    partial, address = _sums(blocks)
    arguments.append(address)
    if call.alpha is not None:
        arguments += (call.alpha, 1.0 - call.alpha)
    fixed, numbers = fix(call)
    arguments += numbers
    stream = gradient is not None and _streams(gradient)
    kernel = _kernel(call, output, fixed, True, False, stream)
    if blocks:
        held = (alive, partial)
        _share(kernel, (count, *arguments, factor), blocks, _GRAIN // elementwise.BLOCK, held)
    return _collect(call, partial, blocks, gradient, values)


def _pointers(
    call: Call,
    output: Output,
    upstream: Tensor | None,
    prediction: Tensor,
    target: Tensor,
    rows: Any,
) -> tuple[list[Tensor], list[Any], Tensor | None, Tensor | None]:
    """The pointers that every kernel takes, in its text's order, and what must outlive them."""
    dtype = torch.float64 if prediction.dtype == torch.float64 else torch.float32
    alive = [prediction, target]
    if call.weight is not None:
        alive.append(_plain(call.weight.to(dtype).expand(rows)))
    if call.mask is not None:
        alive.append(_plain(call.mask.expand(rows)))
    if call.class_weight is not None:
        alive.append(_plain(call.class_weight.to(dtype)))
    if call.loss.classes and call.alpha is not None:
        alive.append(_plain(call.alpha.to(dtype)))
    if upstream is not None:
        alive.append(_plain(upstream.to(dtype)))
    gradient = values = None
    if "gradient" in output:
        gradient = fresh(prediction.shape, prediction.dtype)
        alive.append(gradient)
    if output == "values":
        values = fresh(rows, dtype)
        alive.append(values)
    pointers = [t.data_ptr() for t in alive]
    if 0 in pointers:
        _not_freed(call, alive)
    return alive, pointers, gradient, values


def _plain(tensor: Tensor) -> Tensor:
    """The same numbers in memory, in the order and with the signs in which a kernel reads them."""
    if tensor._is_zerotensor():  # autograd makes them; a part of one has an address, and no memory
        tensor = tensor.clone()
    return tensor.resolve_neg().contiguous()


def _not_freed(call: Call, tensors: list[Tensor]) -> None:
    """Only a tensor without numbers may lie nowhere."""
    for tensor in tensors:
        if tensor.numel() and not tensor.data_ptr():
            raise InputError(
                f"{call.loss.name}: a tensor of shape {tuple(tensor.shape)} and {tensor.dtype} has "
                "no memory: its storage was freed, as by untyped_storage().resize_(0). Compute the "
                "loss, and its gradient, while its arguments are there."
            )


def _rows(call: Call, output: Output, factor: float, upstream: Tensor | None) -> Result:
    prediction, target = _plain(call.prediction), _plain(call.target)
    shape = prediction.shape
    classes = shape[1]
    rows_shape = shape[:1] + shape[2:]
    rows = rows_shape.numel()
    inner = rows // shape[0] if shape[0] else 1
    smoothing = call.label_smoothing
    panel = classes < _NARROW and call.loss.kind == "softmax" and call.hard and not smoothing
    block_rows = 4 * panels.LANES if panel else max(1, min(64, 16384 // classes))
    blocks = -(-rows // block_rows)
    alive, arguments, gradient, values = _pointers(
        call, output, upstream, prediction, target, rows_shape
    )
    partial, address = _sums(blocks)
    arguments.append(address)
    fixed, numbers = fix(call)
    tail = ((smoothing, *numbers) if smoothing else numbers) + (factor,)
    width = 8 if prediction.dtype == torch.float64 else 4
    kernel = _kernel(call, output, fixed, inner == 1, panel, False)

    # The function keeps the memory that the kernel touches, and its frame the room to work in.
    def run_blocks(first: int, last: int, held: Any = (alive, partial)) -> None:
        room: tuple[int, ...]
        if panel:
            lanes = panels.LANES
            _memory, places = scratch(lanes * (2 * 8 + (classes + 7) * width))
            start = places + 2 * 8 * lanes
            room = (start + 7 * lanes * width, start, places, lanes)
        else:
            _memory, row = scratch(2 * classes * width)
            room = (row,)
        kernel(
            machine.UNUSED, machine.UNUSED, first, last, rows, classes, inner, block_rows,
            call.ignore_index, *arguments, *room, *tail,
        )  # fmt: skip

    grain = max(1, _GRAIN // (block_rows * classes))
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


def _share(kernel: Any, arguments: tuple[Any, ...], blocks: int, grain: int, held: Any) -> None:
    """Run a kernel over all blocks; `held` is the memory that its pointers lead to."""
    if blocks <= grain:
        kernel(machine.UNUSED, machine.UNUSED, 0, blocks, *arguments)
        return

    def run_blocks(first: int, last: int, held: Any = held) -> None:
        kernel(machine.UNUSED, machine.UNUSED, first, last, *arguments)

    share(run_blocks, blocks, grain)


def _collect(
    call: Call, partial: Any, blocks: int, gradient: Tensor | None, values: Tensor | None
) -> Result:
    if blocks == 0:
        total, mass, bad = 0.0, 0.0, 0.0
    elif blocks == 1:
        total, mass, bad = float(partial[0]), float(partial[1]), float(partial[2])
    else:
        total, mass, bad = partial.reshape(-1, 3).sum(axis=0).tolist()
    if bad:
        raise _label_error(call, int(bad))
    scale = call.loss.formula.scale
    if scale is not None and scale.power:
        total *= call.parameters[-1] ** scale.power
    return Result(total, mass, gradient, values)


def _label_error(call: Call, bad: int) -> LabelError:
    """Say which label was refused; slow, and only on the way to an error."""
    from lossmith.engine.labels import describe

    return LabelError(describe(call, bad))
