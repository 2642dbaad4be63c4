"""Drawn: a row that is dropped may hold anything at all, and reaches nothing in any face.

Illegal labels, NaN and infinities included; dropped by weight 0, a mask, its index or the weight of
its class. A row that counts may not.
"""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lossmith
from engine import cases
from face import faces
from face.faces import CLASSES
from lossmith import LabelError

ROWS = 5
nan, inf = math.nan, math.inf
WILD = st.sampled_from([nan, inf, -inf, 3e38, 0.0, -1.0])
KINDS = ("index", "int8", "uint8", "uint16", "soft")
WAYS = ("mask", "sample_weight", "ignore_index", "class_weight")


def legal(name, kind, draw):
    """A batch in float64 whose labels are right."""
    if not faces.classes(name):
        z, target = cases.elementwise(name, ROWS, draw)
        return z.float(), target.float()
    z, target = cases.rows(name, (ROWS, CLASSES), draw)
    target = target % 3  # class 3 is for rows that are dropped by their class weight
    if kind == "soft":
        soft = cases.soft_labels((ROWS, CLASSES), draw).float()
        soft[:, 3] = 0.0
        return z.float(), soft / soft.sum(1, keepdim=True)
    dtypes = {"int8": torch.int8, "uint8": torch.uint8, "uint16": torch.uint16}
    return z.float(), target.to(dtypes.get(kind, torch.int64))


def dropped(z, target, way, rows, classes, batch, given_settings):
    """The batch with these rows dropped one way or another; what they hold follows."""
    keep = torch.ones(ROWS, dtype=torch.bool)
    keep[rows] = False
    batch |= {"prediction": z.clone(), "target": target.clone()}
    if way == "mask":
        batch["mask"] = keep
    elif way == "sample_weight":
        batch["sample_weight"] = torch.where(keep, 1.5, 0.0)
    elif way == "ignore_index":
        batch["target"][~keep] = given_settings["ignore_index"] = 3
    elif classes and way == "class_weight":
        given_settings["class_weight"] = torch.tensor([1.0, 2.0, 0.5, 0.0])
        hot = torch.tensor([0.0, 0.0, 0.0, 1.0])
        batch["target"][~keep] = hot if target.is_floating_point() else 3
    return keep


def spoil(batch, way, keep, wild, label):
    """Whatever the dropped rows held, they hold something else now."""
    bad = ~keep
    batch["prediction"] = batch["prediction"].clone()
    batch["prediction"][bad] = wild
    if way in ("mask", "sample_weight"):
        target = batch["target"] = batch["target"].clone()
        if target.is_floating_point():
            target[bad] = wild
        else:
            room = torch.iinfo(target.dtype)
            # Some dtypes cannot be written to by index.
            wide = torch.where(bad, max(room.min, min(room.max, label)), target.long())
            batch["target"] = wide.to(target.dtype)
    if way == "mask" and "sample_weight" in batch:
        batch["sample_weight"] = torch.where(keep, batch["sample_weight"], nan)


def results(name, face, batch, given_settings):
    """What a face gives, with the gradient of its first result."""
    batch = dict(batch)
    leaf = batch["prediction"] = batch["prediction"].clone().requires_grad_()
    found = faces.faces(name)[face](batch, given_settings)
    first = next(iter(found.values()))
    if first.requires_grad:
        (found["slope"],) = torch.autograd.grad(first.sum(), leaf)
    return found


@settings(deadline=None, derandomize=True, max_examples=120)
@given(
    st.sampled_from(faces.LOSSES), st.sampled_from(KINDS), st.sampled_from(WAYS),
    st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=ROWS - 1, unique=True),
    WILD, st.sampled_from([-1, 4, 9, 100, 200, 255, -128]), st.integers(0, 3),
)  # fmt: skip
def test_of_a_dropped_row_nothing_comes_through(name, kind, way, rows, wild, label, draw):
    classes = faces.classes(name)
    if not classes and (kind != "soft" or way in ("ignore_index", "class_weight")):
        kind, way = "soft", "mask" if way == "ignore_index" else "sample_weight"
    if way == "ignore_index" and kind == "soft":
        way = "mask"
    z, target = legal(name, kind, draw)
    batch, chosen = {}, {}
    if kind == "uint16":
        target = target.int()
    keep = dropped(z, target, way, rows, classes, batch, chosen)
    if kind == "uint16":
        batch["target"] = batch["target"].to(torch.uint16)
    wildly = dict(batch)
    spoil(wildly, way, keep, wild, label)
    for face in faces.faces(name):
        if face == "check":
            continue
        with cases.on_reference():
            expected = results(name, face, batch, chosen)
            found = results(name, face, wildly, chosen)
        for what, value in expected.items():
            torch.testing.assert_close(
                found[what], value, rtol=0, atol=0, equal_nan=True,
                msg=lambda m, at=f"{name}: {face}: {what} by {way}": f"{at}: {m}",
            )  # fmt: skip
            assert value.isfinite().all()
        for what in ("slope", "gradient", "hessian"):
            if what in found:
                assert not found[what][~keep].any(), (name, face, what)


@settings(deadline=None, derandomize=True, max_examples=80)
@given(
    st.sampled_from([n for n in faces.LOSSES if n not in cases.RESIDUAL]),
    st.sampled_from(KINDS), st.integers(0, ROWS - 1), st.integers(0, 3),
)  # fmt: skip
def test_a_label_that_counts_is_refused_by_all_faces(name, kind, row, draw):
    """But for the mass of a binary loss and of classes without weights: any label weighs 1."""
    classes = faces.classes(name)
    z, target = legal(name, kind if classes else "soft", draw)
    wide = target.long() if not target.is_floating_point() else target.clone()
    wide[row] = 4 if classes and kind != "soft" else -1
    target = wide.to(target.dtype)
    chosen = {"class_weight": torch.ones(CLASSES)} if classes else {}
    for face, call in faces.faces(name).items():
        if face == "check" or (face == "mass_of" and not classes):
            continue
        with cases.on_reference(), pytest.raises(LabelError):
            call({"prediction": z, "target": target}, chosen)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_narrow_labels_meet_wide_numbers(dtype):
    """200 is -56 in eight bits, and 2**32 is 0 in thirty-two: neither comparison may wrap."""
    z, y = torch.randn(3, 300), torch.tensor([0, 1, 100])
    expected = lossmith.cross_entropy(z, y)
    for ignored in (2**32, 2**16, 2**8, -(2**8), -(2**16) + 1, 356, 2**63 - 1):
        for face in ("function, mean", "Module", "Objective", "class_parallel"):
            call = faces.faces("cross_entropy")[face]
            with cases.on_reference():
                found = call({"prediction": z, "target": y.to(dtype)}, {"ignore_index": ignored})
            torch.testing.assert_close(found["mean"], expected)
        given = {"ignore_index": ignored}
        head = lossmith.linear_loss(z, torch.eye(300), y.to(dtype), **given)
        torch.testing.assert_close(head, expected)
        assert lossmith.mass_of(lossmith.CrossEntropy(**given), y.to(dtype)) == 3
        assert lossmith.cross_entropy.total(z, y.to(dtype), **given)[1] == 3
        with pytest.raises(LabelError, match=r"target\[0\] = 100 is no class"):
            lossmith.cross_entropy(z[:, :50], torch.tensor([100, 1, 2], dtype=dtype), **given)
