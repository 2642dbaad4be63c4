"""Checks that look at numbers: class weights, distributions, probabilities given as logits."""

import warnings

import pytest
import torch

import lossmith
from lossmith import DeviceError, LabelError, ParameterError, ShapeError
from lossmith.face import values

Z = torch.tensor([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]])
Y = torch.tensor([0, 2])
P = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
nan = float("nan")


@pytest.mark.parametrize("argument", ["class_weight", "alpha"])
def test_weights_of_classes(argument):
    for wrong, shown in ((-0.5, "-0.5"), (nan, "nan"), (float("inf"), "inf")):
        weight = torch.tensor([1.0, wrong, 1.0])
        with pytest.raises(ParameterError) as caught:
            lossmith.focal(Z, Y, **{argument: weight})
        for part in ("focal", f"{argument}[1] = {shown}", "not negative", "Use 0"):
            assert part in str(caught.value)
    weight = torch.ones(3)
    lossmith.focal(Z, Y, **{argument: weight})
    weight[2] = -1.0  # seen, though this very tensor was found right before
    with pytest.raises(ParameterError, match=rf"{argument}\[2\] = -1"):
        lossmith.focal(Z, Y, **{argument: weight})
    with pytest.raises(ShapeError, match=rf"{argument} has shape \(4,\).*3 classes"):
        lossmith.focal(Z, Y, **{argument: torch.ones(4)})


@pytest.mark.parametrize(
    ("row", "dtype", "parts"),
    [
        ([0.5, 0.3, 0.203], torch.float32, ["row [0] sums to 1.003", "0.001", "target.sum(1"]),
        ([0.5, 0.3, 0.22], torch.bfloat16, ["row [0] sums to 1.0", "0.01"]),
        ([0.5, 0.6, -0.1], torch.float32, ["target[0, 2] = -0.1", "non-negative", "softmax"]),
        ([0.5, 0.5, nan], torch.float32, ["target[0, 2] = nan"]),
    ],
)
@pytest.mark.parametrize("loss", ["cross_entropy", "OneVsRest"])  # a kernel, the reference
def test_distributions(loss, row, dtype, parts):
    function = lossmith.OneVsRest("hinge") if loss == "OneVsRest" else lossmith.cross_entropy
    soft = torch.tensor([row, [0.2, 0.3, 0.5]], dtype=dtype)
    with pytest.raises(LabelError) as caught:
        function(Z, soft)
    for part in parts:
        assert part in str(caught.value)
    rounded = torch.tensor([[0.5, 0.3, 0.2005], [0.2, 0.3, 0.5]], dtype=dtype)
    function(Z, rounded)


@pytest.fixture
def fresh(monkeypatch):
    monkeypatch.setattr(values, "_calls", {})


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("logits", "target"),
    [(P, Y), (P[None].movedim(-1, 1), Y[None]), (P.bfloat16(), Y), (P, P)],
)
def test_probabilities_as_logits_warn_once(logits, target):
    with pytest.warns(UserWarning, match=r"cross_entropy.*look like probabilities.*before the"):
        lossmith.cross_entropy(logits, target)
    for _ in range(9):
        lossmith.cross_entropy(logits, target)  # warnings are errors in these tests
    with pytest.warns(UserWarning, match="focal"):
        lossmith.focal(logits, target)


@pytest.mark.usefixtures("fresh")
def test_scores_do_not_warn():
    for logits in (
        Z,
        P + 0.01,
        P * torch.tensor([[1.0], [2.0]]),
        P[:1],
        P - 0.25,
        P[:, :1] * 0 + 1,
    ):
        lossmith.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64))


@pytest.mark.usefixtures("fresh")
def test_a_training_loop_is_not_looked_at_each_time(monkeypatch):
    looked = []
    monkeypatch.setattr(values, "readable", lambda z: bool(looked.append(z)))
    for _ in range(100):
        lossmith.cross_entropy(Z, Y)
    assert len(looked) == 7  # 1, 2, 4 … 64


def test_devices():
    meta = {"device": "meta"}
    for argument, call in {
        "target": lambda: lossmith.focal(Z, Y.to("meta")),
        "class_weight": lambda: lossmith.focal(Z, Y, class_weight=torch.ones(3, **meta)),
        "alpha": lambda: lossmith.focal(Z, Y, alpha=torch.ones(3, **meta)),
        "sample_weight": lambda: lossmith.focal(Z, Y, sample_weight=torch.ones(2, **meta)),
        "mask": lambda: lossmith.focal(Z, Y, mask=torch.ones(2, **meta) > 0),
    }.items():
        with pytest.raises(DeviceError) as caught:
            call()
        for part in ("focal", f"{argument} is on meta", "cpu", ".to("):
            assert part in str(caught.value)


def test_other_devices_are_not_waited_for():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        on = {"device": "meta"}
        value = lossmith.focal(
            torch.ones(2, 3, **on), torch.zeros(2, dtype=torch.int64, **on),
            class_weight=torch.ones(3, **on), alpha=torch.ones(3, **on),
        )  # fmt: skip
    assert value.device.type == "meta"
