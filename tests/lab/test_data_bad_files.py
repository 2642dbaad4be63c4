"""Files that must be refused: one line that names the file and what to do; nothing runs."""

import gzip
import io
import os
import pickle
import struct
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from lossmith.errors import InputError
from lossmith.lab.cli import main
from lossmith.lab.data import files
from lossmith.lab.data.load import load

GOOD = pd.DataFrame({"a": [1.5, 2.5, 0.5, 9.0], "y": [0, 1, 0, 1]})


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test works in an empty folder, and reading never leaves a trace there."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not Path("ran").exists(), "code from a file was run"


def refused(name: str, target: str | None = None, task: str | None = None) -> str:
    """What is said of a file: one line, printable, not long; the folder stays as it was."""
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in sorted(Path().rglob("*"))}
    with pytest.raises(InputError) as caught:
        load(name, target, task)
    assert {
        p: (p.stat().st_mtime_ns, p.stat().st_size) for p in sorted(Path().rglob("*"))
    } == before
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 400
    assert name.split(".")[0] in message
    return message


def nearly_numbers() -> str:
    return "a,y\n" + "".join(f"{i}.5,{i % 2}\n" for i in range(99)) + "oops,1\n"


TEXTS: dict[str, tuple[bytes | str, str]] = {
    "empty": (b"", "empty"),
    "blank": ("\n\n", "one column only"),
    "no rows": ("a,y\n", "no rows"),
    "one column": ("y\n1\n0\n", "one column only"),
    "ragged, short": (
        "a,y\n1,2\n3\n",
        "row 3 (the header is row 1) is of length 1, and the header of 2",
    ),
    "ragged, long": (
        "a,y\n1,2\n3,4\n5,6,7\n",
        "row 4 (the header is row 1) is of length 3, and the header of 2",
    ),
    "open quote": ('a,y\n"x,1\nz,2\n', "row 2"),
    "latin, soon": ("a,y\n1,0\nmünchen,1\n".encode("latin1"), "line 3 is not UTF-8"),
    "latin, late": (b"a,y\n" + b"x,1\n" * 30000 + b"m\xfc,2\n", "row 30002"),
    "latin, header": (b"\xfc,y\n1,2\n", "line 1 is not UTF-8"),
    "utf-16": ("a,y\n1,0\n2,1\n".encode("utf-16"), "UTF-16"),
    "binary": (b"a,y\n1,\0\n", "no text"),
    "no usual target": ("a,b\n1,2\n3,4\n", "--target NAME, one of 'a', 'b'"),
    "two usual targets": ("y,label,a\n1,2,3\n", "'y', 'label' could all be it"),
    "one class": ("a,y\n1,p\n2,p\n", "one class only ('p')"),
    "one number": ("a,y\n1,3.5\n2,3.5\n", "3.5 in every row"),
    "no target at all": ("a,y\n1,\n2,NA\n", "no value in any row"),
    "dates as target": ("a,y\n1,2020-01-01\n2,2020-01-02\n", "dates"),
    "names as target": ("a,y\n1,u\n3,v\n5,w\n", "another text in nearly every row"),
    "infinite": ("a,y\n1,0\ninf,1\n", "row 3 (the header is row 1), column 'a'"),
    "infinite target": ("a,y\n1,0.5\n2,-inf\n", "row 3 (the header is row 1), column 'y'"),
    "too large": ("a,y\n1,0\n1e300,1\n", "row 3 (the header is row 1), column 'a'"),
    "larger than a float": ("a,y\n1,0\n1e400,1\n", "row 3"),
    "word among numbers": (nearly_numbers(), "row 101 (the header is row 1), column 'a': 'oops'"),
    "no header": ("5.1,3.5,setosa\n4.9,3.0,virginica\n", "put a line of names first"),
    "comma or semicolon": ("a;b,y\n1;2,3\n", "not clear"),
    "point or comma": ("a;b;y\n1,5;2.5;0\n1,5;2.5;1\n", "decimal comma"),
    "a name twice": ("a,a,y\n1,2,3\n", "'a' occurs more than once"),
    "nothing to learn from": ("a,y\n1,0\n1,1\n", "no column is left"),
    "day or month": (
        "a,y\n" + "".join(f"0{i % 9 + 1}/05/2020,{i % 2}\n" for i in range(30)),
        "YYYY-MM-DD",
    ),
    "latin, at the end of a wide header": (
        ",".join(f"column{i}" for i in range(9000)).encode() + b",\xfc,y\n" + b"1," * 9001 + b"2\n",
        "line 1 is not UTF-8",
    ),
    "JSON": ('[{"a": 1, "y": 0},\n {"a": 2, "y": 1}]', "its content is JSON"),
    "web page": ("<!DOCTYPE html><html>", "a web page"),
}


@pytest.mark.parametrize("what", TEXTS)
def test_bad_text(what: str) -> None:
    content, says = TEXTS[what]
    Path("bad.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    assert says in refused("bad.csv")


def test_a_row_without_an_end() -> None:
    Path("t.csv").write_text("a,y\n" + "1" * (17 << 20) + ",1\n")
    assert "a row is longer than 8 MiB" in refused("t.csv")


def test_a_name_that_says_tabs_where_there_are_none() -> None:
    GOOD.to_csv("t.tsv", index=False)
    assert "the header holds none" in refused("t.tsv")


@pytest.mark.parametrize("name", ["two\nlines", "form\x0cfeed", "line\u2028separator"])
def test_a_name_of_a_column_may_hold_what_ends_lines_elsewhere(name: str) -> None:
    GOOD.rename(columns={"a": name}).to_csv("t.csv", index=False)
    assert len(load("t.csv", "y").target) == len(GOOD)


def test_a_column_that_is_left_out_is_said_once() -> None:
    Path("t.csv").write_text("a,y\n" + "=cmd|x,0\n=cmd|x,1\n" * 9)
    assert refused("t.csv").endswith("Dropped, as every row has the same value: 'a'.")


def test_a_target_that_is_not_there() -> None:
    GOOD.rename(columns={"y": "label"}).to_csv("t.csv", index=False)
    assert "did you mean 'label'" in refused("t.csv", target="lable")


@pytest.mark.parametrize(
    ("column", "task", "says"),
    [
        (["u", "v", "u"], "regression", "row 2 (the header is row 1), column 'y': 'u'"),
        ([0.5, 1, 2], "classification", "0.5 is no class"),
        ([0, 1, 2], "binary", "3 classes"),
        ([0, 1, 1], "rank", "t: no task 'rank'"),
    ],
)
def test_a_task_that_the_target_does_not_fit(column: list[object], task: str, says: str) -> None:
    pd.DataFrame({"a": [1.5, 3, 2], "y": column}).to_csv("t.csv", index=False)
    with pytest.raises(
        InputError, match=says.removeprefix("t: ").replace("(", r"\(").replace(")", r"\)")
    ):
        load("t.csv", None, task)


class Trap:
    """Unpickling this creates a file."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch ran",)


@pytest.mark.parametrize("ending", ["csv", "tsv", "csv.gz", "parquet", "feather", "npz", "pkl"])
@pytest.mark.parametrize("protocol", [0, 5])
def test_a_pickle_in_disguise_is_not_opened(ending: str, protocol: int) -> None:
    trap = pickle.dumps(Trap(), protocol)
    Path(f"trap.{ending}").write_bytes(trap)
    message = refused(f"trap.{ending}")
    if protocol == 5:
        assert "pickle" in message
    pickle.loads(trap)  # the trap is real
    Path("ran").unlink()


def test_objects_in_an_archive_are_not_unpickled() -> None:
    np.savez("trap.npz", X=np.array([Trap(), Trap()], object), y=[0, 1])
    assert "pickled objects" in refused("trap.npz")
    with zipfile.ZipFile("torch.npz", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Trap()))
    assert "data.pkl" in refused("torch.npz")


@pytest.mark.parametrize("name", ["../../x.npy", "/x.npy", "a/../../x.npy", "..\\x.npy", "C:x.npy"])
def test_a_path_out_of_an_archive(name: str) -> None:
    with zipfile.ZipFile("out.npz", "w") as archive:
        archive.writestr(name, b"")
    says = refused("out.npz")
    assert repr(name) in says
    assert "write it anew" in says
    assert [path.name for path in Path().iterdir()] == ["out.npz"]


def test_ten_gigabytes_in_an_archive_are_refused_by_what_is_declared() -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10 * 2**27,)}
    )
    with (
        zipfile.ZipFile("bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("X.npy", "w", force_zip64=True) as member,
    ):
        member.write(header.getvalue())
        member._file_size = 10 * 2**30  # type: ignore[attr-defined]
    with zipfile.ZipFile("bomb.npz") as archive:
        assert archive.getinfo("X.npy").file_size == 10 * 2**30
    assert "10 GiB in memory, and at most 4 GiB" in refused("bomb.npz", target="X")


def test_an_array_that_declares_more_than_is_stored() -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (2**50,)}
    )
    with zipfile.ZipFile("lie.npz", "w") as archive:
        archive.writestr("X.npy", header.getvalue())
        archive.writestr("y.npy", header.getvalue())
    assert "'y' cannot be read (Unable to allocate 8.00 PiB" in refused("lie.npz")


DESCRIBED = "{'descr': %r, 'fortran_order': False, 'shape': %s}"


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("((((", "'X.npy' cannot be read"),  # each breaks another part of NumPy's parser
        ("[" * 9000, "'X.npy' cannot be read"),
        ("-" * 9000 + "1", "'X.npy' cannot be read"),
        ("{1: 2, 'a': 3}", "'X.npy' cannot be read"),
        ("{'descr': __import__('os').system('touch ran')}", "'X.npy' cannot be read"),
        (DESCRIBED % ("<f8", "(" + "9" * 5000 + ",)"), "'X.npy' cannot be read"),
        (DESCRIBED % ("<f8", "(-5,)"), "'y' cannot be read (negative dimensions"),
        (DESCRIBED % ("<f8", "(True,)"), "'y' cannot be read"),
        (DESCRIBED % ("<U0", "(9000000000000,)"), "values of type <U0"),
    ],
    ids=["open", "deep", "signs", "keys", "call", "digits", "negative", "true", "no width"],
)
def test_an_array_whose_header_is_an_attack(header: str, says: str) -> None:
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(64)
    with zipfile.ZipFile("t.npz", "w") as archive:
        archive.writestr("X.npy", member)
        archive.writestr("y.npy", member)
    assert says in refused("t.npz")


def test_an_archive_packed_by_another_method_and_damaged() -> None:
    content = io.BytesIO()
    np.save(content, np.arange(50.0))
    with zipfile.ZipFile("t.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("X.npy", content.getvalue())
        archive.writestr("y.npy", content.getvalue())
    whole = bytearray(Path("t.npz").read_bytes())
    whole[50:80] = b"\xff" * 30
    Path("t.npz").write_bytes(whole)
    assert "X.npy" in refused("t.npz")


@pytest.mark.parametrize("kind", ["npz", "csv", "parquet"])
def test_damage_anywhere_ends_in_an_answer_or_in_one_line(kind: str) -> None:
    rng = np.random.default_rng(1)
    name, (x, y) = f"t.{kind}", (rng.random(50), np.arange(50) % 2)
    if kind == "npz":
        np.savez_compressed(name, X=x, y=y)
    else:
        table = pd.DataFrame({"a": x, "b": pd.date_range("2020-01-01", periods=50), "y": y})
        table.to_csv(name, index=False) if kind == "csv" else table.to_parquet(name)
    whole = np.frombuffer(Path(name).read_bytes(), np.uint8)
    for _ in range(150):
        hurt = whole.copy()
        hurt[rng.integers(0, len(hurt), 3)] = rng.integers(0, 256, 3)
        Path(name).write_bytes(hurt.tobytes())
        with suppress(InputError):
            load(name)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST", 2**20)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("ending", ["csv", "csv.gz", "npz", "parquet", "feather"])
def test_what_unpacks_to_more_than_the_limit(ending: str) -> None:
    rows = 300_000
    zeros = pd.DataFrame({"a": np.zeros(rows), "y": np.zeros(rows, np.int8)})
    name = f"bomb.{ending}"
    if ending.startswith("csv"):
        zeros.to_csv(name, index=False)
    elif ending == "npz":
        np.savez_compressed(name, X=zeros["a"], y=zeros["y"])
    elif ending == "parquet":
        zeros.to_parquet(name)
    else:
        zeros.to_feather(name, compression="zstd")
    if ending != "csv":
        assert Path(name).stat().st_size < 2**18
    says = refused(name)
    assert "0.000977 GiB" in says
    assert "keep fewer rows or columns" in says


def idx(values: np.ndarray, kind: int = 8, shape: tuple[int, ...] | None = None) -> bytes:
    shape = values.shape if shape is None else shape
    head = struct.pack(f">BBBB{len(shape)}I", 0, 0, kind, len(shape), *shape)
    return head + values.tobytes()


PIXELS = np.arange(4 * 3 * 3, dtype=np.uint8).reshape(4, 3, 3)
LABELS = np.array([0, 1, 1, 0], np.uint8)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize(
    ("pixels", "labels", "says"),
    [
        (idx(PIXELS, shape=(100_000, 300, 300)), idx(LABELS), "would take 8.38 GiB"),
        (idx(PIXELS)[:-5], idx(LABELS), "31 bytes follow the header, which declares 36"),
        (idx(PIXELS) + b"x" * 9, idx(LABELS), "declare"),
        (idx(PIXELS), idx(LABELS[:3]), "do not go with images"),
        (idx(PIXELS), idx(LABELS)[:6], "ends too soon"),
        (idx(PIXELS[:0]), idx(LABELS), "declares no content"),
        (pickle.dumps(Trap()), idx(LABELS), "a pickle"),
        (idx(PIXELS), idx(LABELS * 0), "one class only"),
    ],
    ids=["huge", "short", "long", "labels", "header", "nothing", "pickle", "one class"],
)
def test_bad_idx_files(pixels: bytes, labels: bytes, says: str, ending: str) -> None:
    pack = gzip.compress if ending else bytes
    Path(f"t10k-images-idx3-ubyte{ending}").write_bytes(pack(pixels))
    Path(f"t10k-labels-idx1-ubyte{ending}").write_bytes(pack(labels))
    with pytest.raises(InputError, match=says):
        load(f"t10k-images-idx3-ubyte{ending}")


def test_idx_labels_that_are_missing() -> None:
    Path("train-images-idx3-ubyte").write_bytes(idx(PIXELS))
    assert "no file with the labels beside it" in refused("train-images-idx3-ubyte")


@pytest.mark.parametrize("ending", ["parquet", "feather"])
def test_broken_columnar_files(ending: str) -> None:
    table = pd.DataFrame({"a": np.arange(2000) * 1.5, "y": np.arange(2000) % 2})
    table.to_parquet("t.parquet") if ending == "parquet" else table.to_feather("t.feather")
    whole = Path(f"t.{ending}").read_bytes()
    for cut in (len(whole) // 2, len(whole) - 9, 12):
        Path(f"t.{ending}").write_bytes(whole[:cut])
        assert "get or write it anew" in refused(f"t.{ending}")
    rng = np.random.default_rng(0)
    for _ in range(60):  # damage anywhere ends in an answer or in one line
        hurt = np.frombuffer(whole, np.uint8).copy()
        hurt[rng.integers(8, len(hurt), 30)] = rng.integers(0, 256, 30)
        Path(f"t.{ending}").write_bytes(hurt.tobytes())
        with suppress(InputError):
            load(f"t.{ending}")


def test_a_type_that_no_loss_is_trained_on() -> None:
    pd.DataFrame({"a": [[1], [2]], "y": [0, 1]}).to_parquet("t.parquet")
    assert "column 'a' holds values of type list" in refused("t.parquet")


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.npz"])
def test_a_name_that_lies(name: str) -> None:
    GOOD.to_csv(name, index=False)
    assert "the name says" in refused(name)


def test_gzip_with_more_behind_it() -> None:
    Path("t.csv.gz").write_bytes(gzip.compress(b"a,y\n1,0\n2,1\n") + b"garbage!")
    assert "broken gzip" in refused("t.csv.gz")


@pytest.mark.parametrize("cut", [1000, 12, 3])
def test_broken_gzip(cut: int) -> None:
    text = "a,y\n" + "".join(
        f"{x},{i % 2}\n" for i, x in enumerate(np.random.default_rng(0).random(999))
    )
    Path("t.csv.gz").write_bytes(gzip.compress(text.encode())[:-cut])
    assert "broken gzip" in refused("t.csv.gz")


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"X": [[1.0, np.inf], [2, 3]], "y": [0, 1]}, "row 1, place [1]"),
        ({"X": np.zeros((3, 2)), "y": [0, 1]}, "with as many rows as the target"),
        ({"X": np.zeros((2, 2)), "y": [0, 1]}, "one value throughout"),
        ({"a": np.eye(2), "b": np.eye(2), "y": [0, 1]}, "more than one of the arrays"),
        ({"X": np.eye(2), "y": np.eye(2)}, "one value a row"),
        ({"X": np.eye(2), "y": [1j, 2]}, "numbers are read"),
        ({"X": [["a"], ["b"]], "y": [0, 1]}, "holds text"),
        ({"X": np.zeros((0, 2)), "y": np.zeros(0, int)}, "no rows"),
        ({"X": np.full((2, 1, 2, 2), np.nan), "y": [0, 1]}, "row 1, place [0, 0, 0]"),
    ],
)
def test_bad_arrays(arrays: dict[str, object], says: str) -> None:
    np.savez("t.npz", **arrays)  # type: ignore[arg-type]
    assert says in refused("t.npz")


def pictures(folder: Path = Path("pets")) -> Path:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for i in range(3):
            image = Image.fromarray(rng.integers(0, 256, (6, 5, 3)).astype(np.uint8))
            image.save(folder / name / f"{i}.png")
    return folder


def test_bad_images() -> None:
    folder = pictures()
    one = folder / "dog" / "1.png"
    whole = one.read_bytes()
    for content in (b"", whole[:60], b"%!PS-Adobe-3.0 EPSF-3.0\n", pickle.dumps(Trap()), b"text"):
        one.write_bytes(content)
        assert "1.png" in refused("pets")
    one.unlink()
    outside = Path("secret.png")
    outside.write_bytes(whole)
    one.symlink_to(outside.resolve())
    assert "leads out of" in refused("pets")
    one.unlink()
    Image.new("1", (10_000, 10_000)).save(one)
    assert "10000 × 10000 pixels" in refused("pets")
    one.unlink()
    Path("none").mkdir()
    assert "one folder for each class" in refused("none")


def test_what_is_no_file() -> None:
    os.mkfifo("pipe.csv")
    assert "not a regular file" in refused("pipe.csv")
    assert "did you mean digits" in refused("digit")
    assert "no such file" in refused("nothing.csv")
    with pytest.raises(InputError, match="cannot be read"):
        load("n" * 5000)
    Path("t.xlsx").write_bytes(b"PK\x03\x04")
    assert "a ZIP archive" in refused("t.xlsx")
    GOOD.to_csv("a\x1b[31m.dat", index=False)
    with pytest.raises(InputError) as caught:
        load("a\x1b[31m.dat")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("target", "task", "says"),
    [("x", None, "leave --target out"), (None, "regression", "for classification, not regression")],
)
def test_a_built_in_name_asked_for_otherwise(
    target: str | None, task: str | None, says: str
) -> None:
    assert says in refused("iris", target, task)


def test_a_class_smaller_than_the_folds() -> None:
    pd.DataFrame({"a": np.arange(9) * 1.5, "y": list("ppppppqqr")}).to_csv("t.csv", index=False)
    dataset = load("t.csv")
    dataset.require_members(1)
    with pytest.raises(InputError, match=r"too few rows for 5 folds in class 'q' \(2\), 'r' \(1\)"):
        dataset.require_members(5)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_an_arrow_file_is_read_no_further_than_it_fits(compression: str | None) -> None:
    rows = 50_000
    texts = pa.array(np.random.default_rng(0).choice(["x", "yy", "zzz"], rows))
    table = pa.table(
        {
            "zeros": np.zeros(rows),
            "codes": texts.dictionary_encode(),
            "text": texts,
            "gaps": pa.array([None if i % 3 else i for i in range(rows)]),
            "y": np.arange(rows) % 2,
        }
    )
    options = pa.ipc.IpcWriteOptions(compression=compression)
    for name, part in (("whole.arrow", table), ("part.arrow", table.slice(0, 9_000))):
        with pa.ipc.new_file(name, table.schema, options=options) as file:
            file.write_table(part, max_chunksize=4_000)
    assert "GiB in memory, and at most" in refused("whole.arrow")
    assert len(load("part.arrow").target) == 9_000


@pytest.mark.parametrize("length", [2**60, 2**40, -5, 0])
def test_an_arrow_file_that_lies_about_a_compressed_buffer(length: int) -> None:
    """Its first eight bytes say what it unpacks to."""
    table = pa.table({"a": np.arange(9999) * 1.5, "y": np.arange(9999) % 2})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file("t.arrow", table.schema, options=options) as file:
        file.write_table(table)
    whole = Path("t.arrow").read_bytes()
    true = struct.pack("<q", 8 * 9999)
    assert true in whole
    Path("t.arrow").write_bytes(whole.replace(true, struct.pack("<q", length)))
    assert "Arrow file cannot be read" in refused("t.arrow")


@pytest.mark.parametrize("what", ["ragged, short", "latin, late", "infinite", "one class"])
def test_the_command_says_one_line_and_leaves_nothing(
    what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content, says = TEXTS[what]
    Path("bad.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(SystemExit) as stopped:
        main(["compare", "bad.csv", "--target", "y"])
    assert stopped.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert len(err.splitlines()) == 1
    assert [path.name for path in Path().iterdir()] == ["bad.csv"]
