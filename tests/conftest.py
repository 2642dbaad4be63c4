"""Compiled kernels are kept between runs, inside the project and away from the user's own cache."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

_HERE = Path(__file__).resolve().parents[1] / ".pytest_cache" / "lossmith"
# Before Lossmith is imported; processes that tests start inherit it.
os.environ.setdefault("LOSSMITH_CACHE_DIR", str(_HERE))


@pytest.fixture
def fresh_dynamo() -> Iterator[None]:
    """A compiler that remembers nothing, whose own deprecations are no errors."""
    from lossmith.lab.support.tracers import quiet

    with quiet():
        yield
