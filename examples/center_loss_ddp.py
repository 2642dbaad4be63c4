"""Center loss under DistributedDataParallel: centres that all ranks move together.

With center loss beside the cross-entropy, the rows of a class come closer together.
"""

import gc
import tempfile
from datetime import timedelta

import torch
from torch import distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

import lossmith

CLASSES, WIDTH = 5, 2


def train(rank, weight, steps=150):
    torch.manual_seed(0)
    means = 2 * torch.randn(CLASSES, 8)
    body = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, WIDTH))
    parts = (body, nn.Linear(WIDTH, CLASSES))  # the features between them are needed too
    model = nn.Sequential(*map(DistributedDataParallel, parts))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    center = lossmith.CenterLoss(CLASSES, WIDTH)
    objective = lossmith.CrossEntropy() + weight * center
    torch.manual_seed(rank + 1)
    for _ in range(steps):
        y = torch.randint(CLASSES, ((20, 60)[rank],))  # ranks have different numbers of rows
        features = model[0](means[y] + torch.randn(len(y), 8))
        masses = lossmith.global_masses(dict.fromkeys(objective.names(), len(y)))
        inputs = {"logits": model[1](features), "features": features, "target": y}
        objective(**inputs, masses=masses, wrapper=model).backward()
        optimizer.step()
        optimizer.zero_grad()
    spread = center.eval()(features, y) / features.var(0).sum()  # inside classes, of all there is
    return spread.item(), center.centers


def run(rank, folder):
    distributed.init_process_group(
        "gloo", f"file://{folder}/meeting", rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    for weight in (0.0, 0.1):
        spread, centers = train(rank, weight)
        both = [torch.empty_like(centers) for _ in range(2)]
        distributed.all_gather(both, centers)
        same = "the same" if torch.equal(*both) else "different"
        if rank == 0:
            print(f"weight {weight}: spread inside classes {spread:.3f}, {same} centres on both")
    distributed.barrier()  # nobody leaves before the others
    gc.collect()  # the models let go of the group, so that its threads end here
    distributed.destroy_process_group()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(run, (folder,), nprocs=2)
