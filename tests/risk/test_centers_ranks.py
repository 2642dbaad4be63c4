"""Across ranks, real processes over gloo: the centres are those of one process on all rows."""

import pytest
import torch

from patience import HANG
from risk import rank
from risk.processes import run_ranks


@pytest.mark.slow
@pytest.mark.parametrize("world", [2, 3])
def test_centres_are_those_of_one_process_on_the_joined_batch(world, tmp_path):
    results = run_ranks(rank.run, world, tmp_path, HANG, world)
    single, start = rank.made(), rank.made().centers
    for step in range(len(rank.SIZES[world])):
        single(*rank.joined(step, world))
        for result in results:
            found = result["steps"][step]
            torch.testing.assert_close(found, single.centers, rtol=0, atol=1e-6)
            assert torch.equal(found, results[0]["steps"][step])  # no drift between ranks
            assert torch.equal(found[-1], start[-1])  # a class that never came
    assert torch.equal(results[0]["steps"][-1], results[0]["steps"][-2])  # no rows anywhere

    # A group of the first two: their rows and no others. And eval mode moves nothing anywhere.
    some = rank.made()
    for step, sizes in enumerate(rank.SIZES[world]):
        first = sum(sizes[:2])
        some(*(part[:first] for part in rank.joined(step, world)))
    for result in results[:2]:
        torch.testing.assert_close(result["some"], some.centers, rtol=0, atol=1e-6)
    assert all(torch.equal(result["apart"], start) for result in results)
