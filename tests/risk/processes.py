"""Ranks as real processes over gloo: started, waited for, and ended whatever happens."""

import multiprocessing
import time
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import wait

import torch
from torch import distributed


def run_ranks(run, world, folder, limit, *arguments):
    """`run(rank, *arguments, meeting, folder)` in a process for each rank; what each one saved.

    Within `limit` seconds, starting Python and torch on a busy machine included, or not at all.
    """
    context = multiprocessing.get_context("spawn")
    given = (*arguments, folder / "meeting", folder)
    processes = [context.Process(target=run, args=(rank, *given)) for rank in range(world)]
    deadline = time.monotonic() + limit
    try:
        for process in processes:
            process.start()
        # The others wait for a rank that failed, so the first failure ends them all.
        running, failed = {process.sentinel: process for process in processes}, False
        while running and not failed:
            ended = wait(running, timeout=max(0.0, deadline - time.monotonic()))
            for sentinel in ended:
                process = running.pop(sentinel)
                process.join()
                failed = failed or process.exitcode != 0
            failed = failed or not ended
        codes = [process.exitcode for process in processes]
    finally:
        for process in processes:
            if process.pid is not None:
                process.kill()
                process.join()
    assert codes == [0] * world, "a rank failed, or hangs (None)"
    return [torch.load(folder / f"{rank}.pt") for rank in range(world)]


@contextmanager
def joined_group(rank, world, meeting, seconds):
    """Inside, this process is one of `world` ranks over gloo, with one thread."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=world,
        timeout=timedelta(seconds=seconds),
    )  # fmt: skip
    try:
        yield
    finally:
        distributed.destroy_process_group()
