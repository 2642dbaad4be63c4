"""Logits of -inf forbid a class: right values, finite gradients, and no label may lie there."""

import pytest
import torch
import torch.nn.functional as F

import lossmith
from engine import cases
from lossmith import LabelError

inf = float("inf")
MARGINS = [f"{link}({m!r})" for link in ("CrammerSinger", "OneVsRest") for m in cases.MARGIN]
Z = torch.tensor([[1.0, -inf, 2.0, 0.5], [0.3, 1.0, -inf, -inf]], dtype=torch.float64)
LABEL = torch.tensor([2, 0])
SOFT = torch.tensor([[0.2, 0, 0.7, 0.1], [0.4, 0.6, 0, 0]], dtype=torch.float64)


def run(name, engine, z, target, **options):
    z = z.clone().requires_grad_()
    loss = cases.function(name)
    if engine == "cpu":
        values = loss(z, target, reduction="none", **options)
    else:
        with cases.on_reference():
            values = loss(z, target, reduction="none", **options)
    return values.detach(), cases.gradient(values.sum(), z)


@pytest.mark.parametrize("engine", ["cpu", "reference"])
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}])
@pytest.mark.parametrize("target", [LABEL, SOFT], ids=["index", "soft"])
@pytest.mark.parametrize("name", cases.PROBABILITY)
def test_as_without_the_class(name, target, options, engine):
    if engine == "cpu" and name != "focal":
        pytest.skip("kernels differ by formula in one line; the matrix draws the others")
    values, slopes = run(name, engine, Z, target, **options)
    for row, allowed in enumerate(([0, 2, 3], [0, 1])):
        own = target[row : row + 1]
        own = own[:, allowed] if own.dim() == 2 else torch.tensor([allowed.index(int(own))])
        value, slope = run(name, "reference", Z[row : row + 1, allowed], own, **options)
        torch.testing.assert_close(values[row], value[0])
        torch.testing.assert_close(slopes[row, allowed], slope[0])
    assert (slopes[-inf == Z] == 0).all()


@pytest.mark.parametrize("engine", ["cpu", "reference"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_many_and_few_classes_and_no_rival(dtype, engine):
    """Panels and rows, and the one class allowed is certain whatever its score."""
    for classes in (3, 200):
        z = torch.full((70, classes), -inf, dtype=dtype)
        z[:, 1] = torch.linspace(-2e4, 2e4, 70).to(dtype)
        target = torch.ones(70, dtype=torch.int64)
        values, slopes = run("focal", engine, z, target)
        assert (values == 0).all()
        assert (slopes == 0).all()


@pytest.mark.parametrize("engine", ["reference"])
@pytest.mark.parametrize("target", [LABEL, SOFT], ids=["index", "soft"])
@pytest.mark.parametrize("name", MARGINS)
def test_behind_margin_links(name, target, engine):
    alone = torch.tensor([[-inf, 0.4, -inf, -inf]], dtype=torch.float64)
    values, slopes = run(name, engine, torch.cat([Z, alone]), _and(target, 1))
    assert torch.isfinite(values).all(), values
    assert torch.isfinite(slopes).all(), slopes
    assert (slopes[:2][-inf == Z] == 0).all()


@pytest.mark.parametrize("name", ["CrammerSinger('logistic')", "OneVsRest('binary_focal')"])
def test_kernels_behind_margin_links(name):
    alone = torch.tensor([[-inf, 0.4, -inf, -inf]], dtype=torch.float64)
    args = torch.cat([Z, alone]), _and(LABEL, 1)
    for got, want in zip(run(name, "cpu", *args), run(name, "reference", *args), strict=True):
        torch.testing.assert_close(got, want)


def _and(target, label):
    if target.dim() == 1:
        return torch.cat([target, torch.tensor([label])])
    return torch.cat([target, F.one_hot(torch.tensor([label]), 4).double()])


NONE = torch.full((2, 4), -inf, dtype=torch.float64)
NONE[0] = Z[0]
WRONG = {
    "index": (Z, torch.tensor([1, 0]), ["target[0] = 1", "-inf", "mask="]),
    "index in rows": (Z.repeat(1, 50), torch.tensor([0, 3]), ["target[1] = 3", "-inf"]),
    "soft": (Z, SOFT.flip(1), ["target[0, 1]", "0.7", "-inf", "mask="]),
    "no class, index": (NONE, LABEL, ["every logit of row [1]", "mask="]),
    "no class, soft": (NONE, SOFT, ["every logit of row [1]", "mask="]),
}


@pytest.mark.parametrize("engine", ["cpu", "reference"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("case", WRONG)
def test_a_label_there_is_an_error(case, smoothing, engine):
    z, target, parts = WRONG[case]
    with pytest.raises(LabelError) as caught:
        run("cross_entropy", engine, z, target, label_smoothing=smoothing)
    for part in ["cross_entropy", *parts]:
        assert part in str(caught.value)


@pytest.mark.parametrize("engine", ["cpu", "reference"])
@pytest.mark.parametrize("target", [LABEL, SOFT], ids=["index", "soft"])
def test_dropped_rows_are_not_asked(target, engine):
    keep = torch.tensor([True, False])
    for options in (
        {"mask": keep},
        {"sample_weight": keep.double()},
        {"class_weight": torch.tensor([0.0, 0.0, 1.0, 0.0])},
    ):
        values, slopes = run("focal", engine, NONE, target, **options)
        assert values[1] == 0
        assert torch.isfinite(slopes).all()


def test_elsewhere_the_truth_is_infinite():
    value = torch.func.vmap(lambda z, t: lossmith.cross_entropy(z[None], t[None]))(
        torch.cat([Z, NONE[1:]]), torch.tensor([1, 0, 0])
    )
    assert value[0] == inf
    assert value[2] == inf
    assert value[1] < inf
