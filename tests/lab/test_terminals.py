"""Every command on terminals as they come: full, closed early, in ASCII; never a traceback."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossmith.lab import cli, terminal
from lossmith.lab.compare import report

SMALL = (
    "--folds 2 --repeats 1 --epochs 1 --learning-rates 0.01 --outliers 0 --losses hinge --jobs 1"
)
# The quickest work of each command that still prints all that it has to say.
QUICK = {
    "list": "list --family margin",
    "show": "show focal --latex",
    "properties": "properties huber",
    "compare": f"compare iris {SMALL} --output FOLDER/page.html",
    "compare-check": "compare-check --only level --times 20",
    "claims": "claims --list",
    "bench": "bench --rows twins --quick --threads 1",
    "accuracy": "accuracy l2 --points 1 --engine reference",
    "matrix": "matrix --losses hinge --limit 1 --seed 1 --engine reference",
    "fuzz": "fuzz --only heads --minutes 0.02 --seed 1",
    "support": "support --losses huber --modes hessian --quick",
}
FULL = Path("/dev/full")
Call = Callable[[list[str], io.TextIOWrapper], tuple[object, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("terminals")


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Run a command with a standard output; its exit code, and what standard error got."""

    def run(words: list[str], out: io.TextIOWrapper) -> tuple[object, str]:
        told = (tmp_path / "told").open("w+", encoding="ascii")
        with monkeypatch.context() as m:
            m.setattr(sys, "stdout", out)
            m.setattr(sys, "stderr", told)
            m.setattr(report, "page", lambda record: "")  # takes long, and is no terminal's matter
            with pytest.raises(SystemExit) as end:
                cli.main(words)
            assert (sys.stdout, sys.stderr) == (out, told)
        told.close()
        return end.value.code, (tmp_path / "told").read_text(encoding="ascii")

    return run


def words(name: str, folder: Path) -> list[str]:
    return [word.replace("FOLDER", str(folder)) for word in QUICK[name].split()]


def test_every_command_is_tried() -> None:
    assert QUICK.keys() == cli.COMMANDS.keys()


@pytest.mark.parametrize("name", QUICK)
def test_every_command_can_be_read_in_ascii(
    name: str, call: Call, folder: Path, tmp_path: Path
) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as out:
        code, told = call(words(name, folder), out)
    assert code in (0, 1), told
    said = (tmp_path / "out").read_bytes().decode("ascii")
    assert len(said) > 40
    assert "\\u" not in said


@pytest.mark.skipif(not FULL.exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("name", QUICK)
def test_a_full_device_is_one_line(name: str, call: Call, folder: Path) -> None:
    out = FULL.open("w", encoding="utf-8")
    try:
        code, told = call(words(name, folder), out)
    finally:
        out.close()
    assert code == 2
    assert told.splitlines()[-1].startswith("lossmith: cannot write to standard output: ")
    assert "Traceback" not in told


def test_a_reader_that_has_seen_enough_is_told_nothing() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "lossmith", "--help"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=write, stderr=subprocess.PIPE, text=True, timeout=100,
    )  # fmt: skip
    os.close(write)
    assert done.returncode == 141
    assert done.stderr == ""


@pytest.mark.skipif(not FULL.exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("buffered", ["", "1"])
def test_python_adds_nothing_at_the_end(buffered: str) -> None:
    """It would try the full device again, and end with a code of its own."""
    with FULL.open("w") as out:
        done = subprocess.run(
            [sys.executable, "-m", "lossmith", "--help"],
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": buffered},
            stdout=out, stderr=subprocess.PIPE, text=True, timeout=100,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("lossmith: cannot write to standard output: ")


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.text(), st.sampled_from(["ascii", "latin-1", "cp1252", "koi8-r", "utf-8"]))
def test_any_text_can_be_written_in_any_encoding(text: str, encoding: str) -> None:
    terminal.Streams()
    written = text.encode(encoding, terminal._HANDLER)
    assert all(c in written.decode(encoding) for c in text if c.isascii())


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("ψ''(u) = −γ·u²", "psi''(u) = -gamma*u^2"),
        ("Σ w ≥ ½", "Sigma w >= 1/2"),
        ("96 µs in [0, ∞)", "96 us in [0, inf)"),
        ("±1 … 2 ×", "+-1 ... 2 x"),
        *(("naïve", "naive"), ("\udcff", "\\xff"), ("猫", "\\u732b")),
    ],
)  # fmt: skip
def test_mathematics_reads_well_in_ascii(text: str, plain: str) -> None:
    terminal.Streams()
    assert text.encode("ascii", terminal._HANDLER).decode() == plain
