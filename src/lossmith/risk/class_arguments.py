"""Arguments of a split call, checked and made into a `Split`, so that no rank raises alone."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

import torch
from torch import Tensor

from lossmith.errors import DtypeError, InputError, ParameterError, ShapeError, UnsupportedError
from lossmith.face import checks, values
from lossmith.face.catalogue import FUNCTIONS
from lossmith.face.modules import Loss
from lossmith.link.links import Linked
from lossmith.risk.class_split import Split
from lossmith.risk.collectives import gathered, rank_of
from lossmith.risk.ranks import Group

NAME = "class_parallel_loss"
_DEFAULTS: dict[str, Any] = {
    "class_weight": None, "label_smoothing": 0.0, "ignore_index": -100, "reduction": "mean",
}  # fmt: skip
_PER_CLASS = ("whole", "shard")
# What has to be the same on all ranks, and what to say where it is not.
_ALIKE = {
    "rows": "logits of different rows: dimension 0 and those after the classes must be equal",
    "dtype": "logits or targets of different dtypes or devices",
    "gradient": "logits of which some require a gradient and some do not",
    "options": "different losses, parameters or options, or some have a weight, a mask, a "
    "class_weight or an alpha of a shape that others have not",
    "target": "different class indices: each rank needs the target of all rows, the same one",
    "weights": "different weights, masks, whole class_weights or alphas: they belong to rows, or "
    "to all classes, and must be the same everywhere",
}


def chosen(loss: Any) -> tuple[Linked, dict[str, Any]]:
    """A probability loss given in any of the usual ways, and the settings of a Module."""
    settings = loss.given() if isinstance(loss, Loss) else {}
    found = FUNCTIONS.get(loss) if isinstance(loss, str) else getattr(loss, "function", loss)
    linked = getattr(found, "loss", None)
    if not isinstance(linked, Linked) or linked.kind != "softmax":
        names = ", ".join(n for n, f in FUNCTIONS.items() if f.loss.kind == "softmax")
        raise InputError(
            f"{NAME}: loss={loss!r} is no probability loss. Give one of {names} (name, function or "
            "Module), or your own @lossmith.probability."
        )
    return linked, settings


def split(
    logits: Any,
    target: Any,
    loss: Any,
    options: dict[str, Any],
    weight: Any,
    mask: Any,
    per_class: Any,
    shard_sizes: Any,
    process_group: Any,
    parameters: dict[str, Any],
) -> tuple[Split, str]:
    """The checked call and its reduction; whatever is wrong on one rank is an error on all."""
    if torch.compiler.is_compiling() or torch._C._functorch.peek_interpreter_stack() is not None:
        raise UnsupportedError(
            f"{NAME} speaks to other processes and runs eagerly, not under torch.compile or "
            "torch.func. Call it outside the compiled or transformed function; for gradients of "
            "gradients use torch.autograd.grad(…, create_graph=True)."
        )
    group, dim = _group(logits, process_group)

    def prepare() -> tuple[Split, str]:
        linked, settings = chosen(loss)
        merged = _merged(options, settings)
        checks.reduction(NAME, merged["reduction"])
        if per_class not in _PER_CLASS:
            raise InputError(
                f'{NAME}: per_class={per_class!r} is not known. Use "whole" if class_weight and '
                'alpha have all classes, "shard" if each rank gives those of its own.'
            )
        bound, alpha = bind(linked, settings, parameters)
        whole = per_class == "whole"
        local = partial(_local, dim=dim, whole=whole)
        made = Split(
            linked, local("logits", logits), local("target", target), bound, group, 0, 0,
            local("weight", weight), local("mask", mask),
            local("class_weight", merged["class_weight"]), local("alpha", alpha),
            whole, merged["label_smoothing"], merged["ignore_index"], False,
        )  # fmt: skip
        _check(made)
        made.look = values.readable(made.logits.detach()) and values.readable(made.target)
        return made, merged["reduction"]

    sizes = shard_sizes
    if sizes is None:
        made, reduction, sizes = _agreed(group, prepare)
    else:
        made, reduction = prepare()
        sizes = _given_sizes(sizes, made)
    made.first, made.classes = sum(sizes[: rank_of(group)]), sum(sizes)
    if not made.classes:
        raise ShapeError(f"{NAME}: no rank has a class; the logits need at least one in all.")
    for argument, value in (("class_weight", made.class_weight), ("alpha", made.alpha)):
        if value is not None and made.whole and tuple(value.shape) != (made.classes,):
            hint = ""
            if value.shape == made.logits.shape[1:2]:
                hint = ' For the numbers of this rank\'s classes alone use per_class="shard".'
            raise ShapeError(
                f"{NAME}: {argument} has shape {tuple(value.shape)}, but the ranks have "
                f"{made.classes} classes together: give one number for each, shape "
                f"({made.classes},).{hint}"
            )
    return made, reduction


def _merged(given: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Options of the call, and those of a Module where the call says nothing."""
    made = dict(_DEFAULTS)
    for name, default in _DEFAULTS.items():
        here, there = given[name], settings.get(name, default)
        silent = here is default or (not isinstance(here, Tensor) and here == default)
        if not silent and there is not default and there is not here and there != default:
            raise InputError(
                f"{NAME}: {name} is given here and in the loss Module. Give it in one place."
            )
        made[name] = there if silent else here
    return made


def bind(
    linked: Linked, settings: dict[str, Any], parameters: dict[str, Any]
) -> tuple[tuple[Any, ...], Any]:
    """The formula's parameters in order, and alpha."""
    formula = linked.formula
    own = {p.name: settings[p.name] for p in formula.parameters if p.name in settings}
    own |= parameters
    alpha = own.pop("alpha", settings.get("alpha")) if formula.balanced else None
    tensors = {k: v for k, v in own.items() if isinstance(v, Tensor)}
    bound = formula.bind({k: v for k, v in own.items() if k not in tensors})
    if unknown := tensors.keys() - bound.keys():
        formula.bind(dict.fromkeys(unknown, 0.0))  # its error lists the names
    for name, value in tensors.items():
        if value.numel() != 1 or not value.is_floating_point():
            raise ParameterError(
                f"{NAME}: {name} is a tensor of shape {tuple(value.shape)} and {value.dtype}; it "
                "must be a number or a floating tensor of one number, the same on each rank."
            )
    return tuple(tensors.get(name, value) for name, value in bound.items()), alpha


def _check(made: Split) -> None:
    """What shapes, dtypes and devices of this rank can tell."""
    logits, target = made.logits, made.target
    checks.tensors(NAME, logits, target)
    checks.no_gradient(NAME, target)
    if logits.dim() < 2 or logits.shape[1]:
        checks.class_shapes(NAME, logits, target)
    else:  # a rank may be without classes
        rows = logits.shape[:1] + logits.shape[2:]
        if target.dtype == torch.bool:
            raise DtypeError(f"{NAME}: the target is boolean; give class indices (int64).")
        if target.shape != (logits.shape if target.is_floating_point() else rows):
            raise ShapeError(
                f"{NAME}: logits of shape {tuple(logits.shape)} need class indices of shape "
                f"{tuple(rows)} or a distribution of the logits' shape, got {tuple(target.shape)}."
            )
    rows = logits.shape[:1] + logits.shape[2:]
    for argument, value in (("weight", made.weight), ("mask", made.mask)):
        if value is not None:
            checks.per_loss(NAME, argument, value, rows, logits)
    for argument, value in (("class_weight", made.class_weight), ("alpha", made.alpha)):
        if value is None:
            continue
        if argument == "alpha":
            checks.no_scalar_alpha(NAME, value)
        if made.whole and isinstance(value, Tensor) and value.dim() == 1:
            # Its length waits until the number of classes is known.
            checks.one_per_class(NAME, argument, value, logits.new_empty((1, value.shape[0])))
        else:
            checks.one_per_class(NAME, argument, value, logits)
        values.non_negative(NAME, argument, value)
    if made.label_smoothing:
        made.label_smoothing = checks.fraction(NAME, "label_smoothing", made.label_smoothing)
    if not isinstance(made.ignore_index, int):
        got = type(made.ignore_index).__name__
        raise InputError(f"{NAME}: ignore_index must be an int, got {got}.")
    wide = torch.float64 if logits.dtype == torch.float64 else torch.float32
    made.parameters = tuple(
        p.to(wide).reshape(()) if isinstance(p, Tensor) else p for p in made.parameters
    )


def _agreed(group: Group, prepare: Callable[[], tuple[Split, str]]) -> tuple[Split, str, list[int]]:
    """Prepare on every rank, and compare: a few numbers each, whatever the size of the batch."""
    if not group.several():
        made, reduction = prepare()
        return made, reduction, [made.logits.shape[1]]
    try:
        made, reduction = prepare()
        mine = [1, made.logits.shape[1], *_fingerprint(made, reduction)]
    except Exception:  # whatever it is: the others must hear of it
        _told([0] * (2 + len(_ALIKE)), group)
        raise
    table = _told(mine, group)
    _compare(table)
    return made, reduction, [row[1] for row in table]


def _told(mine: list[int], group: Group) -> list[list[int]]:
    return gathered(torch.tensor(mine, device=group.device()), group).tolist()


def _compare(table: list[list[int]]) -> None:
    refused = [rank for rank, row in enumerate(table) if not row[0]]
    if refused:
        _differ(f"rank {_ranks(refused)} refused its arguments and says why; none went on")
    for column, words in enumerate(_ALIKE.values(), 2):
        odd = [rank for rank, row in enumerate(table) if row[column] != table[0][column]]
        if odd:
            _differ(f"the ranks were given {words}. Rank {_ranks(odd)} differs from rank 0")


def _ranks(ranks: list[int]) -> str:
    return ", ".join(map(str, ranks))


def _differ(what: str) -> NoReturn:
    raise InputError(f"{NAME}: {what}. (Ranks are counted within the process group.)")


def _fingerprint(made: Split, reduction: str) -> list[int]:
    """One number for each entry of `_ALIKE`."""
    logits, target = made.logits, made.target
    shapes = [
        None if v is None else (tuple(v.shape), v.dtype)
        for v in (made.weight, made.mask, *(_wholes(made)))
    ]
    present = (made.class_weight is None, made.alpha is None, made.whole, made.look)
    numbers = tuple("tensor" if isinstance(p, Tensor) else p for p in made.parameters)
    learned = [
        isinstance(t, Tensor) and t.requires_grad
        for t in (logits, made.weight, made.class_weight, made.alpha, *made.parameters)
    ]
    told = {
        "rows": logits.shape[:1] + logits.shape[2:],
        "dtype": (logits.dtype, target.dtype, logits.device.type),
        "gradient": (learned, torch.is_grad_enabled()),
        "options": (
            made.loss.key, numbers, made.label_smoothing, made.ignore_index, reduction, shapes,
            present,
        ),
        "target": _digest(target) if made.look and made.hard else 0,
        "weights": [
            _digest(v) for v in (made.weight, made.mask, *_wholes(made)) if v is not None
        ] if made.look else 0,
    }  # fmt: skip
    return [zlib.crc32(repr(told[name]).encode()) for name in _ALIKE]


def _wholes(made: Split) -> tuple[Tensor | None, Tensor | None]:
    return (made.class_weight, made.alpha) if made.whole else (None, None)


def _digest(value: Tensor) -> int:
    """A number that differs where tensors do: sums of their bits, which no order rounds."""
    value = value.detach().contiguous().flatten()
    integer = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[value.itemsize]
    bits = value.view(integer).to(torch.int64)
    return int((bits * torch.arange(1, 2 * bits.numel(), 2)).sum())


def _given_sizes(sizes: Any, made: Split) -> list[int]:
    rank, ranks = rank_of(made.group), made.group.size()
    whole = isinstance(sizes, Sequence) and all(isinstance(n, int) and n >= 0 for n in sizes)
    if not whole or len(sizes) != ranks or sizes[rank] != made.logits.shape[1]:
        raise ShapeError(
            f"{NAME}: shard_sizes = {sizes!r} does not fit: it needs {ranks} whole numbers, one "
            f"for each rank, and rank {rank} has {made.logits.shape[1]} classes. None asks them."
        )
    return list(sizes)


def _group(logits: Any, process_group: Any) -> tuple[Group, int | None]:
    """The ranks among which the classes lie; for a DTensor also the dimension of its mesh."""
    if not _is_dtensor(logits):
        return Group(process_group), None
    mesh, placements = logits.device_mesh, logits.placements
    split = [i for i, placement in enumerate(placements) if placement.is_shard(1)]
    if len(split) != 1 or not all(p.is_shard(1) or p.is_replicate() for p in placements):
        raise UnsupportedError(
            f"{NAME}: the logits are a DTensor with placements {placements}; it takes Shard(dim=1),"
            " the classes, on one dimension of the mesh and Replicate() on the others. Use "
            "logits.redistribute(placements=…), or logits.to_local() with process_group= the group "
            "of the mesh dimension over which the classes are split."
        )
    if process_group is not None:
        raise InputError(
            f"{NAME}: the logits are a DTensor, whose mesh says which ranks share the classes; "
            "leave process_group out."
        )
    return Group(mesh.get_group(split[0])), split[0]


def _local(argument: str, value: Any, dim: int | None, whole: bool) -> Any:
    """This rank's part of a DTensor that lies as the argument should; other values as they are."""
    if not _is_dtensor(value):
        return value
    if dim is None:
        raise UnsupportedError(
            f"{NAME}: {argument} is a DTensor and the logits are not; use {argument}.to_local()."
        )
    classes = 0 if argument in ("class_weight", "alpha") else 1
    alike = argument in ("weight", "mask") or (whole and not classes)
    alike = alike or (argument == "target" and not value.is_floating_point())
    for i, placement in enumerate(value.placements):
        wanted = i == dim and not alike
        if not (placement.is_shard(classes) if wanted else placement.is_replicate()):
            needed = f"Shard(dim={classes})" if wanted else "Replicate()"
            raise UnsupportedError(
                f"{NAME}: {argument} is a DTensor with placements {value.placements}; on dimension "
                f"{i} of the mesh it needs {needed}, beside logits with Shard(dim=1) on "
                f"dimension {dim}. Use {argument}.redistribute(placements=…)."
            )
    return value.to_local()


def _is_dtensor(value: Any) -> bool:
    # Not imported here: whoever has a DTensor has imported it, and others need not wait for it.
    return isinstance(value, Tensor) and hasattr(value, "device_mesh")
