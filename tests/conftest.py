"""Compiled kernels are kept between runs, inside the project and away from the user's own cache."""

import os
from pathlib import Path

_HERE = Path(__file__).resolve().parents[1] / ".pytest_cache" / "lossmith"
# Before Lossmith is imported; processes that tests start inherit it.
os.environ.setdefault("LOSSMITH_CACHE_DIR", str(_HERE))
