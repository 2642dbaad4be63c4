"""One rank of a distributed run, started by test_centers_ranks.py in a process of its own."""

import torch
from torch import distributed

import lossmith
from patience import HANG
from risk.processes import joined_group

CLASSES, DIM = 6, 3
# Rows of each rank at each step; the last two steps leave ranks, then all of them, without rows.
SIZES = {2: [(5, 2), (1, 7), (0, 4), (0, 0)], 3: [(5, 2, 3), (1, 7, 1), (0, 4, 0), (0, 0, 0)]}


def joined(step, world):
    """The joined batch of a step: class 5 never comes, some rows are dropped in either way."""
    rows = sum(SIZES[world][step])
    generator = torch.Generator().manual_seed(step)
    features = torch.randn(rows, DIM, generator=generator)
    target = torch.randint(0, CLASSES - 1, (rows,), generator=generator)
    weight = torch.rand(rows, generator=generator) * 2
    weight[1::4] = 0
    target[2::5] = -100
    features[2::5] = float("nan")
    return features, target, weight


def made(**options):
    center = lossmith.CenterLoss(CLASSES, DIM, **options)
    center.centers.copy_(torch.linspace(-1, 1, CLASSES * DIM).view(CLASSES, DIM))
    return center


def run(rank, world, meeting, results):
    """The centres after each step, written where the test will look for them."""
    with joined_group(rank, world, meeting, HANG):
        pair = distributed.new_group([0, 1])
        center, apart = made(), made()
        # A group of its own: the first two ranks, while a third stays by itself.
        some = made(process_group=pair) if rank < 2 else None
        steps = []
        for step, sizes in enumerate(SIZES[world]):
            batch = [part.split(list(sizes))[rank] for part in joined(step, world)]
            batch[0].requires_grad_()
            center(*batch).backward()
            if some is not None:
                some.total(*batch)
            apart.eval()(*batch)
            steps.append(center.centers.clone())
        torch.save(
            {"steps": steps, "some": some and some.centers, "apart": apart.centers},
            f"{results}/{rank}.pt",
        )
