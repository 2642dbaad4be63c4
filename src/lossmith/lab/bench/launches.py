"""What the reference engine launches and holds, counted on tensors without numbers.

Value and gradient of every loss on meta tensors, which no kernel serves, beside torch's own loss
or a composition by hand: how many operations reach a device (views are none), and the most memory
that is held at once beyond what the caller has. Nothing is timed, so two runs give the same table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from lossmith.lab.bench import compositions
from lossmith.lab.bench.compositions import Case

# Against a twin of torch's, and against a composition: operations, memory.
LIMITS = {True: (1.5, 1.1), False: (1.0, 1.0)}


@dataclass(frozen=True)
class Count:
    """One loss: what is launched, and the bytes held at most."""

    operations: int
    memory: int


@dataclass(frozen=True)
class Launches:
    """Ours beside theirs."""

    case: str
    rival: str
    twin: bool
    ours: Count
    theirs: Count

    @property
    def within(self) -> tuple[bool, bool]:
        """Whether operations and memory are within their targets."""
        operations, memory = LIMITS[self.twin]
        return (
            self.ours.operations <= operations * self.theirs.operations,
            self.ours.memory <= memory * self.theirs.memory,
        )

    @property
    def met(self) -> bool:
        """Whether both are."""
        return all(self.within)


class Counter(TorchDispatchMode):
    """Counts what is launched inside, and what it holds of the memory that it made."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[str] = []
        self.peak = 0
        self._held: dict[Any, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        given = {x.untyped_storage()._cdata for x in _tensors((args, kwargs or {}))}
        out = function(*args, **(kwargs or {}))
        if not _is_view(function):
            self.operations.append(str(function))
        for tensor in _tensors(out):
            storage = tensor.untyped_storage()
            if storage._cdata not in given:
                self._held[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self._held = {k: pair for k, pair in self._held.items() if not pair[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._held.values()))
        return out


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (x for x in torch.utils._pytree.tree_leaves(tree) if isinstance(x, Tensor))


def _is_view(function: Any) -> bool:
    """Whether what is returned only looks at an argument: no device hears of it."""
    aliases = [r.alias_info for r in function._schema.returns]
    return bool(aliases) and all(a is not None and not a.is_write for a in aliases)


def count(loss: Callable[[Tensor, Tensor], Tensor], prediction: Tensor, target: Tensor) -> Count:
    """Value and gradient of one call, after one that nobody counts: first calls prepare."""
    leaf = prediction.detach().requires_grad_()
    torch.autograd.grad(loss(leaf, target), leaf)
    with Counter() as counter:
        value = loss(leaf, target)
        gradient = torch.autograd.grad(value, leaf)
    del value, gradient
    return Count(len(counter.operations), counter.peak)


def all_cases() -> Iterator[Launches]:
    """Every loss, then the options."""
    for case in compositions.cases():
        yield _counted(case)


def _counted(case: Case) -> Launches:
    ours = count(case.ours, case.prediction, case.target)
    rival = "torch's own" if case.twin else "eager"
    return Launches(
        case.name, rival, case.twin, ours, count(case.theirs, case.prediction, case.target)
    )
