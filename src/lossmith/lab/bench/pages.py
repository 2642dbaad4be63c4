"""Where a run's table goes: all of it to a page of its own, a few lines of it into the README."""

from __future__ import annotations

from pathlib import Path

from lossmith.lab import marked
from lossmith.lab.bench.report import LEGEND
from lossmith.lab.output import write

BLOCK = "bench"
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
    """The README and the page beside it, both read before the run."""

    def __init__(self, readme: Path) -> None:
        self.page = readme.parent / PAGE
        self._texts = {
            readme: marked.read(readme, BLOCK),
            self.page: marked.read(self.page, BLOCK, HEAD),
        }

    def write(self, table: str) -> None:
        """Both blocks, from the Markdown of the whole table."""
        for path, text in self._texts.items():
            block = table if path == self.page else brief(table)
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, marked.rewritten(text, BLOCK, block, path))


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
