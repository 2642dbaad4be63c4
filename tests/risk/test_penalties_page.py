"""docs/penalties.md: its formulas are those of the records, its code runs.

After a change of a record: PYTHONPATH=src:tests python tests/risk/test_penalties_page.py
"""

import re
from pathlib import Path

import pytest

import lossmith  # noqa: F401  (the page's code imports it)
from lossmith.formula import latex
from lossmith.formula.penalty import PENALTIES
from lossmith.formula.printers import line
from lossmith.formula.proximal import prox

PATH = Path(__file__).resolve().parents[2] / "docs" / "penalties.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PATH.read_text(encoding="utf-8"), re.M | re.S)


def table() -> str:
    rows = ["| name | ψ(u) | prox(x, t), x ≥ 0, at the defaults | source |", "|---|---|---|---|"]
    for name, record in PENALTIES.items():
        shape = tuple(p.default for p in record.shape)
        steps = []
        for c in prox(record, shape).candidates:
            low, high = (line(e).replace("oo", "∞") for e in (c.low, c.high))
            where = f" on [{low}, {high}]" if c.high.is_finite is not False else f" from {low}"
            where = f" up to {high}" if low == "-∞" else "" if where == " from 0" else where
            steps.append(line(c.u) + where)
        source = re.split(r",? doi|, eq", record.cite)[0]
        cells = (f"`{name}`", latex.text(record), "; ".join(steps), source)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def renewed(text: str) -> str:
    begin, end = "<!-- formulas:begin -->\n", "<!-- formulas:end -->"
    head, rest = text.split(begin)
    return head + begin + table() + end + rest.split(end)[1]


def test_the_formulas_are_the_records():
    text = PATH.read_text(encoding="utf-8")
    assert text == renewed(text)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_code_runs(number):
    exec(compile(BLOCKS[number], f"penalties.md, block {number}", "exec"), {"__name__": "page"})


if __name__ == "__main__":
    PATH.write_text(renewed(PATH.read_text(encoding="utf-8")), encoding="utf-8")
