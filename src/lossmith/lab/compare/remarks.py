"""What stands beside the verdict, in the terminal: the goal, and what else the trials say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text


def show(console: Console, record: Mapping[str, Any]) -> None:
    """Print what the record says beside its verdicts, if it says anything."""
    several = len(record["conditions"]) > 1
    for condition in record["conditions"]:
        for said in condition["remarks"]:
            console.print(Text(f"{condition['title']}: {said}" if several else said))
    for said in (record["goal"]["says"], *record["left_out"]):
        console.print(Text(said, style="dim"))
