"""Reading the trials of a record: which to show, and what several folds say together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossmith.lab.picture import style
from lossmith.lab.picture.style import Look

Data = Mapping[str, Any]
Array = NDArray[np.float64]


def done(record: Data, condition: Data, spec: str, holds: str) -> list[Data]:
    """The finished trials of a loss under a condition that hold something of this name."""
    return [
        trial
        for trial in record["trials"]
        if trial["condition"] == condition["key"]
        and trial["loss"] == spec
        and trial["status"] == "done"
        and trial.get(holds)
    ]


def looks(record: Data) -> list[Look]:
    """How each candidate is drawn: as its loss is everywhere, the baseline with the widest line."""
    return style.looks([c["spec"].partition(":")[0] for c in record["candidates"]])


def pooled(record: Data, condition: Data, spec: str, holds: str) -> Array | None:
    """The sum over the folds; None where no fold holds it."""
    found = [trial[holds] for trial in done(record, condition, spec, holds)]
    return np.sum(np.asarray(found, dtype=np.float64), axis=0) if found else None


def two(record: Data, condition: Data) -> list[tuple[int, Data]]:
    """The baseline, and of the others the one with the best mean: what pictures set side by side.

    Losses that did not finish are left out.
    """
    metric = condition["metric"]
    sign = 1 if record["metrics"][metric]["higher_is_better"] else -1
    finished = [
        (place, row) for place, row in enumerate(condition["rows"]) if row["metrics"].get(metric)
    ]
    baseline = [place for place, _ in finished if place == 0]
    others = [(sign * row["metrics"][metric]["mean"], -place) for place, row in finished if place]
    chosen = baseline + ([-max(others)[1]] if others else [])
    return [(place, record["candidates"][place]) for place in chosen]


def short(name: str, most: int = 16) -> str:
    """A class name that fits beside a drawing; names often differ at their ends."""
    if len(name) <= most:
        return name
    tail = most // 3
    return f"{name[: most - tail - 1]}…{name[-tail:]}"
