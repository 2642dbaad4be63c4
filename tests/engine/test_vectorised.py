"""Kernels stay vector loops: one comparison that LLVM makes a branch of costs a factor of ten.

No result tells, and no clock can be trusted on a busy machine; the compiled text can. What is
looked for in it is a load of several numbers at once.
"""

import re

import pytest
import torch

import lossmith
from lossmith.engine.cpu import launch, machine

COUNT = 64
LABEL, CLASS = torch.ones(COUNT), torch.zeros(COUNT, dtype=torch.int64)
ZERO, WEIGHT, MASK = torch.zeros(COUNT), torch.ones(COUNT), torch.ones(COUNT, dtype=torch.bool)


def elements(loss, target=ZERO, **options):
    return lambda z, **more: loss(z[:, 0].contiguous(), target, **options, **more)


def rows(loss, repeated=1, **options):
    return lambda z, **more: loss(z.repeat(1, repeated), CLASS, **options, **more)


CALLS = {
    "scaled": elements(lossmith.huber, delta=0.7),
    "with a logarithm": elements(lossmith.cauchy, c=0.7),
    "without a scale": elements(lossmith.l2),
    "weighted and masked": elements(lossmith.huber, sample_weight=WEIGHT, mask=MASK),
    "a parameter": elements(lossmith.expectile, tau=0.3),
    "a margin": elements(lossmith.logistic, LABEL),
    "a balanced margin": elements(lossmith.binary_focal, LABEL, gamma=1.5, alpha=0.3),
    "few classes": rows(lossmith.focal),
    "many classes": rows(lossmith.cross_entropy, repeated=70),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_kernel_reads_several_numbers_at_once(monkeypatch, name):
    sources = []

    def made(plan, write):
        sources.append(write())
        return lambda *_: 0  # only its text is wanted

    monkeypatch.setattr(machine, "kernel", made)
    monkeypatch.setattr(launch, "_KERNELS", {})
    z = torch.zeros(COUNT, 3, requires_grad=True)
    CALLS[name](z).backward()
    CALLS[name](z, reduction="none").sum().backward()
    assert len(sources) == 3  # total with gradient; values; their gradient
    for source in sources:
        assert re.search(r"load <\d+ x (float|double)>", compiled(source)), source.own


def compiled(source):
    """LLVM's text of a kernel, after its optimisations."""
    from numba.core import types

    scope = {"__name__": "looked_at"}
    exec(compile(source.library + source.head + source.own, "<looked at>", "exec"), scope)
    arguments = tuple(
        types.CPointer(getattr(types, t[:-1])) if t.endswith("*") else getattr(types, t)
        for t in scope["SIGNATURE"].split()
    )
    scope["kernel"].compile(arguments)
    return scope["kernel"].inspect_llvm(arguments)
