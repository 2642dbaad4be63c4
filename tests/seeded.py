"""Seeds of the suite's draws: the same for everybody on one commit, others on the next."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path


@cache
def commit() -> str:
    """What a draw of this commit is seeded with; LOSSMITH_SEED=<seed> repeats another's."""
    given = os.environ.get("LOSSMITH_SEED")
    if given:
        return given
    try:
        return subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            cwd=Path(__file__).parent, capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "no commit"  # an unpacked archive
