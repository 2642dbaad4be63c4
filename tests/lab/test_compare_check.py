"""`lossmith compare-check`: sound as it is, and it fails a test that is broken on purpose."""

from pathlib import Path

from click.testing import CliRunner, Result

from lossmith.lab.cli import main
from lossmith.lab.compare.check import PARTS, most


def call(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["compare-check", "--quick", *words, "--output", str(folder)])


def test_the_comparison_is_sound_and_a_broken_one_is_found_out(tmp_path: Path) -> None:
    found = call(tmp_path)
    assert found.exit_code == 0, found.output
    assert "WRONG" not in found.output
    for part in [name for name in PARTS if name not in ("noise", "outliers", "imbalance")]:
        assert f"\n{part}" in f"\n{found.output}"
    # Rows alone, the trainings taken for granted: the same draws and the same trainings.
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "luck").iterdir()}
    assert len(kept) == 6
    broken = call(tmp_path, "--ignore-trainings", "--only", "level", "--only", "bound")
    assert broken.exit_code == 1
    wrong = [line for line in broken.output.splitlines() if line.endswith("WRONG")]
    assert any(line.startswith("level, trainings alone") for line in wrong)
    assert call(tmp_path, "--ignore-trainings", "--only", "luck").exit_code in (0, 1)
    again = {path: path.stat().st_mtime_ns for path in (tmp_path / "luck").iterdir()}
    assert again == kept, "a finished repetition ran again"


def test_what_chance_explains() -> None:
    assert most(0.05, 100) == 0.05 + 3 * (0.05 * 0.95 / 100) ** 0.5
    assert most(0.05, 10**12) < 0.050001
