"""How long it takes to read two arrays and write one: no elementwise loss can do less."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from torch import Tensor

from lossmith.engine.cpu import elementwise, launch, machine
from lossmith.engine.cpu.source import Source
from lossmith.engine.cpu.threads import share

# Made and run like a loss's kernel, by the same threads over the same blocks, with one addition.
KERNEL = f'''"""g = a + b: what memory costs, for `lossmith bench`."""
from numba import njit

SIGNATURE = "int64 int64 int64 float32* float32* float32*"


@njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
def kernel(first, last, count, a, b, g):
    for i in range(first * {elementwise.BLOCK}, min(count, last * {elementwise.BLOCK})):
        g[i] = a[i] + b[i]
'''


def adder() -> Callable[[Tensor, Tensor, Tensor], None]:
    """add(a, b, g) for contiguous float32 tensors."""
    name = hashlib.sha256(KERNEL.encode()).hexdigest()[:32]
    kernel = machine.kernel(name, lambda: Source("", "", KERNEL))

    def add(a: Tensor, b: Tensor, g: Tensor) -> None:
        count = g.numel()
        rest = (count, a.data_ptr(), b.data_ptr(), g.data_ptr())

        def blocks(first: int, last: int) -> None:
            kernel(machine.UNUSED, machine.UNUSED, first, last, *rest)

        share(blocks, -(-count // elementwise.BLOCK), launch.GRAIN // elementwise.BLOCK)

    return add
