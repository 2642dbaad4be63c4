"""Numbers and names as a person reads them."""

from __future__ import annotations

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
    digits = 1 if unit == "percent" else 3 if unit == "nats" else _digits(mean, reach)
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
