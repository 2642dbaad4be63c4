"""The page about means over micro-batches and ranks: its code runs, in order."""

import re

import torch

from house.tree import ROOT

PAGE = ROOT / "docs" / "normalisation.md"


def test_the_code_of_the_page_runs():
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)
    assert len(blocks) == 4
    scope = {"__name__": "page"}
    before = torch.random.get_rng_state()
    for number, block in enumerate(blocks):
        exec(compile(block, f"{PAGE.name}, block {number}", "exec"), scope)
    torch.random.set_rng_state(before)
    assert scope["loss"] > 0
    assert all(p.grad is None for p in scope["model"].parameters())
