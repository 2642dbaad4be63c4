"""Memory for large results: in large pages where the system offers them, and used again.

A large gradient is new memory each time, and the system hands memory out as pages that it has
zeroed: that took as long as all arithmetic of a cross-entropy. Asking for huge pages before the
first touch makes the page faults 512 times fewer; taking back what the last step let go makes
them none. A training loop frees a gradient before it asks for the next one of the same size.
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
import threading
import weakref
from functools import cache
from typing import Any

import torch
from torch import Tensor

ENVIRONMENT = "LOSSMITH_KEEP_MIB"
KEEP_MIB = 512  # the most that is kept: the gradient of 4096 rows over 32,000 classes in float32
_HUGE = 1 << 21
_LARGE = 4 * _HUGE
_MADV_HUGEPAGE = 14


class _Block:
    """Memory that is either lent to one tensor or waits in `_waiting`."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.memory = torch.empty(size, dtype=torch.uint8)  # aligned to 64 bytes
        advise = _madvise()
        if advise is not None:
            start = self.memory.data_ptr()
            low, high = -(-start // _HUGE) * _HUGE, (start + size) // _HUGE * _HUGE
            advise(low, high - low, _MADV_HUGEPAGE)  # advice: a refusal changes nothing

    def lend(self, size: int, dtype: torch.dtype) -> Tensor:
        """A flat tensor over the first bytes; the block waits again when nothing uses them."""
        view = self.memory.numpy()[:size]  # an object of this loan: the tensor's storage holds it
        weakref.finalize(view, _give_back, self).atexit = False
        return torch.frombuffer(view, dtype=dtype)


# Oldest first. A tensor may die in any thread, or while this list is looked at, so only single
# operations on it are used, which Python's lock keeps whole.
_waiting: list[_Block] = []


def fresh(shape: Any, dtype: torch.dtype) -> Tensor:
    """An uninitialised contiguous tensor."""
    size = math.prod(shape) * dtype.itemsize
    if size < _LARGE:
        return torch.empty(shape, dtype=dtype)
    flat = (_taken(size) or _Block(size)).lend(size, dtype)
    whole = torch.empty(0, dtype=dtype)  # a tensor of its own, which a view would not be
    return whole.set_(flat.untyped_storage()).resize_(shape)


def _taken(size: int) -> _Block | None:
    """A waiting block that fits, without wasting more than half of it; the last, as the warmest."""
    for block in reversed(tuple(_waiting)):
        if size <= block.size <= 2 * size:
            try:
                _waiting.remove(block)
            except ValueError:  # another thread was quicker
                continue
            return block
    return None


def _give_back(block: _Block) -> None:
    if block.size > _most():
        return
    _waiting.append(block)
    while sum(b.size for b in tuple(_waiting)) > _most():
        try:
            _waiting.pop(0)
        except IndexError:
            return


class _Room(threading.local):
    memory: Tensor
    size = address = 0


_room = _Room()


def scratch(size: int) -> int:
    """The address of `size` bytes to work in, this thread's own until its next kernel."""
    if _room.size < size:
        _room.memory = torch.empty(size, dtype=torch.uint8)
        _room.size, _room.address = size, _room.memory.data_ptr()
    return _room.address


@cache
def _most() -> int:
    """How many bytes may wait, $LOSSMITH_KEEP_MIB of them; 0 for none."""
    try:
        return max(0, int(os.environ.get(ENVIRONMENT, KEEP_MIB))) << 20
    except ValueError:
        return KEEP_MIB << 20


@cache
def _madvise() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    try:
        function = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return function
