"""Compiled kernels are kept between runs, inside the project and away from the user's own cache."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

_HERE = Path(__file__).resolve().parents[1] / ".pytest_cache" / "lossmith"
# Before Lossmith is imported; processes that tests start inherit it.
os.environ.setdefault("LOSSMITH_CACHE_DIR", str(_HERE))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first, for each stays with one worker: last, it would run alone.

    A file stays together (`--dist loadfile`) because what it shares, experiments or the results of
    several ranks, is else made by every worker again.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    many = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path not in slow, -many[item.path], item.path))


@pytest.fixture
def fresh_dynamo() -> Iterator[None]:
    """A compiler that remembers nothing, whose own deprecations are no errors."""
    from lossmith.lab.support.tracers import quiet

    with quiet():
        yield
