"""docs/moving.md: each line of its tables, and its code, is run as it stands."""

import inspect
import re

import pytest
import torch
import torch.nn.functional as F

import lossmith
from house.tree import ROOT

PAGE = (ROOT / "docs" / "moving.md").read_text(encoding="utf-8")
DRAW = torch.Generator().manual_seed(0)


def normal(*shape):
    return 2 * torch.randn(*shape, generator=DRAW, dtype=torch.float64)


def names():
    z, x, u, f = normal(7, 4), normal(6), normal(6), normal(7, 5)
    y = torch.tensor([0, 2, 3, 1, 1, 2, 0])
    soft, q = normal(6).sigmoid(), normal(7, 4).softmax(1)
    m = q * torch.tensor([1.0, 0.3, 2.0, 0.0, 1.0, 5.0, 0.5])[:, None]
    center = lossmith.CenterLoss(4, 5, update="gradient").double()
    c = normal(4, 5)
    center.centers.data.copy_(c)
    keep = normal(7, 4) > -2
    keep[:, 0] = True
    return {
        **{name: getattr(lossmith, name) for name in lossmith.__all__},
        **{"torch": torch, "F": F, "z": z, "y": y, "q": q, "m": m, "keep": keep, "s": 0.1},
        "v": torch.tensor([0.5, 1.0, 3.0, 0.0], dtype=torch.float64),
        **{"x": x, "t": (soft > 0.5).double(), "soft": soft, "p": x.sigmoid()},
        **{"w": normal(6).abs(), "a": torch.tensor(3.0, dtype=torch.float64), "u": u},
        **{"r": u + normal(6), "f": f, "c": c.float().double(), "center": center},
        **{"ones": torch.ones_like(x), "zeros": torch.zeros_like(x)},
    }


NAMES = names()


def rows():
    """The code of the last two cells of a line, in the tables that hold nothing but code there."""
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and all(re.fullmatch(r"`[^`]+`", x) for x in cells[-2:]):
            theirs, ours = (cell.strip("`") for cell in cells[-2:])
            if "(" in theirs and "(" in ours and not ours.endswith("avg_factor"):
                yield theirs, ours


ROWS = list(rows())


def test_the_tables_are_read():
    """A line that no longer parses would go unseen."""
    lines = [x for x in PAGE[PAGE.index("## torch") :].splitlines() if x.startswith("| ")]
    assert len(ROWS) == len(lines) - 4 >= 26  # two tables, each with a head and a rule


@pytest.mark.parametrize(("theirs", "ours"), ROWS)
def test_a_line_of_the_page(theirs, ours):
    called = re.match(r"F\.(\w+)\(.*weight=w", theirs)
    if called and "weight" not in inspect.signature(getattr(F, called[1])).parameters:
        pytest.skip("this torch has no weight there")
    near = {"rtol": 1e-6, "atol": 1e-7} if "center" in ours else {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(eval(ours, dict(NAMES)), eval(theirs, dict(NAMES)), **near)


def test_the_code_of_the_page():
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.S | re.M)

    def refused(call, words):
        with pytest.raises(lossmith.InputError, match=re.escape(words)):
            call()

    state = torch.random.get_rng_state()
    exec(compile(block, "moving.md", "exec"), {**NAMES, "refused": refused})
    torch.random.set_rng_state(state)


def test_every_preset_stands_on_the_page():
    for name in lossmith.presets.__all__:
        assert f"`{name}`" in PAGE
