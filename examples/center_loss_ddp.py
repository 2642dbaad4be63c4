"""Center loss under DistributedDataParallel: centres that all ranks move together.

Two processes with unequal batches. With center loss beside the cross-entropy, the rows of a class
come closer together; each loss is divided by its own mass over both ranks.
"""

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
    net = nn.ModuleDict({"features": body, "logits": nn.Linear(WIDTH, CLASSES)})
    net.forward = lambda x: (f := net["features"](x), net["logits"](f))
    model = DistributedDataParallel(net)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    ce, center = lossmith.CrossEntropy(), lossmith.CenterLoss(CLASSES, WIDTH)
    torch.manual_seed(rank + 1)
    for _ in range(steps):
        y = torch.randint(CLASSES, ((20, 60)[rank],))  # ranks have different numbers of rows
        features, logits = model(means[y] + torch.randn(len(y), 8))
        mass = lossmith.global_masses({"ce": len(y), "center": len(y)})
        near = lossmith.share_of_mean(center.total(features, y), mass["center"], model)
        loss = lossmith.share_of_mean(ce.total(logits, y), mass["ce"], model)
        (loss + weight * near).backward()
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
        theirs = [torch.empty_like(centers) for _ in range(2)]
        distributed.all_gather(theirs, centers)
        if rank == 0:
            same = "the same" if torch.equal(*theirs) else "different"
            print(f"weight {weight}: spread inside classes {spread:.3f}, {same} centres on both")
    distributed.barrier()  # nobody leaves while another still talks
    distributed.destroy_process_group()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(run, (folder,), nprocs=2)
