"""One rank of a class-parallel run, started by test_class_parallel.py in a process of its own."""

from unittest import mock

import torch
from torch import distributed

import lossmith
from patience import HANG
from risk.processes import joined_group

NAMES = ("cross_entropy", "focal", "generalized_cross_entropy", "poly1")
# Classes of each rank: uneven, one alone, none at all.
SIZES = {2: [(3, 4), (1, 5), (0, 6)], 3: [(2, 4, 1), (3, 0, 3)]}
INF = float("inf")


@lossmith.probability
def own(u, k: lossmith.Positive = 0.5):
    """A person's own loss."""
    return -u + k * (1 - lossmith.primitives.exp(u)) ** 2


def case(sizes, seed, loss="cross_entropy", lead=(9,), soft=False, dtype=torch.float64, **more):
    """Joined tensors of a case, and its options: any subset of `more`, by name."""
    draw = torch.Generator().manual_seed(seed)
    classes = sum(sizes)
    shape = (lead[0], classes, *lead[1:])

    def normal(*size):
        return torch.randn(*size, generator=draw, dtype=torch.float64)

    z = 3 * normal(*shape)
    target = torch.randint(classes, lead, generator=draw)
    if more.get("ignored"):
        target = torch.where(normal(*lead) < -0.3, more["ignored"], target)
    if more.get("forbidden"):
        label = target.clamp(0).unsqueeze(1)
        place = torch.rand(shape, generator=draw) < 0.4
        z = torch.where(place.scatter(1, label, False), -INF, z)
    if more.get("alone"):  # in some rows one class alone is allowed
        hot = torch.zeros(shape, dtype=torch.bool).scatter(1, target.clamp(0).unsqueeze(1), True)
        z[:3] = torch.where(hot, z, -INF)[:3]
    if more.get("far"):  # certain, and far from it: p rounds to 1, and to 0
        z = z * 30
    if more.get("tied"):
        z = z.round().clamp(-1, 1)
    if soft:
        raw = torch.where(z == -INF, -INF, 2 * normal(*shape)).softmax(1)
        target = raw if dtype == torch.float64 else raw.float()
    options = {}
    if more.get("class_weight"):
        options["class_weight"] = torch.rand(classes, generator=draw, dtype=torch.float64) + 0.1
        options["class_weight"][classes // 2] = 0.0
    if more.get("alpha"):
        options["alpha"] = torch.rand(classes, generator=draw, dtype=torch.float64) + 0.1
    if more.get("weight"):
        options["sample_weight"] = (
            2 * torch.rand(lead, generator=draw, dtype=torch.float64)
        ).round() * 0.7
    if more.get("mask"):
        options["mask"] = normal(*lead) > -0.5
    if more.get("mask") or more.get("weight"):  # whatever is in a dropped row
        kept = options.get("mask", True) & (options.get("sample_weight", torch.ones(lead)) != 0)
        z = torch.where(kept.unsqueeze(1), z, torch.nan)
        target = torch.where(kept.unsqueeze(1), target, torch.nan) if soft else target
    for name in ("gamma", "q", "epsilon", "k"):
        if name in more:
            options[name] = torch.tensor(more[name], dtype=torch.float64)
    if more.get("gammas"):
        options["gamma"] = torch.rand(classes, generator=draw, dtype=torch.float64) + 0.5
    learned = [*more.get("learned", ())]
    for name in learned:
        options[name].requires_grad_()
    for name in ("label_smoothing", "reduction"):
        if name in more:
            options[name] = more[name]
    if "ignored" in more:
        options["ignore_index"] = more["ignored"]
    upstream = normal(*lead) if more.get("reduction") == "none" else torch.tensor(0.7).double()
    return {
        "loss": loss, "sizes": sizes, "logits": z.to(dtype), "target": target, "options": options,
        "learned": learned, "upstream": upstream, "direction": normal(*shape).to(dtype),
        "per_class": more.get("per_class", "whole"), "told": more.get("told", False),
    }  # fmt: skip


def cases(world):
    """Every option by itself and many together, for index and distribution."""
    found = []
    for sizes in SIZES[world]:
        for soft in (False, True):
            for name in (*NAMES, "own"):
                found.append(case(sizes, len(found), name, soft=soft))
        for soft in (False, True):
            for per_class in ("whole", "shard"):
                some = {"soft": soft, "per_class": per_class, "class_weight": True}
                found.append(case(sizes, len(found), "poly1", **some, weight=True, epsilon=2.0))
                found.append(
                    case(
                        sizes, len(found), "focal", lead=(4, 3), **some, alpha=True, mask=True,
                        label_smoothing=0.1, gamma=0.7, reduction="none", weight=True,
                    )
                )  # fmt: skip
                found.append(
                    case(
                        sizes, len(found), "focal", **some, alpha=True, gamma=1.3,
                        learned=("gamma", "alpha", "class_weight"), reduction="sum",
                        label_smoothing=0.2 if per_class == "shard" else 0.0,
                    )
                )  # fmt: skip
                for smoothing in (0.0, 0.1):
                    some["class_weight"] = False
                    found.append(
                        case(
                            sizes,
                            len(found),
                            "focal",
                            **some,
                            gammas=True,
                            learned=("gamma",),
                            alpha=True,
                            label_smoothing=smoothing,
                        )
                    )
    whole = SIZES[world][0]
    for name in (*NAMES, "own"):
        some = {"ignored": -1, "reduction": "sum", "told": True}
        found.append(case(whole, len(found), name, label_smoothing=0.1, **some))
        found.append(case(whole, len(found), name, class_weight=True, **some))
    for name in ("cross_entropy", "focal"):
        for soft, smoothing in ((False, 0.0), (False, 0.1), (True, 0.0)):
            some = {"soft": soft, "label_smoothing": smoothing, "lead": (40,)}
            found.append(case(whole, len(found), name, **some, forbidden=True))
            found.append(case(whole, len(found), name, **some, alone=True, reduction="none"))
            found.append(case(whole, len(found), name, **some, far=True, reduction="none"))
            found.append(case(whole, len(found), name, **some, tied=True, reduction="none"))
            found.append(case(whole, len(found), name, **some, dtype=torch.float32))
            found.append(case(whole, len(found), name, **some, dtype=torch.bfloat16))
            found.append(case(whole, len(found), name, **(some | {"lead": (0,)})))
    return found


def outcome(call, logits, given, per_class_shard=None):
    """Value, gradient (twice), gradient of the gradient, those of learned options, pair."""
    leaf = logits.detach().requires_grad_()
    options = dict(given["options"])
    learned = []
    for name in given["learned"]:
        options[name] = options[name].detach().requires_grad_()
        learned.append(options[name])
    if per_class_shard is not None:
        for name in ("class_weight", "alpha", "gamma"):
            if name in options and options[name].dim():
                options[name] = options[name][per_class_shard]
    value = call(leaf, options)
    upstream = given["upstream"].to(value.dtype)
    gradient, *slopes = torch.autograd.grad(value, [leaf, *learned], upstream, retain_graph=True)
    (again,) = torch.autograd.grad(value, leaf, upstream, create_graph=True)
    part = given["direction"]
    if part.shape != leaf.shape:
        part = part.split(list(given["sizes"]), 1)[distributed.get_rank()]
    (second,) = torch.autograd.grad(again, leaf, part)
    return {
        "value": value.detach(), "gradient": gradient, "again": again.detach(), "second": second,
        "slopes": slopes,
    }  # fmt: skip


def _loss(name):
    return own if name == "own" else name


def _split_outcome(given, rank):
    sizes = given["sizes"]
    begin = sum(sizes[:rank])
    here = slice(begin, begin + sizes[rank])
    target = given["target"]
    target = target[:, here] if target.is_floating_point() else target

    def call(leaf, options):
        return lossmith.class_parallel_loss(
            leaf, target, _loss(given["loss"]), per_class=given["per_class"],
            shard_sizes=sizes if given["told"] else None, **options,
        )  # fmt: skip

    return outcome(
        call, given["logits"][:, here], given, here if given["per_class"] == "shard" else None
    )


class Traffic:
    """What collectives are called with while this is open: (operation, numbers, bytes)."""

    def __enter__(self):
        self.seen, self.kept = [], (distributed.all_reduce, distributed.all_gather)

        def reduced(tensor, *args, **options):
            self.seen.append(("reduce", tensor.numel(), tensor.nbytes))
            return self.kept[0](tensor, *args, **options)

        def gathered(found, tensor, *args, **options):
            self.seen.append(("gather", tensor.numel(), tensor.nbytes))
            return self.kept[1](found, tensor, *args, **options)

        distributed.all_reduce, distributed.all_gather = reduced, gathered
        return self

    def __exit__(self, *_):
        distributed.all_reduce, distributed.all_gather = self.kept


def traffic(world, rank, width, soft, told):
    """Collectives of the forward pass, and those of the backward pass, for `width` classes each."""
    given = case((width,) * world, 0, "focal", soft=soft, weight=True)
    here = slice(rank * width, (rank + 1) * width)
    leaf = given["logits"][:, here].clone().requires_grad_()
    target = given["target"][:, here] if soft else given["target"]
    with Traffic() as forward:
        loss = lossmith.class_parallel_loss(
            leaf, target, "focal", shard_sizes=(width,) * world if told else None,
            **given["options"],
        )  # fmt: skip
    with Traffic() as backward:
        loss.backward()
    return forward.seen, backward.seen


def on_mesh(world, soft):
    """A DTensor split over the classes: the loss, and the gradient put together."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    given = case(SIZES[world][0], 5, "focal", soft=soft, class_weight=True)
    found = []
    for mesh, placements in (
        (init_device_mesh("cpu", (world,)), [Shard(1)]),
        (init_device_mesh("cpu", (1, world)), [Replicate(), Shard(1)]),
    ):
        z = distribute_tensor(given["logits"], mesh, placements).requires_grad_()
        target = given["target"]
        if soft:
            target = distribute_tensor(target, mesh, placements)
        weight = given["options"]["class_weight"]
        on_classes = [Shard(0) if p.is_shard() else p for p in placements]
        for per_class, there in (
            ("whole", weight), ("shard", distribute_tensor(weight, mesh, on_classes)),
        ):  # fmt: skip
            module = lossmith.ClassParallelLoss("focal", class_weight=there, per_class=per_class)
            loss = module(z, target)
            (gradient,) = torch.autograd.grad(loss, z)
            found.append((loss.detach(), gradient.full_tensor()))
    other = distribute_tensor(given["logits"], mesh, [Replicate(), Shard(0)])
    return found, _error(lambda: lossmith.class_parallel_loss(other, given["target"]))


def _error(call):
    try:
        call()
    except lossmith.LossmithError as error:
        return type(error).__name__, str(error)
    return "none", ""


def wrongs(world, rank):
    """What one rank gets wrong, by name; each call must end with an error on every rank."""
    z = torch.linspace(-1, 1, 12, dtype=torch.float64).view(4, 3).requires_grad_()
    target = torch.tensor([0, 1, 2, 3])
    soft = torch.full((4, 3), 1 / (3 * world), dtype=torch.float64)
    last = rank == world - 1
    barred = z.detach().clone()
    if last:
        barred[1] = -INF
    label = 3 * (world - 1)
    uneven = soft.clone()
    negative = soft.clone()
    if last:
        uneven[2] += 0.1
        negative[0, 1] = -negative[0, 1]
    classes = 3 * world
    calls = {
        "range": (z, torch.full((4,), classes), {}),
        "rows": (z[:3] if last else z, target[:3] if last else target, {}),
        "target": (z, target.flip(0) if last else target, {}),
        "target shape": (z, target[:2] if last else target, {}),
        "dtype": (z.float() if last else z, target, {}),
        "gradient": (z.detach() if last else z, target, {}),
        "option": (z, target, {"label_smoothing": 0.1 if last else 0.0}),
        "parameter": (z, target, {"loss": "focal", "gamma": -1.0 if last else 2.0}),
        "weights": (z, target, {"sample_weight": torch.tensor([1.0, 1, 1, 2 if last else 1])}),
        "class_weight": (z, target, {"class_weight": torch.ones(3)}),
        "class_weight shard": (
            z, target, {"class_weight": torch.ones(2 if last else 3), "per_class": "shard"}
        ),
        "forbidden": (barred, torch.tensor([0, label, 0, 0]), {}),
        "forbidden, smoothed": (barred, torch.tensor([0, label, 0, 0]), {"label_smoothing": 0.1}),
        "forbidden share": (barred, soft, {}),
        "sum": (z, uneven, {}),
        "negative": (z, negative, {}),
        "all forbidden": (torch.full_like(barred, -INF), target, {}),
        "not a tensor": (z, [0, 1, 2, 3] if last else target, {}),
        "per_class": (z, target, {"per_class": "rank"}),
        "loss": (z, target, {"loss": "huber"}),
        "sizes": (z, target, {"shard_sizes": (3,) * (world + 1)}),
    }  # fmt: skip
    found = {}
    for name, (logits, labels, options) in calls.items():
        found[name] = _error(
            lambda z=logits, t=labels, o=options: lossmith.class_parallel_loss(z, t, **o)
        )
    return found


def modules(world, rank):
    """A Module as loss, a group of its own, the pair, pickling; and NaN that counts."""
    import pickle

    given = case(SIZES[world][0], 3, "focal")
    sizes = given["sizes"]
    z = given["logits"].split(list(sizes), 1)[rank].contiguous()
    made = lossmith.ClassParallelLoss(
        lossmith.Focal(gamma=3.0, label_smoothing=0.1), process_group=distributed.group.WORLD
    )
    total, mass = pickle.loads(pickle.dumps(made)).total(z, given["target"])
    alone = distributed.new_group([0])
    single = None
    if rank == 0:
        single = lossmith.class_parallel_loss(
            given["logits"], given["target"], "focal", process_group=alone
        )
    spoiled = z.clone()
    if rank == world - 1:
        spoiled[1, 0] = torch.nan
    lost = [
        lossmith.class_parallel_loss(
            spoiled, given["target"], "focal", reduction="none", label_smoothing=e
        )
        for e in (0.0, 0.1)
    ]
    wrong = given["target"].clone()
    wrong[2], wrong[3] = sum(sizes), -1
    with mock.patch("lossmith.engine.looking.readable", return_value=False):  # as on a device
        unread = [
            lossmith.class_parallel_loss(z, wrong, reduction="none", label_smoothing=e)
            for e in (0.0, 0.1)
        ]
    return {
        "unread": unread,
        "mean": made(z, given["target"]),
        "pair": (total, mass),
        "single": single,
        "lost": lost,
    }


def run(rank, world, meeting, results):
    """Everything in one process group, written where the test will look for it."""
    with joined_group(rank, world, meeting, HANG):
        torch.save(
            {
                "cases": [_split_outcome(given, rank) for given in cases(world)],
                "traffic": {
                    (width, soft, told): traffic(world, rank, width, soft, told)
                    for width in (2, 300) for soft in (False, True) for told in (False, True)
                },
                "mesh": [on_mesh(world, soft) for soft in (False, True)],
                "wrongs": wrongs(world, rank),
                "modules": modules(world, rank),
            },
            f"{results}/{rank}.pt",
        )  # fmt: skip
