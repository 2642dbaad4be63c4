"""Cases in a process of their own: one that crashes or hangs is a finding, not the end."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import NamedTuple

# What is drawn: the module with `draw(random)`, and the one with `judge(case)`.
Modules = tuple[str, str]
KINDS: dict[str, Modules] = {
    "calls": ("lossmith.lab.fuzz.calls", "lossmith.lab.fuzz.judge"),
    **{
        kind: (f"lossmith.lab.fuzz.{kind}", f"lossmith.lab.fuzz.{kind}")
        for kind in ("heads", "formulas", "numbers")
    },
}
# A process is left after so many seconds, for what it has compiled stays in its memory.
RENEW = 240.0
# The longest that one case may take before it counts as hanging, on a machine that is busy too.
HANG = 600.0


class Done(NamedTuple):
    """One case that has been judged: its name repeats it."""

    kind: str
    name: str
    fault: str | None


def judged(kind: str, name: str, modules: Modules) -> str | None:
    """Draw the case of this name, and judge it."""
    drawing, judging = (importlib.import_module(module) for module in modules)
    fault: str | None = judging.judge(drawing.draw(random.Random(f"{kind}:{name}")))
    return fault


def _work(pipe: Connection, kinds: dict[str, Modules], seed: str, first: int, until: float) -> None:
    index, names = first, tuple(kinds)
    while time.time() < until:
        kind, name = names[index % len(names)], f"{seed}:{index}"
        pipe.send((kind, name))
        pipe.send(judged(kind, name, kinds[kind]))
        index += 1
    os._exit(0)  # with its threads, whatever they hold


def run(kinds: dict[str, Modules], seed: str, seconds: float, hang: float = HANG) -> Iterator[Done]:
    """Judge cases in turn for so long; what kills its process or never ends is a fault too."""
    end, index = time.time() + seconds, 0
    context = multiprocessing.get_context("spawn")
    while time.time() < end:
        ours, theirs = context.Pipe(duplex=False)
        until = min(end, time.time() + RENEW)
        process = context.Process(target=_work, args=(theirs, kinds, seed, index, until))
        process.start()
        theirs.close()
        try:
            for done in _read(ours, process, hang):
                index += 1
                yield done
        finally:
            process.kill()
            process.join()


def _read(
    pipe: Connection, process: multiprocessing.process.BaseProcess, hang: float
) -> Iterator[Done]:
    current: tuple[str, str] | None = None
    try:
        while pipe.poll(hang):
            message = pipe.recv()
            if isinstance(message, tuple):
                current = message
            elif current is not None:
                yield Done(*current, message)
                current = None
        fault = f"no answer after {hang:.0f} s"
    except EOFError:
        process.join()
        fault = f"the process died with exit code {process.exitcode}"
        if process.exitcode == 0 and current is None:
            return
    if current is None:
        raise RuntimeError(f"a process of the fuzzer could not work: {fault}")
    yield Done(*current, fault)
