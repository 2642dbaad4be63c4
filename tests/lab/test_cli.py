"""The front door: quick, and clear about what it does not know."""

import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from lossmith.errors import InputError
from lossmith.lab import cli

HEAVY = ("torch", "sklearn", "scipy", "matplotlib", "sympy", "numba", "jinja2")


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["compare", "--help"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    """Nothing beyond what `import lossmith` itself brings."""
    code = (
        "import sys, lossmith; before = set(sys.modules); from lossmith.lab.cli import main\n"
        f"try: main({words!r})\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        f"print('loaded:', [name for name in {HEAVY!r} if name in set(sys.modules) - before])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("loaded: []\n")


def test_help_lists_every_command_with_its_summary() -> None:
    result = CliRunner().invoke(cli.main, ["--help"])
    assert result.exit_code == 0
    for name, (_, summary) in cli.COMMANDS.items():
        assert name in result.stdout
        assert summary[:40] in " ".join(result.stdout.split())


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_is_where_the_table_says(name: str) -> None:
    result = CliRunner().invoke(cli.main, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert name in result.stdout


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_help_of_every_command_has_examples_on_lines_of_their_own(name: str) -> None:
    lines = CliRunner().invoke(cli.main, [name, "--help"]).stdout.splitlines()
    start = lines.index("Examples:" if "Examples:" in lines else "  Examples:")
    assert lines[start + 1].strip().startswith(f"lossmith {name}")
    assert not any("\\b" in line for line in lines)


def test_without_words_it_shows_the_help() -> None:
    result = CliRunner().invoke(cli.main, [])
    assert result.exit_code == 0
    assert "compare" in result.stdout


def test_an_unknown_command_is_one_line() -> None:
    result = CliRunner().invoke(cli.main, ["compere"])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "compere" in result.stderr


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (InputError("first line\n  and second"), 2, "lossmith: first line and second\n"),
        (click.FileError("page.html", "no room"), 2, "no room"),
        (KeyboardInterrupt(), 130, "lossmith: stopped\n"),
    ],
)
def test_errors_are_one_line(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, says: str
) -> None:
    @click.command()
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: fail)
    result = CliRunner().invoke(cli.main, ["compare"])
    assert result.exit_code == code
    assert says in result.stderr
    assert len(result.stderr.split("\n")) <= 3  # an interrupt first ends the line it broke into
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def fail() -> None:
        raise RuntimeError("ours to mend")

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: fail)
    assert isinstance(CliRunner().invoke(cli.main, ["compare"]).exception, RuntimeError)
