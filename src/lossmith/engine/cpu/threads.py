"""Blocks of work over as many threads as torch is set to, safe under fork and in any thread.

Kernels release Python's lock, so plain threads run them side by side. Which thread does which
block is left to chance; every block writes its own sums, so the result is not.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
    """Call run(first, last) over all blocks, `grain` blocks at a time, from several threads.

    Nobody still runs when this returns or raises, and after an exception in any thread no further
    block is begun. `run` has to hold on to all memory that it touches, for a second exception (a
    signal's handler may raise at any line) can lead out of the waiting, too: what a thread still
    writes to then must not be anybody else's yet.
    """
    threads = min(torch.get_num_threads(), -(-blocks // grain))
    if threads <= 1:
        run(0, blocks)
        return
    starts = itertools.count(0, grain)  # next() on a count is atomic
    fault: BaseException | None = None

    def work() -> None:
        for first in starts:
            if first >= blocks or fault is not None:
                return
            run(first, min(first + grain, blocks))

    def help_out(door: Lock) -> None:
        nonlocal fault
        with door:
            try:
                work()
            except BaseException as error:  # the caller raises it
                fault = error

    # A helper works behind its door. Whoever has been through the door knows that the helper is
    # done, or that it has yet to begin and will find nothing to do.
    doors = [Lock() for _ in range(threads - 1)]
    begun = False
    while True:
        try:
            if not begun:
                begun = True
                _submit(help_out, doors)
                work()
            for door in doors:
                with door:
                    pass
            break
        except BaseException as error:
            fault = error
    run = _nothing  # a helper that still waits for a thread keeps no memory
    if fault is not None:
        try:
            raise fault
        finally:
            fault = None  # it would keep this frame, and this frame it


def _nothing(first: int, last: int) -> None:
    """What is left to do."""


def _submit(work: Callable[[Lock], None], doors: list[Lock]) -> None:
    try:
        for door in doors:
            _workers(len(doors)).submit(work, door)
    except RuntimeError as error:
        # An interpreter that shuts down, or a full system, starts no more threads. A signal's
        # handler may raise the same class here.
        if not str(error).startswith(("cannot ", "can't ")):
            raise
