"""How many processes a command may be asked for."""

from __future__ import annotations

import os

from lossmith.errors import InputError

MOST = 64  # on any machine; more than that only where there are cores for a quarter of them


def need_processes(option: str, count: int, least: int = 1) -> None:
    """Refuse a number that no machine of this size can start."""
    most = max(MOST, 4 * (os.cpu_count() or 1))
    if not least <= count <= most:
        zero = ", 0 for one per core" if least == 0 else ""
        raise InputError(
            f"{option} {count}: give a number from {least} to {most} on this machine{zero}"
        )
