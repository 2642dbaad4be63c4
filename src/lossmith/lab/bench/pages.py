"""Where a run's table goes: all of it to a page of its own, a few lines of it into the README."""

from __future__ import annotations

from pathlib import Path

from lossmith.lab import marked
from lossmith.lab.bench.report import LEGEND
from lossmith.lab.output import write

BLOCK, COUNTS = "bench", "reference"
PAGE = Path("docs", "bench.md")  # beside the README
HEAD = "# Speed, measured\n\n"
# What somebody who has not chosen yet asks: how a work begins, and against what it is measured.
PICKED = (
    ("binary focal loss", "torch.compile"),
    ("huber", "torch's own"),
    ("cross_entropy, 1024 × 32000", "torch.compile"),
    ("linear head, 2048 × 512 → 32000: extra memory", "dense"),
    ("64 elements", "torch's own"),
)


class Pages:
    """The README and the page beside it, both read before the run.

    `timed`: what is measured in seconds, which the README carries a few lines of; `counted`: what
    the reference engine launches.
    """

    def __init__(self, readme: Path, *, timed: bool = True, counted: bool = False) -> None:
        self.readme, self.page = readme, readme.parent / PAGE
        self.blocks = (BLOCK,) * timed + (COUNTS,) * counted
        if timed:
            marked.read(readme, BLOCK)
        new = HEAD
        for name in self.blocks:
            begin, end = marked.marks(name)
            text = marked.read(self.page, name, new)
            new += f"{begin}\n{end}\n\n"
        self._page = text if self.page.exists() else new.rstrip("\n") + "\n"

    def write(self, tables: dict[str, str]) -> None:
        """The blocks, from the Markdown of whole tables; the README's from the timed one."""
        text = self._page
        for name in self.blocks:
            text = marked.rewritten(text, name, tables[name], self.page)
        self.page.parent.mkdir(parents=True, exist_ok=True)
        write(self.page, text)
        if BLOCK in self.blocks:
            page = marked.read(self.readme, BLOCK)
            write(self.readme, marked.rewritten(page, BLOCK, brief(tables[BLOCK]), self.readme))


def brief(table: str) -> str:
    """The lines for the README, each figure in words and without its target."""
    about, *lines = table.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    whole = f"The whole table, with its targets: [{PAGE.as_posix()}]({PAGE.as_posix()})."
    made = [f"{about.replace(LEGEND, '.')} {whole}", ""]
    made += ["| work | against | median (quartiles) |", "| --- | --- | ---: |"]
    for start, rival in PICKED:
        made += [
            f"| {work} | {against} | {_in_words(work, figure, goal)} |"
            for work, against, figure, goal, _ in rows
            if work.startswith(start) and against == rival
        ]
    return "\n".join(made)


def _in_words(work: str, figure: str, goal: str) -> str:
    """`3.3× as fast (2.2 … 3.5)`: what counts, the sign of the target says elsewhere."""
    as_much = "as much" if "memory" in work else "as long"
    return figure.replace("×", "× as fast" if goal.startswith("≥") else f"× {as_much}", 1)
