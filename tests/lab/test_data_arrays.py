"""Archives of arrays, IDX pairs and folders of images: what was written is what is read."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lab.test_data_bad_files import idx, pictures
from lossmith.lab.data.load import load

RNG = np.random.default_rng(3)
TABLE = RNG.normal(size=(30, 4))
PIXELS = RNG.integers(0, 256, (30, 6, 5)).astype(np.uint8)
COLORS = RNG.integers(0, 256, (30, 6, 5, 3)).astype(np.uint8)
LABELS = np.arange(30) % 3


ORDERS = st.sampled_from("<>")
NUMBERS = st.sampled_from(["i2", "i4", "i8", "u2", "u4", "u8", "f2", "f4", "f8"])


@settings(derandomize=True, deadline=None, max_examples=60)
@given(ORDERS, NUMBERS, ORDERS, NUMBERS | st.sampled_from(["U3", "S3", "b1"]), st.booleans())
def test_an_archive_in_the_byte_order_of_any_machine(
    tmp_path_factory: pytest.TempPathFactory, one: str, of_source: str, two: str, of_target: str,
    columns_first: bool,
) -> None:  # fmt: skip
    path = tmp_path_factory.mktemp("order") / "data.npz"
    labels = LABELS % 2
    source = np.array(np.round(10 * abs(TABLE)), one + of_source)
    source = np.asfortranarray(source) if columns_first else source
    np.savez(path, X=source, y=labels.astype(two + of_target))
    found = load(str(path), None, "binary")
    assert (found.target == labels).all()
    assert found.source.dtype.isnative
    assert (found.source == np.round(10 * abs(TABLE))).all()
    (rows,) = found.arrays(np.arange(30))
    assert np.isfinite(rows).all()


@pytest.mark.parametrize(
    ("arrays", "target", "source"),
    [
        ({"X": TABLE, "y": LABELS}, None, TABLE),
        ({"features": TABLE, "extra": TABLE, "target": LABELS[:, None]}, None, TABLE),
        (
            {"x_train": PIXELS, "y_train": LABELS, "x_test": PIXELS, "y_test": LABELS},
            None,
            PIXELS[:, None],
        ),
        (
            {"train_images": COLORS, "train_labels": LABELS},
            "train_labels",
            COLORS.transpose(0, 3, 1, 2),
        ),
        (
            {"images": COLORS.transpose(0, 3, 1, 2), "label": LABELS.astype(str)},
            None,
            COLORS.transpose(0, 3, 1, 2),
        ),
        ({"a": TABLE[:, 0], "class": LABELS.astype("S")}, None, TABLE[:, :1]),
    ],
)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archives(
    tmp_path: Path, arrays: dict, target: str | None, source: np.ndarray, save
) -> None:
    save(tmp_path / "t.npz", **arrays)
    dataset = load(str(tmp_path / "t.npz"), target)
    np.testing.assert_allclose(dataset.source, source, rtol=1e-6)
    np.testing.assert_array_equal(dataset.target, LABELS)
    assert dataset.classes == ("0", "1", "2")
    assert dataset.images == (source.ndim == 4)
    assert dataset.shape == source.shape


def test_an_archive_with_gaps_constants_and_rows_without_a_target(tmp_path: Path) -> None:
    values = TABLE.astype(np.float32).copy()
    values[:, 1] = 7
    values[4, 2] = np.nan
    target = RNG.normal(size=30)
    target[[2, 5]] = np.nan
    np.savez(tmp_path / "t.npz", X=values, y=target)
    dataset = load(str(tmp_path / "t.npz"))
    keep = ~np.isnan(target)
    np.testing.assert_array_equal(dataset.source, values[keep][:, [0, 2, 3]])
    np.testing.assert_array_equal(dataset.target, target[keep])
    assert dataset.task == "regression"
    assert "1 columns have one value throughout and are dropped: 2." in dataset.notes
    assert "2 of 30 rows have no target 'y' and are left out." in dataset.notes
    train, test = dataset.arrays(np.arange(20), np.arange(20, 28))
    assert train.shape == (20, 4)  # a column says where the gap is
    assert np.isfinite(test).all()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("by", ["images", "labels", "folder"])
def test_idx_pairs(tmp_path: Path, pack, by: str) -> None:
    ending = ".gz" if pack is gzip.compress else ""
    both = {}
    for part, start in (("train", 0), ("t10k", 10)):
        both[part, "images"] = tmp_path / f"{part}-images-idx3-ubyte{ending}"
        both[part, "labels"] = tmp_path / f"{part}-labels-idx1-ubyte{ending}"
        both[part, "images"].write_bytes(pack(idx(PIXELS[start:])))
        both[part, "labels"].write_bytes(pack(idx(LABELS[start:].astype(np.uint8))))
    if by == "folder":
        dataset, start = load(str(tmp_path)), 0
    else:
        dataset, start = load(str(both["t10k", by])), 10
    np.testing.assert_array_equal(dataset.source, PIXELS[start:, None])
    np.testing.assert_array_equal(dataset.target, LABELS[start:])


@pytest.mark.parametrize(
    ("code", "kind"), [(9, ">i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")]
)
def test_idx_types(tmp_path: Path, code: int, kind: str) -> None:
    values = (100 * TABLE).astype(kind)
    (tmp_path / "a-images-idx2").write_bytes(idx(values, code))
    (tmp_path / "a-labels-idx1").write_bytes(idx(LABELS.astype(np.uint8)))
    dataset = load(str(tmp_path / "a-images-idx2"))
    np.testing.assert_allclose(dataset.source, values.astype(np.float32))


def test_a_folder_of_images(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pets")
    (folder / "empty").mkdir()
    (folder / "cat" / "notes.txt").write_text("no image")
    (folder / "cat" / ".hidden.png").write_text("no image")
    dataset = load(str(folder))
    assert dataset.classes == ("cat", "dog")
    assert dataset.task == "binary"
    assert dataset.shape == (6, 3, 6, 5)
    for row, (name, i) in enumerate((name, i) for name in ("cat", "dog") for i in range(3)):
        with Image.open(folder / name / f"{i}.png") as image:
            np.testing.assert_array_equal(dataset.source[row], np.asarray(image).transpose(2, 0, 1))
    assert "Folders without images are no classes: 'empty'." in dataset.notes
    assert "1 files are no images by their names and are left out." in dataset.notes
    Image.new("L", (50, 80), 9).save(folder / "dog" / "big.jpg")
    scaled = load(str(folder))
    assert scaled.shape == (7, 3, 6, 5)
    assert (scaled.source[-1] == 9).all() or (scaled.source == 9).all(axis=(1, 2, 3)).any()
    assert any("come in 2 sizes" in note for note in scaled.notes)


def test_gray_images_have_one_channel(tmp_path: Path) -> None:
    for i, place in enumerate(("a", "a", "b", "b")):
        (tmp_path / place).mkdir(exist_ok=True)
        Image.fromarray(PIXELS[i]).save(tmp_path / place / f"{i}.png")
    dataset = load(str(tmp_path))
    np.testing.assert_array_equal(dataset.source[:, 0], PIXELS[:4])
