"""Files that commands write: whole or as before, whatever fails, and nothing of another's goes."""

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from lossmith.errors import InputError
from lossmith.lab import output
from lossmith.lab.cli import main

OLD, NEW = "o" * 20_000, "n" * 30_000


def script(text: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is killed at each step")
def test_killed_or_out_of_room_at_every_step(tmp_path: Path) -> None:
    """Another's draft of the same name stays, too; what ran out of room leaves nothing behind."""
    (tmp_path / ".page.html.part").write_text("another's")
    found = script(
        f"""
        import os, resource, signal, sys
        from pathlib import Path
        from lossmith.errors import InputError
        from lossmith.lab import output
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        place = Path({str(tmp_path)!r}) / "page.html"
        ends = set()
        faults = [("step", n) for n in range(1, 4)]
        faults += [("room", n) for n in range(0, 40_000, 7_000)]
        for kind, amount in faults:
            output.write(place, {OLD!r})
            child = os.fork()
            if child == 0:
                if kind == "room":
                    resource.setrlimit(resource.RLIMIT_FSIZE, (amount, resource.RLIM_INFINITY))
                else:
                    seen = [0]
                    def watch(event, args):
                        if event in ("open", "os.rename"):
                            seen[0] += 1
                            if seen[0] == amount:
                                os.kill(os.getpid(), 9)
                    sys.addaudithook(watch)
                try:
                    output.write(place, {NEW!r})
                except InputError as error:
                    assert "cannot write" in str(error)
                    os._exit(2)
                os._exit(0)
            ends.add(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            assert place.read_text() in ({OLD!r}, {NEW!r})
            if kind == "room":
                assert len(list(place.parent.iterdir())) <= 2 + drafts
            drafts = len(list(place.parent.iterdir())) - 2
        print(sorted(ends))
        """
    )
    assert found == f"[{-signal.SIGKILL}, 0, 2]"
    assert (tmp_path / ".page.html.part").read_text() == "another's"


def test_a_link_stays_a_link_and_a_pipe_a_pipe(tmp_path: Path) -> None:
    """A superuser's `--json /dev/null` must not make a file of it."""
    link, target, pipe = tmp_path / "link", tmp_path / "target", tmp_path / "pipe"
    target.write_text("old")
    link.symlink_to(target)
    output.write(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    output.write(pipe, "said")
    assert os.read(reader, 9) == b"said"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    device = Path(os.devnull)
    if output.special(device):
        output.write(device, "gone")
        assert not device.is_file()


def test_an_open_stream_is_written_to_and_other_files_of_its_folder_are_not() -> None:
    assert output.special(Path("/dev/stdout")) == Path("/dev/stdout").exists()
    assert output._STREAM.fullmatch("/dev/shm/numbers.json") is None


def test_a_name_that_is_no_text_can_be_written() -> None:
    """A path of other bytes than text, as it stands in the command on the page."""
    with pytest.raises(UnicodeEncodeError):
        "\udcff".encode()
    data = b"\\udcff"
    assert "\udcff".encode(errors="backslashreplace") == data


@settings(derandomize=True, deadline=None, max_examples=80)
@given(st.data())
def test_outputs_are_kept_apart_from_each_other_and_from_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("apart")
    (folder / "real").write_text("data")
    (folder / "link").symlink_to("real")
    (folder / "hard").hardlink_to(folder / "real")
    names = ("real", "link", "hard", "./real", "x/../real", "new", "./new", "other")
    (folder / "x").mkdir()
    made = {f"made {n}": data.draw(st.sampled_from(names)) for n in range(2)}
    read = {"read": data.draw(st.sampled_from(names))}

    def meant(name: str) -> str:
        plain = name.rpartition("/")[2]
        return "real" if plain in ("link", "hard") else plain

    one, two = (meant(name) for name in made.values())
    clash = one == two or meant(read["read"]) in (one, two)
    given_made = {what: folder / name for what, name in made.items()}
    given_read = {what: folder / name for what, name in read.items()}
    if clash:
        with pytest.raises(InputError, match="write over"):
            output.need_apart(given_made, given_read)
    else:
        output.need_apart(given_made, given_read)


def words(folder: Path, name: str) -> list[str]:
    return ["compare", str(folder / name), "--folds", "2", "--repeats", "1", "--epochs", "1"]


@pytest.mark.parametrize(
    "more",
    [
        ["--json", "t.json"],  # the table beside it would be t.csv
        ["--json", "t.csv"],
        ["--json", "other.csv"],
        ["--output", "t.html", "--json", "t.html"],
        ["--json", "notes.json"],  # notes.csv is another's
        ["--output", "folder"],  # its compare.html is another's
    ],
)
def test_compare_writes_over_nothing_that_is_read_or_of_another(
    tmp_path: Path, more: list[str]
) -> None:
    table = "a,target\n" + "".join(f"{n * 7 % 13 / 3:.2f},{n % 2}\n" for n in range(40))
    (tmp_path / "t.csv").write_text(table)
    (tmp_path / "notes.csv").write_text("mine\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "compare.html").write_text("<html>mine</html>")
    before = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    placed = [str(tmp_path / word) if not word.startswith("--") else word for word in more]
    if "--output" not in placed:
        placed += ["--output", str(tmp_path / "page.html")]
    result = CliRunner().invoke(main, [*words(tmp_path, "t.csv"), *placed, "--jobs", "1"])
    assert result.exit_code == 2, result.output
    assert "write over" in result.stderr or "not made by Lossmith" in result.stderr
    assert {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("command", ["compare", "compare-check", "claims"])
def test_more_processes_than_a_machine_can_start_are_refused(command: str, tmp_path: Path) -> None:
    place = ["--output", str(tmp_path / ("out.html" if command == "claims" else "out"))]
    result = CliRunner().invoke(main, [command, "--jobs", "1000000", *place])
    assert result.exit_code == 2
    assert "--jobs 1000000" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_json_of_the_quick_commands_is_whole(tmp_path: Path) -> None:
    """`accuracy` and `matrix` wrote in place: a full disk left half a file and a traceback."""
    place = tmp_path / "rows.json"
    place.write_text("before")
    words = ["accuracy", "l2", "--points", "1", "--engine", "reference", "--json", str(place)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert json.loads(place.read_text())
    assert [path.name for path in tmp_path.iterdir()] == ["rows.json"]
