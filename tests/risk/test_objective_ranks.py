"""An objective over ranks and micro-batches: the gradients of one process on all rows."""

import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

import lossmith
from patience import HANG
from risk import objective_rank as rank
from risk.processes import joined_group, run_ranks


@pytest.mark.slow
def test_gradients_under_ddp_are_those_of_the_joined_batch(tmp_path):
    results = run_ranks(rank.run, 2, tmp_path, HANG)
    single = rank.Both()
    single.objective(**single(rank.joined())).backward()
    spare, rows = rank.Spare(), rank.batch(8)
    spare(rows["x"], rows["target"] % 2).backward()
    for found, said, (unused, remedies) in results:
        assert "spare.weight took no part in the model's forward" in unused
        for gradients in remedies:
            for gradient, p in zip(gradients, spare.parameters(), strict=True):
                torch.testing.assert_close(gradient, p.grad, rtol=1e-10, atol=1e-13)
        assert "weighting.l2.log_variance is learned and lies outside the wrapped model" in said
        for gradient, p in zip(found, single.parameters(), strict=True):
            torch.testing.assert_close(gradient, p.grad, rtol=1e-10, atol=1e-13)


@pytest.fixture
def alone(tmp_path):
    """One rank, which is enough for what DistributedDataParallel does with its hooks."""
    threads = torch.get_num_threads()
    with joined_group(0, 1, tmp_path / "meeting", 20):
        yield
    torch.set_num_threads(threads)


def test_a_penalty_of_what_the_forward_left_out_is_refused_and_nothing_else(alone):
    rows = rank.batch(8)
    x, target = rows["x"], rows["target"] % 2

    def wrapped(**options):
        return DistributedDataParallel(rank.Spare(), find_unused_parameters=True, **options)

    def step(model, parameters, through=lambda z: z):
        objective = model.module.objective
        objective(logits=through(model(x)), target=target, parameters=parameters).backward()

    model = wrapped()
    for parameters in (model, model.module, [model.module.spare.weight]):
        for through in (lambda z: z, lambda z: (z / 2.0).flatten(1).clamp(-9, 9)):
            with pytest.raises(lossmith.InputError, match=r"spare\.weight took no part"):
                step(model, parameters, through)
    model = wrapped()
    for _ in range(2):  # what the forward used may be penalised
        step(model, [model.module.used.weight])
    model.module.spare.requires_grad_(False)
    model = DistributedDataParallel(model.module, find_unused_parameters=True)
    for _ in range(2):  # and frozen parameters have no part at all
        step(model, model)
    model = wrapped()
    with model.no_sync():  # nor is anything put aside where no gradients are exchanged
        step(model, model)
    assert model.module.spare.weight.grad is not None
    with torch.no_grad():
        model.module.objective(logits=model(x), target=target, parameters=model)
