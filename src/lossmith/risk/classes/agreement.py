"""Before anything is computed: the ranks compare their arguments, and no rank raises alone."""

from __future__ import annotations

import numbers
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor

from lossmith.errors import InputError, ShapeError
from lossmith.face.settings import shown
from lossmith.risk.classes.collectives import gathered
from lossmith.risk.classes.shard import Split
from lossmith.risk.ranks import Group

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


def agreed(
    name: str, group: Group, prepare: Callable[[], tuple[Split, str]]
) -> tuple[Split, str, list[int]]:
    """Prepare on every rank, and compare: a few numbers each, whatever the size of the batch."""
    if not group.several():
        made, reduction = prepare()
        return made, reduction, [made.call.prediction.shape[1]]
    try:
        made, reduction = prepare()
        mine = [1, made.call.prediction.shape[1], *_fingerprint(made, reduction)]
    except Exception:  # whatever it is: the others must hear of it
        _told([0] * (2 + len(_ALIKE)), group)
        raise
    table = _told(mine, group)
    _compare(name, table)
    return made, reduction, [row[1] for row in table]


def _told(mine: list[int], group: Group) -> list[list[int]]:
    return gathered(torch.tensor(mine, device=group.device()), group).tolist()


def _compare(name: str, table: list[list[int]]) -> None:
    refused = [rank for rank, row in enumerate(table) if not row[0]]
    if refused:
        _differ(name, f"rank {_ranks(refused)} refused its arguments and says why; none went on")
    for column, words in enumerate(_ALIKE.values(), 2):
        odd = [rank for rank, row in enumerate(table) if row[column] != table[0][column]]
        if odd:
            _differ(name, f"the ranks were given {words}. Rank {_ranks(odd)} differs from rank 0")


def _ranks(ranks: list[int]) -> str:
    return ", ".join(map(str, ranks))


def _differ(name: str, what: str) -> NoReturn:
    raise InputError(f"{name}: {what}. (Ranks are counted within the process group.)")


def _fingerprint(made: Split, reduction: str) -> list[int]:
    """One number for each entry of `_ALIKE`."""
    logits, target = made.call.prediction, made.call.target
    shapes = [None if v is None else (tuple(v.shape), v.dtype) for v in _alike(made)]
    present = (made.call.class_weight is None, made.call.alpha is None, made.whole, made.look)
    numbers = [f"{p.dim()}-d" if isinstance(p, Tensor) else p for p in made.call.parameters]
    learned = [
        isinstance(t, Tensor) and t.requires_grad
        for t in (
            logits,
            made.call.weight,
            made.call.class_weight,
            made.call.alpha,
            *made.call.parameters,
        )
    ]
    told = {
        "rows": logits.shape[:1] + logits.shape[2:],
        "dtype": (logits.dtype, target.dtype, logits.device.type),
        "gradient": (learned, torch.is_grad_enabled()),
        "options": (
            made.call.loss.key, numbers, made.call.label_smoothing, made.call.ignore_index,
            reduction, shapes, present,
        ),
        "target": _digest(target) if made.look and made.call.hard else 0,
        "weights": [_digest(v) for v in _alike(made) if v is not None] if made.look else 0,
    }  # fmt: skip
    return [zlib.crc32(repr(told[what]).encode()) for what in _ALIKE]


def _alike(made: Split) -> list[Tensor | None]:
    """What belongs to rows, or to all classes."""
    wholes = made.per_class() if made.whole else []
    return [made.call.weight, made.call.mask, *(value for _, value in wholes)]


def _digest(value: Tensor) -> int:
    """A number that differs where tensors do: sums of their bits, which no order rounds."""
    value = value.detach().contiguous().flatten()
    integer = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[value.itemsize]
    bits = value.view(integer).to(torch.int64)
    return int((bits * (2 * torch.arange(bits.numel()) + 1)).sum())


def given(name: str, sizes: Any, made: Split) -> list[int]:
    rank, ranks = made.group.rank(), made.group.size()
    whole = isinstance(sizes, Sequence) and all(
        isinstance(n, numbers.Integral) and not isinstance(n, bool) and int(n) >= 0 for n in sizes
    )
    if not whole or len(sizes) != ranks or sizes[rank] != made.call.prediction.shape[1]:
        raise ShapeError(
            f"{name}: shard_sizes = {shown(sizes)} does not fit: it needs {ranks} whole "
            f"numbers, one for each rank, and rank {rank} has {made.call.prediction.shape[1]} "
            "classes. None asks them."
        )
    return [int(n) for n in sizes]
