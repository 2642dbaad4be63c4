"""Blocks of work over as many threads as torch is set to, safe under fork and in any thread.

Kernels release Python's lock, so plain threads run them side by side. Which thread does which
block is left to chance; every block writes its own sums, so the result is not.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock

import torch

_pool: ThreadPoolExecutor | None = None
_size = 0
_lock = Lock()


def _after_fork() -> None:
    # A child has none of its parent's threads, and may have been forked while a lock was held.
    global _pool, _size, _lock
    _pool, _size, _lock = None, 0, Lock()


if hasattr(os, "register_at_fork"):  # where there is no fork, there is nothing to mend
    os.register_at_fork(after_in_child=_after_fork)


def _workers(wanted: int) -> ThreadPoolExecutor:
    global _pool, _size
    with _lock:
        if _pool is None or _size < wanted:
            # The old pool finishes what it has and goes with its last reference.
            _pool, _size = ThreadPoolExecutor(wanted, "lossmith"), wanted
        return _pool


def share(run: Callable[[int, int], object], blocks: int, grain: int) -> None:
    """Call run(first, last) over all blocks, `grain` blocks at a time, from several threads."""
    threads = min(torch.get_num_threads(), -(-blocks // grain))
    if threads <= 1:
        run(0, blocks)
        return
    starts = itertools.count(0, grain)  # next() on a count is atomic

    def work() -> None:
        for first in starts:
            if first >= blocks:
                return
            run(first, min(first + grain, blocks))

    others = []
    with suppress(RuntimeError):  # an interpreter that shuts down starts no more threads
        for _ in range(threads - 1):
            others.append(_workers(threads - 1).submit(work))
    work()
    for other in others:
        if not other.cancel():  # one that still waits for a thread has nothing left to do
            other.result()
