"""An objective over ranks and micro-batches: the gradients of one process on all rows."""

import multiprocessing
import time

import pytest
import torch

from risk import objective_rank as rank

LIMIT = 45  # seconds, starting Python and torch on a busy machine included


@pytest.mark.slow
def test_gradients_under_ddp_are_those_of_the_joined_batch(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=rank.run, args=(r, tmp_path / "meeting", tmp_path)) for r in (0, 1)
    ]
    deadline = time.monotonic() + LIMIT
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
    assert codes == [0, 0], "a rank failed, or hangs (None)"

    single = rank.Both()
    single(rank.joined()).backward()
    for r in (0, 1):
        found = torch.load(tmp_path / f"{r}.pt")
        for gradient, p in zip(found, single.parameters(), strict=True):
            torch.testing.assert_close(gradient, p.grad, rtol=1e-10, atol=1e-13)
