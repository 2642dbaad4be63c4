"""The library without its extra: the command line says what to install, whatever was asked for."""

import os
import subprocess
import sys

import pytest

from house.tree import PACKAGE, nodes
from lossmith.__main__ import BROUGHT
from lossmith.lab import cli

# Every command in a process where the packages named cannot be imported; one line for each.
TRY = """
import contextlib, io, sys
absent, commands = sys.argv[1].split(","), sys.argv[2].split(",")
for name in absent:
    sys.modules[name] = None
from lossmith.__main__ import main
for command in commands:
    sys.argv, said = ["lossmith", *command.split()], io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            main()
        except SystemExit as leaving:
            print(command, leaving.code, said.getvalue().strip(), sep="|")
"""


def tried(absent: tuple[str, ...], commands: list[str]) -> list[list[str]]:
    ended = subprocess.run(
        [sys.executable, "-c", TRY, ",".join(absent), ",".join(commands)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert ended.returncode == 0, ended.stderr
    return [line.split("|") for line in ended.stdout.splitlines() if line.count("|") == 2]


def test_without_the_extra_every_command_names_it() -> None:
    found = tried(BROUGHT, ["--help", "--version", *cli.COMMANDS])
    assert len(found) == 2 + len(cli.COMMANDS)
    for command, code, said in found:
        assert code == "2", (command, said)
        assert "pip install 'lossmith[lab]'" in said, command


def test_with_a_part_of_it_the_commands_that_need_the_rest_name_it() -> None:
    """An older extra, or `pip install click`: what is missing shows later, inside a command."""
    wanting = ["list", "properties", "compare iris", "compare-check", "claims", "bench"]
    wanting += ["accuracy", "support"]
    found = tried(tuple(name for name in BROUGHT if name != "click"), wanting)
    assert len(found) == len(wanting)
    for command, code, said in found:
        assert code == "2", (command, said)
        assert "pip install 'lossmith[lab]'" in said, command


def test_a_package_that_a_person_forgot_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lossmith.__main__ import main

    def fail() -> None:
        raise ModuleNotFoundError("No module named 'mine'", name="mine")

    monkeypatch.setattr(cli, "main", fail)
    with pytest.raises(ModuleNotFoundError, match="mine"):
        main()


def test_the_door_knows_every_package_of_the_laboratory() -> None:
    import ast

    found = set()
    for path in (PACKAGE / "lab").rglob("*.py"):
        for node in nodes(path):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.partition(".")[0])
    core = {"lossmith", "torch", "numpy", "sympy", "mpmath", "numba", "llvmlite"}
    # What an extra of its own brings ("tune", "onnx") is looked for where it is used.
    apart = {"onnxruntime", "optuna"}
    assert found - set(sys.stdlib_module_names) - core - apart == set(BROUGHT)
