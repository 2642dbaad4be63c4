"""Which rows count: one function, against loops over drawn rows, and every door that asks it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lossmith
from lossmith.link.counting import Labels, count, counted, of_kept

CLASSES = 4


@st.composite
def batches(draw):
    """Rows with every reason to be dropped, some of them more than one."""
    n = draw(st.integers(1, 6))
    g = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    soft, ignored = draw(st.booleans()), draw(st.sampled_from([-100, -1, 2]))
    if soft:
        target = torch.rand(n, CLASSES, generator=g, dtype=torch.float64).round(decimals=1) + 0.1
        target[torch.rand(n, generator=g) < 0.4] = torch.tensor([0.0, 1.0, 0.0, 0.0]).double()
        target = target / target.sum(1, keepdim=True)
    else:
        target = torch.randint(0, CLASSES, (n,), generator=g)
        target[torch.rand(n, generator=g) < 0.3] = ignored
    mask = torch.rand(n, generator=g) < 0.7 if draw(st.booleans()) else None
    weight = torch.randint(0, 3, (n,), generator=g) / 2 if draw(st.booleans()) else None
    class_weight = torch.tensor([1.0, 0.0, 0.5, 2.0]) if draw(st.booleans()) else None
    return target, mask, weight, class_weight, ignored


@settings(deadline=None, derandomize=True, max_examples=120)
@given(batches())
def test_rows_one_by_one(batch):
    target, mask, weight, class_weight, ignored = batch
    soft = target.is_floating_point()
    labels = Labels(ignored, class_weight)
    found = count(
        target, target.shape[:1], torch.float64, mask, weight, labels=labels, axis=1
    )  # fmt: skip
    mass = found.mass(torch.float64)
    for row in range(len(target)):
        own = 1.0 if weight is None else float(weight[row])
        kept = (mask is None or bool(mask[row])) and own != 0
        label = target[row]
        kept = kept and (soft or int(label) != ignored)
        if class_weight is not None and kept:
            share = label if soft else torch.eye(CLASSES, dtype=torch.float64)[label]
            own *= float((share * class_weight.double()).sum())
        assert (1.0 if mass is None else float(mass[row])) == pytest.approx(own if kept else 0.0)
        dropped = found.keep is not None and not bool(found.keep[row])
        assert dropped == (not kept or own == 0)
        if soft:
            assert found.target[row].sum().item() == pytest.approx(1.0)
        else:
            assert 0 <= int(found.target[row]) < CLASSES or not dropped


@settings(deadline=None, derandomize=True, max_examples=40)
@given(batches())
def test_every_door_counts_alike(batch):
    """A loss, the mass known ahead, a linear head and the reference: one mass."""
    target, mask, weight, class_weight, ignored = batch
    if target.is_floating_point():
        ignored = -100
    n = len(target)
    z = torch.linspace(-1, 1, n * CLASSES, dtype=torch.float64).reshape(n, CLASSES)
    data = {"sample_weight": weight, "mask": mask}
    own = {"class_weight": class_weight, "ignore_index": ignored}
    _, mass = lossmith.cross_entropy.total(z, target, **data, **own)
    call = lossmith.cross_entropy.check(z, target, **data, **own)
    reference = counted(call, torch.float64).mass(torch.float64)
    masses = [
        float(n) if reference is None else reference.sum().item(),
        lossmith.mass_of("cross_entropy", target, **data, **own).item(),
        lossmith.linear_loss.total(z, torch.eye(CLASSES).double(), target, **data, **own)[1].item(),
    ]
    assert masses == pytest.approx([mass.item()] * 3)


def test_what_is_no_label_stays_in_until_it_is_refused():
    weights = torch.tensor([0.0, 1.0])
    for target in (torch.tensor([0, 7]), torch.tensor([[1.0, 0.0], [math.nan, 1.0]])):
        labels = Labels(-100, weights, trusted=False)
        found = count(target, (2,), torch.float32, labels=labels, axis=1)
        assert found.keep.tolist() == [False, True]


def test_flags_of_dropped_rows_are_left_out():
    z = torch.zeros(3, 2)
    call = lossmith.cross_entropy.check(
        z, torch.zeros(3).long(), sample_weight=torch.tensor([1.0, 0.0, 1.0]),
        mask=torch.tensor([True, True, False]),
    )  # fmt: skip
    assert of_kept(call, torch.ones(3, dtype=torch.bool)).tolist() == [True, False, False]
    assert of_kept(call, torch.ones(3, 2, dtype=torch.bool)).sum(1).tolist() == [2, 0, 0]
