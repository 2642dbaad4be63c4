"""Ranks as real processes over gloo: started, waited for, and ended whatever happens."""

import multiprocessing
import time

import torch


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
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
        codes = [process.exitcode for process in processes]
    finally:
        for process in processes:
            if process.pid is not None:
                process.kill()
                process.join()
    assert codes == [0] * world, "a rank failed, or hangs (None)"
    return [torch.load(folder / f"{rank}.pt") for rank in range(world)]
