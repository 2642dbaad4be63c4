"""The modes in which a loss goes somewhere: into a file, a copy, a state, other threads."""

from __future__ import annotations

import copy
import io
import pickle
import threading
from typing import Any

import torch
from torch import nn

from lossmith.lab.support.rows import Row
from lossmith.lab.support.truth import MismatchError, batch, plain_run, run, same, value_and_slope

THREADS, TURNS = 6, 5


def _as_before(row: Row, module: nn.Module, copied: Any, what: str) -> None:
    """A copy gives the same bits, is the same to look at, and shares no tensor."""
    z, t = batch(row)
    module.eval()
    copied.eval()
    if repr(copied) != repr(module):
        raise MismatchError(f"{what}: {copied!r} was {module!r}")
    if not all(
        torch.equal(a, b) for a, b in zip(run(module, z, t), run(copied, z, t), strict=True)
    ):
        raise MismatchError(f"{what}: another loss or gradient")
    plain_run(row, copied, z, t, what)
    state = module.state_dict()
    for name, tensor in copied.state_dict().items():
        if tensor.data_ptr() == state[name].data_ptr():
            raise MismatchError(f"{what}: {name} is shared")


def pickled(row: Row, form: str) -> None:
    """pickle and torch.save; a public function by its name."""
    if form == "function":
        if row.public and pickle.loads(pickle.dumps(row.function)) is not row.function:
            raise MismatchError("the function is another one")
        return
    module: Any = row.make(form)
    _as_before(row, module, pickle.loads(pickle.dumps(module)), "pickle")
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    _as_before(row, module, torch.load(file, weights_only=False), "torch.save")


def deep_copied(row: Row, form: str) -> None:
    """copy.deepcopy; a function is itself."""
    if form == "function":
        if row.public and copy.deepcopy(row.function) is not row.function:
            raise MismatchError("the function is another one")
        return
    module: Any = row.make(form)
    _as_before(row, module, copy.deepcopy(module), "deepcopy")


def state(row: Row, form: str) -> None:
    """state_dict: learned state and nothing else, and all of it."""
    if form == "function":
        return
    module: Any = row.make(form)
    kept = {name for name, _ in module.named_parameters()}
    kept |= {name for name in ("centers",) if hasattr(module, name)}
    _loads(row, module, row.make(form), kept)
    if row.learned is None:
        return
    start = getattr(module, row.learned)
    theta = [nn.Parameter(torch.tensor(start * share)) for share in (1.0, 0.5)]
    learned, other = (row.module(**{row.learned: p}) for p in theta)
    _loads(row, learned, other, {row.learned})


def _loads(row: Row, module: Any, other: Any, kept: set[str]) -> None:
    with torch.no_grad():
        moved = {k: v * 1.25 for k, v in module.state_dict().items()}
    if moved.keys() != kept:
        raise MismatchError(f"the state_dict holds {sorted(moved)}, not {sorted(kept)}")
    for m in (module, other):
        m.load_state_dict(moved)
        m.eval()
    for name, tensor in other.state_dict().items():
        same(name, tensor, moved[name])
    z, t = batch(row)
    if not torch.equal(module(z, t), other(z, t)):
        raise MismatchError("the same state, another loss")


def threads(row: Row, form: str) -> None:
    """One loss called by several threads at once, each with its own batch, forward and back."""
    loss = row.make(form)
    if isinstance(loss, nn.Module):
        loss.eval()  # what a batch moves would depend on the order of the threads
    work = [batch(row, seed=seed) for seed in range(THREADS)]
    exact = [value_and_slope(row, *pair) for pair in work]
    faults: list[BaseException] = []
    start = threading.Barrier(THREADS)

    def turn(k: int) -> None:
        try:
            start.wait(60)
            for _ in range(TURNS):
                for got, want in zip(run(loss, *work[k]), exact[k], strict=True):
                    same(f"thread {k}", got, want)
        except BaseException as fault:
            faults.append(fault)

    crew = [threading.Thread(target=turn, args=(k,)) for k in range(THREADS)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join(120)
    if faults:
        raise faults[0]
    if any(thread.is_alive() for thread in crew):
        raise MismatchError("a thread does not come back")
