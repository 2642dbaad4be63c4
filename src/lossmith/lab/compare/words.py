"""Numbers and names as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, isnan, log10

from lossmith.lab.compare.metrics import METRICS
from lossmith.lab.compare.statistics import Interval

NONE = "–"


def scaled(value: Interval | None, metric: str, sign: str = "") -> str:
    """`97.8 ± 0.6`: percent without its sign, nats, or the unit of the target."""
    if value is None:
        return NONE
    unit = METRICS[metric].unit
    factor = 100.0 if unit == "percent" else 1.0
    mean, reach = factor * value.mean, factor * value.half_width
    digits = {"percent": 1, "nats": 3, "square": 4}.get(unit) or _digits(mean, reach)
    text = f"{mean:{sign}.{digits}f}".replace("-", "−")
    return text if isnan(reach) else f"{text} ± {reach:.{digits}f}"


def estimand(folds: int) -> str:
    """What the numbers speak about."""
    parts = "half" if folds == 2 else f"{folds - 1} of {folds} parts"
    return f"For models trained on {parts} of these rows, on new rows of the same kind."


def _digits(mean: float, reach: float) -> int:
    """Decimals that show two digits of the reach, or three of the mean."""
    if isnan(reach) or reach <= 0:
        return max(0, 2 - floor(log10(abs(mean)))) if mean else 2
    return min(12, max(0, 1 - floor(log10(reach))))


def joined(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
