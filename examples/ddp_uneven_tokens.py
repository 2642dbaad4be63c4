"""DistributedDataParallel where ranks have unequal numbers of tokens, and a batch has none.

Gradients are divided once at the step, by the tokens of both ranks, as one process would.
"""

import gc
import tempfile
from datetime import timedelta

import torch
from torch import distributed, multiprocessing
from torch.nn.parallel import DistributedDataParallel

import lossmith

TOKENS = ((7, 1), (0, 120))  # of each rank, in its two micro-batches
CRITERION = lossmith.CrossEntropy(label_smoothing=0.1)


def rows(rank):
    generator = torch.Generator().manual_seed(rank)
    inputs = [torch.randn(tokens, 6, generator=generator) for tokens in TOKENS[rank]]
    return [(x, x[:, :4].argmax(1)) for x in inputs]


def layer():
    torch.manual_seed(0)
    return torch.nn.Linear(6, 4)


def train(model, batches, steps=40):
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    mean = lossmith.StepMean(model, optimizer)
    for _ in range(steps):
        for x, y in lossmith.micro_batches(model, batches):
            mean.add(CRITERION.total(model(x), y)).backward()
        loss = mean.finish()  # one all-reduce; then clip, if you clip
        optimizer.step()
        optimizer.zero_grad()
    return loss, next(model.parameters()).detach()


def run(rank, folder):
    distributed.init_process_group(
        "gloo", f"file://{folder}/meeting", rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    loss, weight = train(DistributedDataParallel(layer()), rows(rank))
    distributed.barrier()  # nobody leaves while another still talks
    gc.collect()  # the model lets go of the group, so that its threads end here
    distributed.destroy_process_group()
    if rank == 0:
        _, alone = train(layer(), [*rows(0), *rows(1)])
        off = (weight - alone).abs().max()
        print(f"two ranks: loss {loss:.4f} on 128 tokens; off one process by {off:.1e}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(run, (folder,), nprocs=2)
