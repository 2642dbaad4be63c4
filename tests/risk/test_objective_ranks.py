"""An objective over ranks and micro-batches: the gradients of one process on all rows."""

import pytest
import torch

from patience import HANG
from risk import objective_rank as rank
from risk.processes import run_ranks


@pytest.mark.slow
def test_gradients_under_ddp_are_those_of_the_joined_batch(tmp_path):
    results = run_ranks(rank.run, 2, tmp_path, HANG)
    single = rank.Both()
    single.objective(**single(rank.joined())).backward()
    for found, said in results:
        assert "weighting.l2.log_variance is learned and lies outside the wrapped model" in said
        for gradient, p in zip(found, single.parameters(), strict=True):
            torch.testing.assert_close(gradient, p.grad, rtol=1e-10, atol=1e-13)
