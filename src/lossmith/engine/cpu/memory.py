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
    """Memory that a tensor has, or had: nobody knows of it but `_waiting` when it is `alone`.

    It is a storage as torch makes it, and not only memory, because whoever has the tensor may do
    with its storage what may be done with any other: resize it, share it with other processes.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        # Without a tensor of its own; aligned to 64 bytes.
        self.storage = torch.empty(size, dtype=torch.uint8, device="cpu").untyped_storage()
        self.owners = _owners(self.storage)
        advise = _madvise()
        if advise is not None:
            start = self.storage.data_ptr()
            low, high = -(-start // _HUGE) * _HUGE, (start + size) // _HUGE * _HUGE
            advise(low, high - low, _MADV_HUGEPAGE)  # advice: a refusal changes nothing

    def lend(self, shape: Any, dtype: torch.dtype) -> Tensor:
        """A tensor over the first bytes; when it is gone, the block serves again."""
        tensor = torch.empty(0, dtype=dtype, device="cpu")
        tensor.set_(self.storage, 0, shape)  # type: ignore[call-overload]  # strides: contiguous
        _remember(self)
        return tensor

    @property
    def alone(self) -> bool:
        """Whether neither a view, an alias (as `.grad` is one) nor an array uses the memory."""
        return _owners(self.storage) == self.owners

    @property
    def sound(self) -> bool:
        """Whether nothing was done to the storage that its next tensor would notice."""
        storage = self.storage
        return storage.nbytes() == self.size and storage.resizable() and not storage.is_shared()


def _owners(storage: Any) -> int:
    return torch._C._storage_Use_Count(storage._cdata)


# Blocks that wait, or will when their tensor is gone; oldest first. A tensor may die in any thread,
# and another thread look at this list; only single operations on it are used, which Python's lock
# keeps whole.
_waiting: list[_Block] = []


def fresh(shape: Any, dtype: torch.dtype) -> Tensor:
    """An uninitialised contiguous tensor."""
    size = math.prod(shape) * dtype.itemsize
    if size < _LARGE:
        return torch.empty(shape, dtype=dtype, device="cpu")  # whatever the default device is
    return (_taken(size) or _Block(size)).lend(shape, dtype)


def fresh_like(tensor: Tensor) -> Tensor:
    """The same of the shape and dtype of a contiguous tensor; the quicker for it if small."""
    if tensor.nbytes < _LARGE:
        return torch.empty_like(tensor)
    return fresh(tensor.shape, tensor.dtype)


def _taken(size: int) -> _Block | None:
    """A waiting block that fits, without wasting more than half of it; the last, as the warmest."""
    for block in reversed(tuple(_waiting)):
        if not (size <= block.size <= 2 * size and block.alone):
            continue
        try:
            _waiting.remove(block)
        except ValueError:  # another thread was quicker
            continue
        if not block.alone:  # another thread took it and lent it, all since we looked
            _remember(block)
        elif block.sound:
            return block
    return None


def _remember(block: _Block) -> None:
    if block.size > _most():
        return
    _waiting.append(block)
    while sum(b.size for b in tuple(_waiting)) > _most():
        try:
            _waiting.pop(0)
        except IndexError:
            return


class _Room(threading.local):
    found: tuple[Any, int, int] = (None, 0, 0)  # memory, its address, its size


_room = _Room()


def scratch(size: int) -> tuple[Any, int]:
    """`size` bytes to work in, this thread's own until its next kernel, and their address.

    Hold the first while the second is used: a signal's handler may run another kernel in between.
    """
    found = _room.found
    if found[2] < size:
        memory = torch.empty(size, dtype=torch.uint8, device="cpu")
        found = _room.found = (memory, memory.data_ptr(), size)
    return found[0], found[1]


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
