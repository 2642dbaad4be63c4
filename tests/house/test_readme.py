"""The README tells the truth: what it types exists, and its code runs."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from house.tree import ROOT

README = ROOT / "README.md"
MAKEFILE = ROOT / "Makefile"


def code(text: str) -> list[str]:
    """Every fenced block and every `span`, without HTML comments."""
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return blocks + re.findall(r"`([^`\n]+)`", rest)


def typed(command: str, text: str) -> set[str]:
    """The words typed after a command; `lossmith list|show` is two."""
    lines = [line for piece in code(text) for line in piece.splitlines()]
    found = {
        word
        for line in lines
        for match in re.findall(rf"(?:^|[\s$/]){command} ([a-z][a-z|-]*)", line.partition("#")[0])
        for word in match.split("|")
    }
    return found - {"import"}


def python_blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def make_targets(text: str) -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):(?!=)", text, re.MULTILINE))


def exit_status(monkeypatch: pytest.MonkeyPatch, command: str) -> object:
    from lossmith.lab.cli import main

    monkeypatch.setattr(sys, "argv", ["lossmith", command, "--help"])
    with pytest.raises(SystemExit) as leaving:
        main()
    return leaving.value.code or 0


def test_every_make_target_exists() -> None:
    named = typed("make", README.read_text(encoding="utf-8"))
    assert {"compare", "test"} <= named
    assert named <= make_targets(MAKEFILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("command", sorted(typed("lossmith", README.read_text(encoding="utf-8"))))
def test_every_command_exists(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert exit_status(monkeypatch, command) == 0
    assert command in capsys.readouterr().out


def test_an_unknown_command_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert exit_status(monkeypatch, "no-such-command") != 0


def test_the_commands_are_read() -> None:
    assert {"list", "show", "compare"} <= typed("lossmith", README.read_text(encoding="utf-8"))


@pytest.mark.parametrize("number", range(len(python_blocks(README.read_text(encoding="utf-8")))))
def test_code_runs(number: int) -> None:
    block = python_blocks(README.read_text(encoding="utf-8"))[number]
    exec(compile(block, f"README.md, block {number}", "exec"), {"__name__": "readme"})


def test_there_is_code() -> None:
    assert python_blocks(README.read_text(encoding="utf-8"))


def test_the_bench_table_has_its_place() -> None:
    text = README.read_text(encoding="utf-8")
    assert text.count("<!-- bench:begin -->") == text.count("<!-- bench:end -->") == 1
    assert text.index("<!-- bench:begin -->") < text.index("<!-- bench:end -->")


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert local
    assert [link for link in local if not (ROOT / link).exists()] == []


def test_reading_finds_what_is_typed() -> None:
    text = (
        "`lossmith list|show` and `make test`, not lossmith prose\n"
        "```sh\nmake bench ARGS=x  # make nothing\n.venv/bin/lossmith compare digits\n```\n"
        "```python\nimport lossmith\nfrom lossmith import huber\n```\n"
        "<!-- `make hidden` -->\n"
    )
    assert typed("lossmith", text) == {"list", "show", "compare"}
    assert typed("make", text) == {"test", "bench"}
    assert python_blocks(text) == ["import lossmith\nfrom lossmith import huber\n"]
    assert make_targets("a: b\nC := d\ne:=f\n$(G): h\ni-j:\n") == {"a", "i-j"}


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_make_keeps_caches_inside_unless_told_otherwise() -> None:
    """Compiled kernels, and what matplotlib and torch's compiler keep, as the README says."""
    names = ("LOSSMITH_CACHE_DIR", "MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR")
    show = ["make", "-s", f"--eval=show: ; @echo {' '.join(f'$${name}' for name in names)}", "show"]
    bare = {name: value for name, value in os.environ.items() if name not in names}
    for given in ({}, {"LOSSMITH_CACHE_DIR": "elsewhere"}):
        said = subprocess.run(
            show, cwd=ROOT, env=bare | given, capture_output=True, text=True, check=True
        ).stdout.split()
        assert said[0] == given.get("LOSSMITH_CACHE_DIR", f"{ROOT}/.venv/cache/lossmith")
        assert all(place.startswith(f"{ROOT}/.venv/") for place in said[1:])
