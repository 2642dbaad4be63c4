"""A file that grows past a page or two of thought is cut where its subject has a seam."""

from pathlib import Path
from statistics import median

from house.tree import PACKAGE, sources

MEDIAN = 150
CAP = 400


def problems(package: Path) -> list[str]:
    # An empty page has no reader, so it must not pull the median down.
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources(package)}
    read = {path: size for path, size in sizes.items() if path.name != "__init__.py" or size > 5}
    found = [
        f"{path.relative_to(package)} has {size} lines; the cap is {CAP}"
        for path, size in read.items()
        if size > CAP
    ]
    if read and median(read.values()) > MEDIAN:
        found.append(f"the median file has {median(read.values()):g} lines; at most {MEDIAN}")
    return found


def test_files_are_small() -> None:
    assert problems(PACKAGE) == []


def test_planted_faults_are_found(tmp_path: Path) -> None:
    (tmp_path / "small.py").write_text("x = 1\n" * MEDIAN)
    assert problems(tmp_path) == []
    (tmp_path / "large.py").write_text("x = 1\n" * (CAP + 1))
    cap, middle = problems(tmp_path)
    assert "large.py has 401 lines" in cap
    assert "the median file has 275.5 lines" in middle
