"""Stores that go past the cache, for gradients far larger than it.

An ordinary store first reads the line that it will overwrite; a third of the traffic of a loss
that only does arithmetic. What follows the marker goes into kernels that stream.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

# kernel text


@intrinsic
def stream(typingctx: Any, pointer: Any, index: Any, value: Any) -> Any:
    """pointer[index] = value, past the cache.

    The alignment of a whole vector is stated for each number, because the vectoriser takes it over
    for the vector that it makes of neighbours; those start at multiples of a block, which are
    aligned. Single numbers left over become scalar stores, which need no alignment.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to, at, number = arguments
        stored = builder.store(number, builder.gep(to, [at]), align=64)
        once = builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)])
        stored.set_metadata("nontemporal", once)
        return context.get_dummy_value()

    return types.void(pointer, index, value), emit


@intrinsic
def settle(typingctx: Any) -> Any:
    """Wait until streamed stores can be seen by other threads."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), emit
