"""What stands around the verdict in the terminal: the first look, and what else the trials say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from lossmith.lab.compare.first_look import Finding


def before(console: Console, findings: Sequence[Finding], goal: str) -> None:
    """Print what the data look like, before any training."""
    console.print(Text("First look", style="bold"))
    for finding in findings:
        console.print(Text(f"• {finding.text}"))
    if not findings:
        console.print(Text("• Nothing that asks for a special loss."))
    console.print(Text(f"• {goal}"))


def show(console: Console, record: Mapping[str, Any]) -> None:
    """Print what the record says beside its verdicts, if it says anything."""
    several = len(record["conditions"]) > 1
    for condition in record["conditions"]:
        for said in condition["remarks"]:
            console.print(Text(f"{condition['title']}: {said}" if several else said))
    # Under every condition much the same rows are judged by the same labels: once is enough.
    hard = [found["says"] for c in record["conditions"] if (found := c["hard_rows"])]
    for said in [said for said in hard if said][:1]:
        console.print(Text(said))
    for said in record["left_out"]:
        console.print(Text(said, style="dim"))
