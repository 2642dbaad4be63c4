"""Tables: the same content is the same data set in every format; what was done is said."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lossmith.lab.data.dataset import Dataset
from lossmith.lab.data.load import load

ROWS = 400


def mixed() -> pd.DataFrame:
    """A table with a bit of everything that comes up."""
    rng = np.random.default_rng(5)
    age = np.where(rng.random(ROWS) < 0.1, np.nan, rng.normal(40, 9, ROWS).round(1))
    moments = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, ROWS), unit="D")
    months, days = rng.integers(1, 13, ROWS), rng.integers(1, 28, ROWS)
    words = ["good", "bad", "the", "film", "was", "not"]
    label = rng.choice(["yes", "no", "maybe"], ROWS, p=[0.7, 0.27, 0.03]).astype(object)
    label[7] = None
    return pd.DataFrame(
        {
            "row": np.arange(ROWS),
            "key": [f"k{i:05d}" for i in rng.permutation(ROWS)],
            "age": age,
            "sex": rng.choice(["m", "f"], ROWS),
            "city": rng.choice([f"c{i}" for i in range(60)], ROWS),
            "when": moments,
            "day": [f"{b}/{a}/2020" for a, b in zip(months, days, strict=True)],
            "words": [" ".join(rng.choice(words, 6)) for _ in range(ROWS)],
            "same": 3,
            "stamp": 1.7e9 + rng.integers(0, 1000, ROWS),
            "on": rng.random(ROWS) < 0.5,
            "age2": age,
            "copy": label,
            "label": label,
        }
    )


SAID = """
Task classification, 3 classes: the target 'label' is text.
1 of 400 rows have no target 'label' and are left out.
The target is 'label', by its name.
Dropped, as it only numbers the rows: 'row'.
Dropped, as nearly every row has its own text, which names the row: 'key'.
Dropped, as every row has the same value: 'same'.
Dropped, as it repeats the column 'age': 'age2'.
Dropped, as it repeats the target: 'copy'.
Dates, which become days, place in year and in day, and weekday: 'when', 'day'.
Text, which becomes the weights of its 64 most frequent words: 'words'.
Of more than 30 categories the rarest share a column: 'city'.
"""


def written(frame: pd.DataFrame, name: str) -> str:
    """Write the table in the format that the name says."""
    if name.endswith((".csv", ".csv.gz")):
        decimal = "," if "comma" in name else "."
        frame.to_csv(name, index=False, sep=";" if "semi" in name else ",", decimal=decimal)
    elif name.endswith(".tsv"):
        frame.to_csv(name, index=False, sep="\t")
    elif name.endswith(".parquet"):
        frame.to_parquet(name)
    else:
        frame.to_feather(name)
    return name


def test_every_format_gives_the_same_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["t.csv", "t.csv.gz", "t.tsv", "semi.csv", "semicomma.csv", "t.parquet", "t.feather"]
    found = [load(written(mixed(), name)) for name in names]
    assert len({dataset.fingerprint for dataset in found}) == 1
    first = found[0]
    assert first.classes == ("maybe", "no", "yes")
    assert first.rows == ROWS - 1
    expected = mixed().dropna(subset="label")
    np.testing.assert_array_equal(np.array(first.classes)[first.target], expected["label"])
    assert list(first.source.columns) == [
        "age",
        "sex",
        "city",
        "when",
        "day",
        "words",
        "stamp",
        "on",
    ]
    np.testing.assert_array_equal(first.source["age"], expected["age"].astype(np.float32))
    np.testing.assert_array_equal(first.source["stamp"], expected["stamp"])  # kept in 64 bits
    np.testing.assert_array_equal(first.source["when"], expected["when"])
    days = pd.to_datetime(expected["day"], format="%d/%m/%Y")
    np.testing.assert_array_equal(first.source["day"], days)
    np.testing.assert_array_equal(first.source["sex"].astype(object), expected["sex"])
    for dataset in found:
        assert set(SAID.strip().splitlines()) <= set(dataset.notes)
    assert "Numbers are written with a decimal comma." in found[4].notes


def test_categories_of_pandas_and_one_changed_cell(tmp_path: Path) -> None:
    frame = mixed()
    plain = load(written(frame, str(tmp_path / "a.parquet")))
    typed = load(written(frame.astype({"sex": "category"}), str(tmp_path / "b.parquet")))
    assert plain.fingerprint == typed.fingerprint
    for row, column, value in [
        (3, "sex", None),
        (3, "age", 1.0),
        (3, "words", "x y z"),
        (3, "label", "no2"),
    ]:
        other = frame.copy()
        other.loc[row, column] = value
        changed = load(written(other, str(tmp_path / "c.parquet")))
        assert changed.fingerprint != plain.fingerprint, column


@pytest.mark.parametrize("ending", ["csv", "parquet", "feather"])
def test_the_row_numbers_of_pandas_are_no_column(tmp_path: Path, ending: str) -> None:
    frame = pd.DataFrame({"x": np.arange(60) * 0.5, "y": np.arange(60) % 2}).drop(index=[4, 11])
    name = tmp_path / f"t.{ending}"
    if ending == "csv":
        frame.to_csv(name)
    elif ending == "parquet":
        frame.to_parquet(name)
    else:
        frame.reset_index(names="__index_level_0__").to_feather(name)
    dataset = load(str(name))
    assert list(dataset.source.columns) == ["x"]
    assert any(note.startswith("Dropped, as pandas numbered the rows") for note in dataset.notes)


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        ([0, 1] * 20, "binary", ("0", "1")),
        ([3.0, 1.0, None, 2.0] * 10, "classification", ("1", "2", "3")),
        (list(range(20)) * 2, "classification", tuple(map(str, range(20)))),
        (list(range(21)) * 2, "regression", ()),
        ([0.5, 1, 2, 3] * 10, "regression", ()),
        ([True, False] * 20, "binary", ("False", "True")),
        (["b", "a", "c", "a"] * 10, "classification", ("a", "b", "c")),
        ([-1, 10, 9] * 10, "classification", ("-1", "9", "10")),
    ],
)
def test_the_task_is_inferred_and_said(
    tmp_path: Path, values: list[object], task: str, classes: tuple[str, ...]
) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=len(values)), "T": values})
    dataset = load(written(frame, str(tmp_path / "t.csv")), "T")
    assert (dataset.task, dataset.classes) == (task, classes)
    assert dataset.notes[0].startswith(f"Task {task}")
    known = frame["T"].dropna()
    if task == "regression":
        np.testing.assert_array_equal(dataset.target, known.astype(float))
        assert dataset.target.dtype == np.float64
    else:
        codes = [
            dataset.classes.index(str(int(v)) if isinstance(v, float) else str(v)) for v in known
        ]
        np.testing.assert_array_equal(dataset.target, codes)
        assert dataset.target.dtype == np.int64
        np.testing.assert_array_equal(dataset.counts, np.bincount(codes))


def test_a_task_that_is_asked_for(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": np.arange(40) * 1.5, "y": np.arange(40) % 5})
    name = written(frame, str(tmp_path / "t.csv"))
    assert load(name).task == "classification"
    as_numbers = load(name, task="regression")
    assert as_numbers.task == "regression"
    np.testing.assert_array_equal(as_numbers.target, frame["y"].astype(float))
    assert load("breast_cancer", task="classification").task == "classification"


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        ('a;b\n"1;5";x\n"2;5";y\n"1;5";x\n', "a", ["1;5", "2;5", "1;5"]),
        ('a,b\n"line\nbreak",x\n"p""q",y\n"p""q",x\n', "a", ["line\nbreak", 'p"q', 'p"q']),
        ("\ufeffa,b\r\nü,x\r\né,y\r\né,x\r\n", "a", ["ü", "é", "é"]),
        (" a , b\n u ,x\nv,y\nu ,x\n", "a", ["u", "v", "u"]),
        (",a,b\n0,u,x\n1,v,y\n2,u,x\n", "a", ["u", "v", "u"]),
    ],
)
def test_what_csv_files_may_hold(
    tmp_path: Path, text: str, column: str, expected: list[str]
) -> None:
    for name, content in [("t.csv", text.encode()), ("t.csv.gz", gzip.compress(text.encode()))]:
        (tmp_path / name).write_bytes(content)
        dataset = load(str(tmp_path / name), "b")
        assert list(dataset.source[column]) == expected
        assert dataset.classes == ("x", "y")


def test_line_ends_in_cells_of_a_long_file(tmp_path: Path) -> None:
    rows = 60_000  # more than one block of the reader
    cells = [f"cell {i % 7}\nwith, two lines" for i in range(rows)]
    frame = pd.DataFrame({"a": cells, "x": np.arange(rows) * 0.25, "y": np.arange(rows) % 3})
    frame["pad"] = "p" * 150
    frame.loc[5, "pad"] = "q"
    dataset = load(written(frame, str(tmp_path / "t.csv")))
    assert list(dataset.source["a"]) == cells
    np.testing.assert_array_equal(dataset.target, frame["y"])
    np.testing.assert_array_equal(dataset.source["x"], frame["x"])


LABEL = st.text(
    st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=6
)
# Words that mean "missing" in a CSV file, or a number or truth value, are no plain labels.
PLAIN = LABEL.map(lambda s: f"_{s}")


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(
        st.tuples(
            st.floats(-1e6, 1e6, width=32, allow_subnormal=False), st.integers(-1000, 1000), PLAIN
        ),
        min_size=12,
        max_size=40,
    ),
    packed=st.booleans(),
)
def test_numbers_and_labels_survive_a_csv_file(
    tmp_path: Path, rows: list[tuple[float, int, str]], packed: bool
) -> None:
    frame = pd.DataFrame(rows * 2, columns=["x", "i", "label"])
    frame.loc[0, ["x", "i"]] = [2.5e6, 2000]  # neither column is constant or counts the rows
    frame["other"] = np.resize([0.5, 7.25, 1.0], len(frame))
    if frame["label"].nunique() < 2:
        frame.loc[0, "label"] = "_another one"
    name = str(tmp_path / ("t.csv.gz" if packed else "t.csv"))
    dataset = load(written(frame, name))
    back = np.array(dataset.classes, object)[dataset.target]
    if dataset.task == "regression" or len(dataset.classes) != frame["label"].nunique():
        raise AssertionError(dataset.notes)
    assert list(back) == list(frame["label"])
    for column in ("x", "i"):
        if column in dataset.source:
            want = frame[column].to_numpy(float)
            np.testing.assert_allclose(dataset.source[column], want, rtol=1e-6, atol=1e-30)


def test_built_in_names() -> None:
    tasks = {}
    for name in ("digits", "breast-cancer", "wine", "iris", "diabetes"):
        dataset: Dataset = load(name)
        tasks[dataset.name] = dataset.task
        assert dataset.rows == dataset.shape[0]
        assert dataset.images == (name == "digits")
    assert list(tasks.values()) == [
        "classification",
        "binary",
        "classification",
        "classification",
        "regression",
    ]
