"""Killed at any moment, the same command ends with the same digits; two runs do not mix.

The uninterrupted run has one process and the killed one also two: their number changes no digit.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.compare_tools import SMALL, call, numbers, repeatable

RUN = "from lossmith.lab.cli import main; main()"


def start(*words: str) -> subprocess.Popen[str]:
    path = os.pathsep.join(sys.path)
    return subprocess.Popen(
        [sys.executable, "-c", RUN, "compare", *words],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_killed_and_resumed_it_ends_with_the_same_digits(jobs: str, tmp_path: Path) -> None:
    words = ["wine", *SMALL, "--label-noise", "0.2", "--losses", "focal,hinge"]
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    for folder in (whole, halved):
        folder.mkdir()
    expected = numbers(whole, *words, "--jobs", "1")

    place = ["--output", str(halved / "page.html"), "--json", str(halved / "numbers.json")]
    process = start(*words, *place, "--jobs", jobs)
    trials = halved / "page.trials" / "trials"
    deadline = time.monotonic() + 90
    while not list(trials.glob("*.json")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no trial was finished"
        time.sleep(0.02)
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


def test_changed_settings_are_refused_and_fresh_begins_anew(tmp_path: Path) -> None:
    words = ["iris", *SMALL, "--outliers", "0", "--losses", "hinge"]
    first = numbers(tmp_path, *words)
    place = ["--output", str(tmp_path / "page.html"), "--jobs", "1"]
    changed = [*words, "--seed", "5"]
    result = call(*changed, *place)
    assert result.exit_code == 2
    assert "seed was 0 and is 5" in result.stderr
    assert "--fresh" in result.stderr
    second = numbers(tmp_path, *changed, "--fresh")
    assert second["trials"] != first["trials"]
    assert call(*words, *place).exit_code == 2


def test_a_finished_comparison_is_shown_again_without_a_trial(tmp_path: Path) -> None:
    words = ["iris", *SMALL, "--outliers", "0", "--losses", "hinge"]
    first = numbers(tmp_path, *words)
    result = call(*words, "--output", str(tmp_path / "page.html"))
    assert "6 of 6 trials were on the disk already" in result.stderr
    assert repeatable(numbers(tmp_path, *words)) == repeatable(first)


@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_gives_the_same_digits(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    words = ["wine", *SMALL, "--outliers", "0", "--losses", "ramp"]
    alone, spread = tmp_path / "1", tmp_path / "2"
    alone.mkdir()
    spread.mkdir()
    one = numbers(alone, *words, "--jobs", "1")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address
        two = numbers(spread, *words, "--backend", "dask", "--cluster", address)
        assert not list(Path(spread).glob("*.part"))
    assert repeatable(one) == repeatable(two)
    assert json.loads((spread / "page.trials" / "manifest.json").read_text())
