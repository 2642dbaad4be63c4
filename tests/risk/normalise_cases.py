"""Every loss with its options, and rows for each, the same in every process that asks."""

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from unittest import mock

import torch

import lossmith
from lossmith.engine.cpu.engine import Cpu
from lossmith.face.catalogue import FUNCTIONS, MODULES
from lossmith.face.modules import class_name

WIDTH, CLASSES = 3, 4
# Valid rows of micro-batch i on rank r: the entry i·world + r, cycled. One rank of one micro-batch
# each is empty.
COUNTS = {1: (120, 0, 7), 2: (7, 1, 0, 120), 4: (7, 1, 0, 120)}


@dataclass
class Case:
    """A criterion, how its targets look, and how rows are dropped."""

    name: str
    make: Any
    target: str = "real"
    weight: bool = False
    drop: str = ""  # "ignore", "mask" or "weight": three rows more, which must not count
    flat: bool = False  # zero gradient everywhere
    options: dict[str, Any] = field(default_factory=dict)

    def criterion(self, dtype):
        tensors = {"class_weight": torch.tensor([0.5, 2.0, 1.0, 3.0], dtype=dtype)}
        options = {k: tensors.get(k, v) if v is ... else v for k, v in self.options.items()}
        return self.make(**options).to(dtype)

    def rows(self, place, valid, dtype):
        """Inputs of the model, and what criterion.total takes after the prediction."""
        generator = torch.Generator().manual_seed(1000 * place + sum(map(ord, self.name)))
        draw = partial(torch.rand, generator=generator, dtype=torch.float64)
        n = valid + 3 * bool(self.drop)
        x = draw(n, WIDTH) * 4 - 2
        per_row = self.target in ("index", "soft", "logits")
        shape = (n,) if per_row else (n, CLASSES)
        data = {}
        if self.target == "index":
            target = torch.randint(0, CLASSES, (n,), generator=generator)
        elif self.target == "binary":
            target = (draw(n, CLASSES) > 0.6).to(dtype)
        elif self.target == "signed":
            target = (draw(n, CLASSES) > 0.6).to(dtype) * 2 - 1
        elif self.target in ("soft", "logits"):
            target = draw(n, CLASSES).to(dtype) * 3
            target = target.softmax(1) if self.target == "soft" else target
        else:
            target = (draw(n, CLASSES) * 4 - 2).to(dtype)
        if self.weight or self.drop == "weight":
            data["sample_weight"] = (draw(*shape) * 2).to(dtype)
        if self.drop == "weight":
            data["sample_weight"][valid:] = 0
        if self.drop == "mask":
            data["mask"] = torch.arange(n).view(-1, *(1 for _ in shape[1:])) < valid
        if self.drop == "ignore":
            target[valid:] = -100
        x[valid:] = 1e3
        return x.to(dtype), target, data

    def total(self, criterion, prediction, target, data):
        if self.target == "logits":
            return criterion.total(prediction, target_logits=target, **data)
        return criterion.total(prediction, target, **data)


def cases():
    found = []
    for name, function in FUNCTIONS.items():
        if function.loss.link.targets != ("target",):
            continue  # below, in each of its ways
        make, kind = MODULES[class_name(name)], function.loss.link.name
        if kind != "softmax":
            target = "real" if kind == "residual" else "binary"
            flat = name == "zero_one"
            found += [
                Case(name, make, target, flat=flat),
                Case(f"{name}, weight, mask", make, target, weight=True, drop="mask", flat=flat),
            ]
            continue
        index, soft = partial(Case, make=make, target="index"), partial(Case, make=make)
        smooth, heavy = {"label_smoothing": 0.1}, {"class_weight": ...}
        found += [
            index(name),
            index(f"{name}, ignore", drop="ignore"),
            index(f"{name}, class weight", options=heavy),
            index(f"{name}, weight 0", drop="weight"),
            index(f"{name}, all", weight=True, drop="ignore", options=smooth | heavy),
            soft(f"{name}, soft, mask", target="soft", drop="mask"),
            soft(f"{name}, soft, all", target="soft", weight=True, options=smooth | heavy),
        ]
    for kind in (lossmith.CrammerSinger, lossmith.OneVsRest):
        for margin in ("hinge", "logistic", "savage"):
            make, heavy = partial(kind, margin), {"class_weight": ...}
            name = f"{kind.__name__} {margin}"
            found += [
                Case(name, make, "index", drop="mask"),
                Case(f"{name}, all", make, "index", weight=True, drop="ignore", options=heavy),
            ]
    kl, js = lossmith.KLDivergence, lossmith.JSDivergence
    head, center = partial(lossmith.LinearLoss, CLASSES, CLASSES), partial(_center, CLASSES)
    focal = {"alpha": torch.tensor([0.3, 1.0, 0.7, 2.0]), "gamma": 1.5}
    return [
        *found,
        Case("kl", kl, "soft", drop="mask"),
        Case("kl reverse", partial(kl, direction="reverse"), "soft", weight=True),
        Case("kl logits", kl, "logits", drop="weight"),
        Case("js", js, "soft", weight=True, drop="mask"),
        Case("signed hinge", lossmith.Hinge, "signed", drop="mask", options={"labels": "signed"}),
        Case("binary focal alpha", lossmith.BinaryFocal, "binary", options={"alpha": 0.25}),
        Case("focal alpha", lossmith.Focal, "index", drop="ignore", options=focal),
        Case("adaptive", lossmith.AdaptiveLoss, weight=True, drop="mask", options={"columns": 4}),
        Case("huber learned", _learned, weight=True),
        Case("linear", head, "index", drop="ignore"),
        Case("linear focal", partial(head, "focal"), "index", weight=True,
             options={"class_weight": ..., "label_smoothing": 0.1}),
        Case("center", center, "index"),
        Case("center, all", center, "index", weight=True, drop="ignore"),
        Case("center huber", partial(center, loss="huber"), "index", drop="mask"),
        Case("center paper", partial(center, update="paper"), "index", drop="ignore"),
    ]  # fmt: skip


def _center(classes, update="gradient", **options):
    made = lossmith.CenterLoss(classes, CLASSES, update=update, **options)
    made.centers.data.copy_(torch.linspace(-1, 1, classes * CLASSES).view(classes, CLASSES))
    # Centres that move at every call would differ from those of one call on all rows.
    return made.eval()


def _learned():
    return lossmith.Huber(delta=torch.tensor([0.5, 1.0, 1.5, 2.0]).requires_grad_())


def pieces(case, micro, world, rank, dtype):
    """The micro-batches of one rank."""
    counts = COUNTS[micro]
    places = [i * world + rank for i in range(micro)]
    return [case.rows(place, counts[place % len(counts)], dtype) for place in places]


def joined(case, micro, world, dtype):
    """The batch that one process would see."""
    parts = [p for rank in range(world) for p in pieces(case, micro, world, rank, dtype)]
    data = {k: torch.cat([part[2][k] for part in parts]) for k in parts[0][2]}
    return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts]), data


class One(torch.nn.Module):
    """A layer and a criterion: (total, mass) of the rows given."""

    def __init__(self, case, dtype):
        super().__init__()
        self.case = case
        self.layer = torch.nn.Linear(WIDTH, CLASSES, dtype=dtype)
        with torch.no_grad():
            self.layer.weight.copy_(torch.linspace(-0.7, 0.9, WIDTH * CLASSES).view(CLASSES, WIDTH))
            self.layer.bias.copy_(torch.linspace(0.3, -0.2, CLASSES))
        torch.manual_seed(0)  # LinearLoss draws its weights
        self.criterion = case.criterion(dtype)

    def forward(self, x, target, data):
        return self.case.total(self.criterion, self.layer(x), target, data)


class All(torch.nn.Module):
    """Every case with a layer of its own, so that one step tries them all."""

    def __init__(self, cases, dtype):
        super().__init__()
        self.ones = torch.nn.ModuleList(One(case, dtype) for case in cases)
        self.eval()

    def forward(self, batch):
        return {one.case.name: one(*rows) for one, rows in zip(self.ones, batch, strict=True)}


COMPILED = (
    *("l2, weight, mask", "hinge", "cross_entropy, ignore", "cross_entropy, all"),
    *("cross_entropy, soft, all", "CrammerSinger hinge, all", "linear", "center, all"),
)


def chosen(engine):
    """Every case under each wrapper and in each dtype; of the compiled kernels a few.

    Compiling a kernel for each case would take minutes where none is in the cache.
    """
    found = cases()
    return [case for case in found if case.name in COMPILED] if engine == "compiled" else found


@contextmanager
def using(engine):
    """Let the reference engine run where a kernel would."""
    with ExitStack() as stack:
        if engine == "reference":
            stack.enter_context(mock.patch.object(Cpu, "why_not", return_value="a test"))
        yield
