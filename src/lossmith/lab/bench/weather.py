"""Did anything else run meanwhile? Figures taken beside other work are not worth keeping."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

WORTH_SAYING = 0.05


def _busy(listing: Path) -> float | None:
    """Seconds that all processors together have worked since the start of the machine."""
    try:
        first = listing.read_text(encoding="utf-8").splitlines()[0].split()
        user, nice, system, _, _, irq, softirq, steal = map(int, first[1:9])
        tick = os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return None  # not Linux
    return (user + nice + system + irq + softirq + steal) / tick


def _own() -> tuple[float, float]:
    """Seconds of work of this process and the processes it waited for, and the clock."""
    times = os.times()
    return sum(times[:4]), times.elapsed


def watch(listing: Path = Path("/proc/stat")) -> Callable[[], float | None]:
    """Call the answer later: the share of all processors that others took; None if unknown."""
    busy, (own, clock) = _busy(listing), _own()

    def others() -> float | None:
        now, (own_now, clock_now) = _busy(listing), _own()
        if busy is None or now is None or clock_now <= clock:
            return None
        processors = (os.cpu_count() or 1) * (clock_now - clock)
        return min(1.0, max(0.0, ((now - busy) - (own_now - own)) / processors))

    return others


def warning(share: float | None) -> str:
    """One sentence, or nothing where the machine was quiet or there is no knowing."""
    if share is None or share < WORTH_SAYING:
        return ""
    return (
        f"Other processes took {100 * share:.0f} % of the processors meanwhile: "
        "measure again on a quiet machine."
    )
