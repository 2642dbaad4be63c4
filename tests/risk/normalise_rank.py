"""One rank of test_normalise_ranks.py, in a process of its own: gradients on every road."""

from itertools import product

import torch
from torch import distributed
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import lossmith
from patience import HANG
from risk import normalise_cases as nc
from risk.processes import joined_group

MICRO = (1, 2, 4)
NAIVE = ((1, 4), (2, 1), (3, 2))  # ranks and micro-batches
ENGINES = ("reference", "compiled")
DTYPES = (torch.float64, torch.float32)


def wrapped(model, wrapper, group):
    if wrapper == "DDP":
        return DistributedDataParallel(model, process_group=group)
    return fully_shard(model, mesh=DeviceMesh.from_group(group, "cpu"))


def collected(model):
    """The gradients by case and parameter, under FSDP2 this rank's rows, and none left behind."""
    found = {}
    for name, p in model.named_parameters():
        grad = p.grad
        grad = grad.to_local() if hasattr(grad, "to_local") else grad
        found[name.removeprefix("module.")] = grad.clone()
        p.grad = None
    return found


def mass(one, rows):
    _, target, data = rows
    return lossmith.mass_of(one.criterion, target, data.get("sample_weight"), data.get("mask"))


def known_masses(model, group, batches, ones):
    """Road A, every case in one step and one all-reduce."""
    masses = lossmith.global_masses(
        {
            one.case.name: sum(mass(one, batch[i]) for batch in batches)
            for i, one in enumerate(ones)
        },
        group,
    )
    for batch in lossmith.micro_batches(model, batches):
        shares = [
            lossmith.share_of_mean(pair, masses[name], model) for name, pair in model(batch).items()
        ]
        torch.stack(shares).sum().backward()
    return collected(model)


def naive(model, batches):
    """What most training loops do: means of micro-batches, averaged, averaged again by DDP."""
    for batch in lossmith.micro_batches(model, batches):
        means = [
            torch.where(mass == 0, total * 0, total / mass.clamp(min=1e-9))
            for total, mass in model(batch).values()
        ]
        (torch.stack(means).sum() / len(batches)).backward()
    return collected(model)


def at_the_step(model, batches, ones):
    """Road B, every case with a divisor of its own, over the parameters of its own."""
    means = [lossmith.StepMean(model, torch.optim.SGD(one.parameters(), 0.1)) for one in ones]
    for batch in lossmith.micro_batches(model, batches):
        pairs = model(batch).values()
        totals = [mean.add(pair) for mean, pair in zip(means, pairs, strict=True)]
        torch.stack(totals).sum().backward()
    values = {f"ones.{i}.value": mean.finish() for i, mean in enumerate(means)}
    return collected(model) | values


def roads(cases, wrapper, world, rank, group, dtype):
    """Gradients on both roads, by number of micro-batches."""
    found = {}
    inner = nc.All(cases, dtype)
    model = wrapped(inner, wrapper, group)
    for micro in MICRO:
        made = [nc.pieces(case, micro, world, rank, dtype) for case in cases]
        batches = list(zip(*made, strict=True))
        found[micro, "A"] = known_masses(model, group, batches, inner.ones)
        found[micro, "B"] = at_the_step(model, batches, inner.ones)
        if (world, micro) in NAIVE and wrapper == "DDP" and dtype == torch.float64:
            found[micro, "naive"] = naive(model, batches)
    return found


def uneven(rank, group):
    """As many micro-batches as the rank's number says, and an empty one on rank 0."""
    cases = [case for case in nc.cases() if case.name == "cross_entropy, all"]
    inner = nc.All(cases, torch.float64)
    model = wrapped(inner, "DDP", group)
    batches = [
        [case.rows(10 * rank + i, 5 * rank + i, torch.float64) for case in cases]
        for i in range(rank + 1)
    ]
    return {
        "A": known_masses(model, group, batches, inner.ones),
        "B": at_the_step(model, batches, inner.ones),
    }


def nothing(group):
    """Mass 0 on every rank."""
    cases = [case for case in nc.cases() if case.name == "cross_entropy, ignore"]
    inner = nc.All(cases, torch.float64)
    model = wrapped(inner, "DDP", group)
    batches = [[case.rows(0, 0, torch.float64) for case in cases]] * 2
    return {
        "A": known_masses(model, group, batches, inner.ones),
        "B": at_the_step(model, batches, inner.ones),
    }


def refused(group):
    """What is said of models whose gradients do not meet."""
    case = next(case for case in nc.cases() if case.name == "center")
    one = nc.One(case, torch.float64)
    layer = wrapped(one.layer, "DDP", group)
    said = []
    for model in (one.layer, layer):
        try:
            lossmith.StepMean(model, torch.optim.SGD(one.parameters(), 0.1))
        except lossmith.InputError as error:
            said.append(str(error))
    return said


def run(rank, meeting, results):
    """All groups of 1, 2 and 3 ranks in one start; the first rank of a group tells its results."""
    with joined_group(rank, 3, meeting, HANG):
        groups = {world: distributed.new_group(range(world)) for world in (1, 2, 3)}
        found = {}
        for world, group in groups.items():
            if rank >= world:
                continue
            for dtype, engine, wrapper in product(DTYPES, ENGINES, ("DDP", "FSDP2")):
                with nc.using(engine):
                    found[world, dtype, engine, wrapper] = roads(
                        nc.chosen(engine), wrapper, world, rank, group, dtype
                    )
        with nc.using("reference"):
            found["uneven"] = uneven(rank, groups[3])
            found["nothing"] = nothing(groups[3])
            found["refused"] = refused(groups[3])
        torch.save(found, f"{results}/{rank}.pt")
        distributed.barrier()  # nobody leaves while another still talks
