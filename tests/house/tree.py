"""The project's own files, as the house tests see them."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "lossmith"


def sources(folder: Path = PACKAGE) -> list[Path]:
    """Every Python file of a folder; an empty answer would make a test pass by reading nothing."""
    found = sorted(folder.rglob("*.py"))
    assert found, f"no Python files under {folder}"
    return found


def tracked(root: Path = ROOT) -> list[Path]:
    """Every file that git holds and that is still there."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True
    ).stdout
    found = [root / name for name in listing.split("\0") if name and (root / name).is_file()]
    assert found, f"git holds no files under {root}"
    return found


def nodes(path: Path) -> Iterator[ast.AST]:
    """Every node of a file, inside functions and TYPE_CHECKING blocks too."""
    return ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))
