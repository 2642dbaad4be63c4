"""One rank that trains an objective under DistributedDataParallel, in a process of its own."""

import torch
from torch.nn.parallel import DistributedDataParallel

import lossmith
from patience import HANG
from risk.objectives import Net, batch, everything
from risk.processes import joined_group

SIZES = ((3, 8), (0, 1))  # rows of the two micro-batches of each rank


def made():
    """Two losses of different masses, a learned weight, a penalty."""
    loss = lossmith.Uncertainty("regression", 0.4) * lossmith.L2().on(target="goal")
    return (lossmith.CrossEntropy() + loss + 0.01 * lossmith.L1Penalty()).double()


class Both(torch.nn.Module):
    """Network and objective under one wrapper, which averages the gradients of both.

    The inputs of the objective come back: what it learns is found by the hooks of its gradients.
    """

    def __init__(self):
        super().__init__()
        self.net, self.objective = Net(), made()

    def forward(self, given):
        inputs = everything(self.net, given)
        del inputs["features"]
        return inputs


def joined():
    """All rows of the step, some without a class."""
    given = batch(12)
    given["target"][1::4] = -100
    return given


def refused(model, inputs, masses):
    """What is said of a learned weight that no wrapper averages."""
    try:
        made()(masses=masses, wrapper=model, **inputs)
    except lossmith.InputError as error:
        return str(error)
    return ""


class Spare(torch.nn.Module):
    """A network with a layer that its forward leaves out, and an objective that penalises it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.used, self.spare = torch.nn.Linear(3, 2).double(), torch.nn.Linear(3, 2).double()
        self.objective = lossmith.CrossEntropy() + 0.1 * lossmith.L1Penalty()

    def forward(self, x, target=None):
        logits = self.used(x)
        if target is None:
            return logits
        return self.objective(logits=logits, target=target, parameters=self)


def unused(x, target):
    """What is said of the spare layer; gradients of what the words propose: inside, then static."""
    said, model = "", DistributedDataParallel(Spare(), find_unused_parameters=True)
    try:
        model.module.objective(logits=model(x), target=target, parameters=model)
    except lossmith.InputError as error:
        said = str(error)
    model = DistributedDataParallel(Spare(), find_unused_parameters=True)
    model(x, target).backward()
    found = [[p.grad for p in model.module.parameters()]]
    model = DistributedDataParallel(Spare(), static_graph=True)
    model.module.objective(logits=model(x), target=target, parameters=model).backward()
    return said, [*found, [p.grad for p in model.module.parameters()]]


def run(rank, meeting, results):
    """The gradients after one step, written where the test will look for them."""
    with joined_group(rank, 2, meeting, HANG):
        both = Both()
        model = DistributedDataParallel(both)
        rows = [n for sizes in SIZES for n in sizes]
        cuts = [{k: v.split(rows)[i] for k, v in joined().items()} for i in range(len(rows))]
        mine = cuts[2 * rank : 2 * rank + 2]
        objective = both.objective
        ahead = ({"target": g["target"], "goal": g["goal"]} for g in mine)
        masses = lossmith.global_masses(objective.masses(ahead))
        for given in lossmith.micro_batches(model, mine):
            objective(masses=masses, wrapper=model, **model(given)).backward()
        said = refused(model, model(mine[0]), masses)
        half = batch(8)
        spare = unused(half["x"].split(4)[rank], half["target"].split(4)[rank] % 2)
        torch.save(([p.grad for p in both.parameters()], said, spare), f"{results}/{rank}.pt")
