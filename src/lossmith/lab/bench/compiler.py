"""torch.compile as a rival, where there is a C++ compiler for it."""

from __future__ import annotations

import os
from functools import cache

import torch

from lossmith.lab.bench.rivals import Loss

NAME = "torch.compile"
NONE = "no C++ compiler: torch.compile not measured"
QUICK = "torch.compile not measured in a quick run"


@cache
def missing() -> str:
    """Why torch.compile cannot be measured, or nothing."""
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # no pool beside what is timed
    try:
        from torch._inductor.cpp_builder import get_cpp_compiler

        get_cpp_compiler()
    except Exception:  # whatever its road to "there is none"
        return NONE
    return ""


def compiled(loss: Loss) -> Loss:
    """The loss under torch.compile, for one shape; it compiles in its first call."""
    torch._dynamo.reset()
    made: Loss = torch.compile(loss, dynamic=False)
    return made
