"""The table for people: in the terminal, and as Markdown between the marks of a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from rich import box
from rich.table import Table

from lossmith.lab import marked, output
from lossmith.lab.support.table import Cell

BLOCK = "support"


def _grid(cells: Sequence[Cell]) -> tuple[list[str], list[str], dict[tuple[str, str], str]]:
    """Row names, modes, and the text of each cell: "no" carries the number of its reason."""
    names = list(dict.fromkeys(cell.row for cell in cells))
    modes = list(dict.fromkeys(cell.mode for cell in cells))
    numbered = _numbered(cells)
    shown = {}
    for cell in cells:
        number = f" ({numbered[cell.note]})" if cell.outcome == "no" else ""
        shown[cell.row, cell.mode] = cell.text + number
    return names, modes, shown


def _numbered(cells: Sequence[Cell]) -> dict[str, int]:
    notes = dict.fromkeys(cell.note for cell in cells if cell.outcome == "no")
    return {note: k for k, note in enumerate(notes, 1)}


def terminal(cells: Sequence[Cell]) -> Table:
    """For the terminal."""
    names, modes, shown = _grid(cells)
    table = Table(box=box.SIMPLE)
    for head in ("loss", *modes):
        table.add_column(head)
    for name in names:
        table.add_row(name, *(shown[name, mode] for mode in modes))
    return table


def reasons(cells: Sequence[Cell]) -> list[str]:
    """The reason of each "no", by number; then every defect."""
    lines = [f"({k}) {note}" for note, k in _numbered(cells).items()]
    defects = [cell for cell in cells if cell.outcome == "DEFECT"]
    return lines + [f"DEFECT: {c.row}, {c.mode}: {c.note}" for c in defects]


def markdown(cells: Sequence[Cell]) -> str:
    """The table and its reasons."""
    names, modes, shown = _grid(cells)
    lines = ["| loss | " + " | ".join(modes) + " |", "|---" * (len(modes) + 1) + "|"]
    for name in names:
        lines.append(f"| {name} | " + " | ".join(shown[name, mode] for mode in modes) + " |")
    release = torch.__version__.partition("+")[0]
    lines += ["", f"Measured with torch {release} on the CPU."]
    lines += [line for note in reasons(cells) for line in ("", note)]
    return "\n".join(lines)


def read(text: str) -> dict[tuple[str, str], str]:
    """The cells of a page, by row and mode."""
    block = marked.inside(text, BLOCK).splitlines()
    lines = [line.strip().strip("|").split("|") for line in block if "|" in line]
    (_, *modes), _, *body = [[part.strip() for part in line] for line in lines]
    return {
        (name, mode): cell for name, *texts in body for mode, cell in zip(modes, texts, strict=True)
    }


def write(path: Path, cells: Sequence[Cell]) -> None:
    """Put the table between the marks of a page; a new page is made of nothing else."""
    page = marked.read(path, BLOCK, "")
    output.write(path, marked.rewritten(page, BLOCK, markdown(cells), path))
