"""Preprocessing: scaled and encoded as NumPy says, and fitted on the training rows alone."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from lab.test_data_tables import mixed, written
from lossmith.errors import InputError
from lossmith.lab.data import prepare
from lossmith.lab.data.load import load

PARTS = [np.arange(0, 250), np.arange(250, 300), np.arange(300, 399)]


def test_a_mixed_table_column_by_column(tmp_path: Path) -> None:
    frame = mixed().dropna(subset="label")[["age", "sex", "on", "when", "label"]]
    dataset = load(written(frame, str(tmp_path / "t.parquet")))
    train, other, last = dataset.arrays(*PARTS)
    assert [part.shape[1] for part in (train, other, last)] == [11] * 3
    for part in (train, other, last):
        assert part.dtype == np.float32
        assert np.isfinite(part).all()

    def scaled(values: np.ndarray) -> np.ndarray:
        first = values[PARTS[0]]
        return (values - first.mean(axis=0)) / first.std(axis=0)

    age = frame["age"].to_numpy()
    filled = np.where(np.isnan(age), np.nanmedian(age[PARTS[0]]), age)
    when = frame["when"]
    day = (when - pd.Timestamp(0)).dt.days.to_numpy(float)
    year = 2 * np.pi * (when.dt.day_of_year.to_numpy() - 1) / 365.25
    expected = np.column_stack(
        [
            scaled(frame["on"].to_numpy(float)),
            scaled(filled),
            scaled(np.isnan(age).astype(float)),
            frame["sex"].to_numpy() == "f",
            frame["sex"].to_numpy() == "m",
            scaled(day),
            scaled(np.sin(year)),
            scaled(np.cos(year)),
            scaled(when.dt.day_of_week.to_numpy(float)),
        ]
    )
    # Sine and cosine of midnight do not vary: zeros.
    found = np.vstack([train, other, last])
    varies = found.std(axis=0) > 0
    np.testing.assert_allclose(found[:, varies], expected, atol=2e-4)


@pytest.mark.parametrize("kind", ["table", "numbers", "images"])
def test_only_training_rows_are_looked_at(tmp_path: Path, kind: str) -> None:
    """Whatever the other rows hold, the training rows come out the same, bit for bit."""
    frame = mixed().dropna(subset="label").drop(columns="age2").reset_index(drop=True)
    if kind == "table":
        other = frame.copy()
        other.loc[250:, "age"] = 1e6
        other.loc[250:, "sex"] = "third"
        other.loc[250:, "words"] = "entirely different words here now"
        one, two = (load(written(f, str(tmp_path / "t.csv"))) for f in (frame, other))
    else:
        shape = (399, 5) if kind == "numbers" else (399, 2, 3, 4)
        values = np.random.default_rng(0).normal(50, 3, shape)
        changed = values.copy()
        changed[250:] = 1e6 * changed[250:] ** 2
        found = []
        for source in (values, changed):
            np.savez(tmp_path / "t.npz", X=source, y=np.arange(399) % 3)
            found.append(load(str(tmp_path / "t.npz")))
        one, two = found
    (train_one, test_one, _), (train_two, test_two, _) = one.arrays(*PARTS), two.arrays(*PARTS)
    np.testing.assert_array_equal(train_one, train_two)
    assert not np.array_equal(test_one, test_two)
    assert one.fingerprint != two.fingerprint


def test_images_are_scaled_by_channel(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 3, 8, 8)).astype(np.uint8)
    pixels[:, 1] = 4  # a channel that does not vary stays finite
    np.savez(tmp_path / "t.npz", images=pixels, labels=np.arange(60) % 2)
    train, test = load(str(tmp_path / "t.npz"), "labels").arrays(np.arange(40), np.arange(40, 60))
    first = pixels[:40].astype(float)
    mean, scale = first.mean(axis=(0, 2, 3)), first.std(axis=(0, 2, 3))
    scale[1] = 1
    expected = (pixels - mean[:, None, None]) / scale[:, None, None]
    np.testing.assert_allclose(train, expected[:40], atol=1e-5)
    np.testing.assert_allclose(test, expected[40:], atol=1e-5)


def test_numbers_far_from_zero_keep_their_variation(tmp_path: Path) -> None:
    stamps = 1.7e9 + np.arange(300.0) % 97
    frame = pd.DataFrame({"t": stamps, "y": np.arange(300) % 2})
    dataset = load(written(frame, str(tmp_path / "t.csv")))
    (train,) = dataset.arrays(np.arange(300))
    np.testing.assert_allclose(train[:, 0], (stamps - stamps.mean()) / stamps.std(), atol=1e-5)


def test_gaps_only_outside_the_training_rows_or_only_inside(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(40, 2))
    values[:20, 0] = np.nan  # all of the training rows
    values[25:, 1] = np.nan  # none of them
    np.savez(tmp_path / "t.npz", X=values, y=np.arange(40) % 2)
    train, test, none = load(str(tmp_path / "t.npz")).arrays(
        np.arange(20), np.arange(20, 40), np.arange(0)
    )
    assert train.shape[1] == test.shape[1] == none.shape[1]
    assert np.isfinite(train).all()
    assert np.isfinite(test).all()


def test_text_without_a_word_in_the_training_rows(tmp_path: Path) -> None:
    said = [None, "?!", "-- -- -- --"] * 10 + [
        f"one two three {i} {i * i} word" for i in range(200)
    ]
    frame = pd.DataFrame({"words": said, "x": np.arange(230) * 0.5, "y": np.arange(230) % 2})
    dataset = load(written(frame, str(tmp_path / "t.parquet")))
    train, test = dataset.arrays(np.arange(30), np.arange(30, 230))
    assert np.isfinite(train).all()
    assert np.isfinite(test).all()


def test_values_that_no_longer_fit(tmp_path: Path) -> None:
    values = np.where(np.arange(40) < 20, np.arange(40) * 1e-20, 1e60)
    np.savez(tmp_path / "t.npz", X=values, y=np.arange(40) % 2)
    dataset = load(str(tmp_path / "t.npz"))
    with pytest.raises(InputError, match="no longer fit 32 bits"):
        dataset.arrays(np.arange(20), np.arange(20, 40))
    with pytest.raises(InputError, match="no training rows"):
        dataset.arrays(np.arange(0))


MEASURE = """
import sys, resource
import numpy as np
from lossmith.lab.data import prepare
from lossmith.lab.data.load import load
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
load("iris").arrays(np.arange(100))
before = peak()
for name in sys.argv[1:]:
    dataset = load(name)
    rows = np.random.default_rng(0).permutation(dataset.rows)
    parts = dataset.arrays(rows[: len(rows) // 2], rows[len(rows) // 2 :])
    size = sum(part.nbytes for part in parts)
    assert size == dataset.rows * 50 * 4
    print((peak() - before) * 1024 / size)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted in other units")
def test_memory_is_a_few_times_the_table(tmp_path: Path) -> None:
    """A million rows of 50 columns, 0.19 GiB in 32 bits, fit 4 GiB if the peak is below 20 times.

    Measured at a fraction of the rows, where buffers of fixed size weigh more.
    """
    rng = np.random.default_rng(0)
    columns = {f"x{i}": rng.normal(size=60_000).astype(np.float32).round(4) for i in range(50)}
    table = pa.table(columns | {"label": rng.integers(0, 3, 60_000)})
    names = [str(tmp_path / "t.parquet"), str(tmp_path / "t.csv")]
    parquet.write_table(table, names[0])
    csv.write_csv(table, names[1])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *names], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert max(map(float, done.stdout.split())) < 12


@pytest.mark.parametrize("rows", [np.arange(20), np.arange(5, 12), np.array([3, 1, 2])])
def test_the_source_stays_as_it_was(rows: np.ndarray) -> None:
    """Of neighbouring rows pandas gives a view, and what scales in place would reach the source."""
    values = np.random.default_rng(0).normal(5, 3, (20, 4)).astype(np.float32)
    before = values.copy()
    for others in ((), (np.arange(10, 15),), (np.arange(20),)):
        prepare.numbers(values, [rows, *others])
        assert (values == before).all()
