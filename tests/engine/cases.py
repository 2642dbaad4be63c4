"""Inputs for every loss of the ledger, and the way to force the reference engine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

import lossmith
from lossmith.formula.ledger import LEDGER
from lossmith.lab.accuracy.points import kinks
from lossmith.lab.definition.loss import EVEN

RESIDUAL = [n for n, r in LEDGER.items() if r.family == "residual"]
MARGIN = [n for n, r in LEDGER.items() if r.family == "margin"]
PROBABILITY = [n for n, r in LEDGER.items() if r.family == "probability"]
ELEMENTWISE = [*RESIDUAL, *MARGIN]
# Losses with a row of scores: those of a log-probability, and margins through both links.
MULTICLASS = [f"{link}({name!r})" for link in ("CrammerSinger", "OneVsRest") for name in MARGIN]
CLASSES = [*PROBABILITY, *MULTICLASS]
# Losses of a distance.
RADIAL = [f"Radial({name!r})" for name in EVEN]


def function(name: str) -> Any:
    """A loss by name; `CrammerSinger('hinge')` is the function of that Module."""
    if "(" not in name:
        return getattr(lossmith, name)
    link, margin = name.rstrip(")").split("(")
    return getattr(lossmith, link)(margin.strip("'")).function


def module(name: str, **settings: Any) -> Any:
    if "(" not in name:
        return getattr(lossmith, name).Module(**settings)
    link, margin = name.rstrip(")").split("(")
    return getattr(lossmith, link)(margin.strip("'"), **settings)


@contextlib.contextmanager
def on_reference() -> Iterator[None]:
    """Inside, every loss runs on the reference engine: no kernel differentiates forwards."""
    with forward_ad.dual_level():
        yield


def smooth_points(name: str, count: int, seed: int = 0, gap: float = 0.05) -> Tensor:
    """u in [-4, 4] times the scale, in float64, at least `gap` from every kink; shuffled."""
    record = LEDGER[name]
    draw = np.random.default_rng(seed)
    u = draw.uniform(-4, 4, 8 * count)
    for kink in kinks(record, record.defaults):
        u = u[np.abs(u - kink) > gap]
    scale = record.defaults[record.scale.name] if record.scale else 1.0
    assert len(u) >= count
    return torch.tensor(u[:count] * scale)


def elementwise(name: str, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """(prediction, target) in float64 away from kinks: labels 0 or 1 for a margin."""
    u = smooth_points(name, count, seed)
    draw = torch.Generator().manual_seed(seed)
    if LEDGER[name].family == "residual":
        target = torch.randn(count, dtype=torch.float64, generator=draw)
        return target + u, target
    target = torch.randint(0, 2, (count,), generator=draw).double()
    return (2 * target - 1) * u, target


def rows(name: str, shape: tuple[int, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
    """(logits, class indices) in float64: no near ties in a row, no margin at a kink."""
    draw = torch.Generator().manual_seed(seed)
    target = torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=draw)
    classes = shape[1]
    # Every row holds the same well-parted numbers in another order, moved a little.
    ladder = torch.linspace(-2.13, 2.41, classes, dtype=torch.float64)
    order = torch.rand(shape, generator=draw).argsort(1)
    logits = ladder[order]
    logits = logits + 0.02 * torch.rand(shape, generator=draw, dtype=torch.float64)
    return logits, target


def soft_labels(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.softmax(torch.randn(shape, dtype=torch.float64, generator=draw), 1)


def gradient(loss: Tensor, z: Tensor, upstream: Tensor | None = None, **options: Any) -> Tensor:
    (found,) = torch.autograd.grad(loss, z, upstream, **options)
    return found
