"""Killed at any moment, the same command ends with the same digits; two runs do not mix.

The uninterrupted run has one process and the killed one also two: their number changes no digit.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.compare_tools import SMALL, call, numbers, repeatable
from lossmith.lab.compare import store
from patience import HANG

# A shell that starts the tests in the background has the interrupt ignored; here it is not.
RUN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from lossmith.lab.cli import main
main()
"""


def start(*words: str, group: bool = False) -> subprocess.Popen[str]:
    path = os.pathsep.join(sys.path)
    return subprocess.Popen(
        [sys.executable, "-c", RUN, "compare", *words],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0 if group else None,
    )


def until_a_trial_is_there(folder: Path, process: subprocess.Popen[str]) -> Path:
    trials = folder / "page.trials" / "trials"
    deadline = time.monotonic() + HANG
    while not list(trials.glob("*.json")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no trial was finished"
        time.sleep(0.02)
    return trials


def test_killed_and_resumed_it_ends_with_the_same_digits(tmp_path: Path) -> None:
    words = ["wine", *SMALL, "--label-noise", "0.2", "--losses", "focal,hinge"]
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    for folder in (whole, halved):
        folder.mkdir()
    expected = numbers(whole, *words, "--jobs", "1")

    place = ["--output", str(halved / "page.html"), "--json", str(halved / "numbers.json")]
    process = start(*words, *place, "--jobs", "2")
    trials = until_a_trial_is_there(halved, process)
    # While it runs, nobody else may write there.
    refused = call(*words, *place)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    if refused.exit_code != 0:  # it may have ended in the meantime
        assert refused.exit_code == 2
        assert "another comparison is writing" in refused.stderr
    kept = {path.name: path.stat().st_mtime_ns for path in trials.glob("*.json")}
    assert 0 < len(kept) <= 9
    # A file that a full disk or a power cut left damaged counts as none.
    (trials / "damaged.json").write_text('{"status": "do')

    resumed = numbers(halved, *words, "--jobs", "1")
    assert repeatable(resumed) == repeatable(expected)
    assert (halved / "numbers.csv").read_bytes() == (whole / "numbers.csv").read_bytes()
    assert {path.name for path in (halved / "page.trials").iterdir()} == {
        "lock",
        "manifest.json",
        "trials",
    }
    again = {path.name: path.stat().st_mtime_ns for path in trials.glob("*.json")}
    assert all(again[name] == at for name, at in kept.items()), "a finished trial ran again"


def test_a_second_run_is_refused_while_the_folder_is_held(tmp_path: Path) -> None:
    from filelock import FileLock

    folder = tmp_path / "page.trials"
    folder.mkdir()
    with FileLock(folder / "lock"):
        result = call("iris", *SMALL, "--output", str(tmp_path / "page.html"))
    assert result.exit_code == 2
    assert "another comparison is writing" in result.stderr


def test_a_finished_comparison_is_shown_again_and_another_refused(tmp_path: Path) -> None:
    words = ["iris", *SMALL, "--outliers", "0", "--losses", "hinge"]
    first = numbers(tmp_path, *words)
    place = ["--output", str(tmp_path / "page.html"), "--json", str(tmp_path / "numbers.json")]
    again = call(*words, *place, "--jobs", "1")
    assert "6 of 6 trials were on the disk already" in again.stderr
    shown = json.loads((tmp_path / "numbers.json").read_text())
    assert repeatable(shown) == repeatable(first)
    changed = [*words, "--seed", "5"]
    result = call(*changed, *place, "--jobs", "1")
    assert result.exit_code == 2
    assert "seed was 0 and is 5" in result.stderr
    assert "--fresh" in result.stderr
    second = numbers(tmp_path, *changed, "--fresh")
    assert second["trials"] != first["trials"]
    assert call(*words, *place).exit_code == 2


def test_an_interrupted_run_says_how_to_go_on_and_leaves_a_whole_folder(tmp_path: Path) -> None:
    words = ["wine", *SMALL, "--outliers", "0", "--repeats", "8", "--losses", "hinge"]
    place = ["--output", str(tmp_path / "page.html"), "--json", str(tmp_path / "numbers.json")]
    process = start(*words, *place, "--jobs", "1", group=True)
    trials = until_a_trial_is_there(tmp_path, process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    said, complained = process.communicate(timeout=HANG)
    assert process.returncode == 130, complained
    assert said == ""
    assert complained.splitlines()[-1] == "lossmith: stopped"
    kept = len(list(trials.glob("*.json")))
    assert f"{kept} of at most 48 trials are kept in {tmp_path / 'page.trials'}" in complained
    assert "Traceback" not in complained
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.trials"]
    left = sorted(path.name for path in trials.parent.iterdir())
    assert left == ["lock", "manifest.json", "trials"]
    result = call(*words, *place, "--jobs", "1")
    assert result.exit_code == 0, result.output
    assert f"{kept} of at most 48 trials were on the disk already" in result.stderr


def test_an_interrupted_race_ends_with_the_same_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first look, at its end, and between two looks: it looks at results alone."""
    words = ["iris", "--repeats", "4", "--folds", "5", "--epochs", "2", "--outliers", "0"]
    words += ["--learning-rates", "0.02", "--losses", "focal,poly1", "--margin", "0"]
    whole = numbers(tmp_path, *words, name="whole.html")
    save, stops = store.Store.save, [1, 30, 41]

    def interrupted(self: store.Store, key: str, result: dict) -> None:
        save(self, key, result)
        if len(list(self.trials.iterdir())) in stops:
            raise KeyboardInterrupt

    place = ["--output", str(tmp_path / "halved.html"), "--jobs", "1"]
    with monkeypatch.context() as patched:
        patched.setattr(store.Store, "save", interrupted)
        for after in stops:
            assert call(*words, *place).exit_code != 0
            assert len(list((tmp_path / "halved.trials" / "trials").iterdir())) == after
    assert repeatable(numbers(tmp_path, *words, name="halved.html")) == repeatable(whole)
    looks = [look["repeats"] for look in whole["conditions"][0]["looks"]]
    assert looks == [2, 4]
    assert 40 < len(whole["trials"]) <= 60


def test_what_a_trial_passes_through_is_what_invalidates_it() -> None:
    """The list of files that decide the digits is what `trial.py` imports, directly or not."""
    home = Path(store.__file__).parents[1]
    found: set[str] = set()
    ahead = ["compare/trial"]
    while ahead:
        name = ahead.pop()
        if name in found:
            continue
        found.add(name)
        text = (home / f"{name}.py").read_text(encoding="utf-8")
        for folder, file in re.findall(r"^\s*from lossmith\.lab\.(\w+)\.(\w+) import", text, re.M):
            ahead.append(f"{folder}/{file}")
        for folder, files in re.findall(r"^\s*from lossmith\.lab\.(\w+) import (.+)", text, re.M):
            ahead += [f"{folder}/{file.strip()}" for file in files.split(",")]
    assert found == set(store.DECIDING)
