"""Each bad input gets its own error: the right kind, what was given, what is needed."""

import re

import pytest
import torch

import lossmith
from lossmith import (
    DeviceError,
    DtypeError,
    InputError,
    LabelError,
    ParameterError,
    ShapeError,
)

Z = torch.tensor([0.5, -1.0, 2.0])
LOGITS = torch.tensor([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]])
nan = float("nan")


def ones(*shape, **options):
    return torch.ones(*shape, **options)


def index(*values, dtype=torch.int64):
    return torch.tensor(values, dtype=dtype)


# name: (call, kind, what the message says)
CASES = {
    "N against N, 1": (
        lambda: lossmith.huber(Z, ones(3, 1)), ShapeError, ["huber", "(3,)", "(3, 1)", "broadcast"],
    ),
    "N, 1 against N": (
        lambda: lossmith.binary_focal(ones(3, 1), ones(3)), ShapeError, ["(3, 1)", "(3,)"],
    ),
    "a scalar target": (lambda: lossmith.l2(Z, torch.tensor(0.0)), ShapeError, ["(3,)", "()"]),
    "integer predictions": (
        lambda: lossmith.l1(index(1, 2), ones(2)), DtypeError, ["l1", "int64", ".float()"],
    ),
    "boolean predictions": (
        lambda: lossmith.hinge(Z > 0, ones(3)), DtypeError, ["hinge", "bool"],
    ),
    "a list": (
        lambda: lossmith.l1([0.5], ones(1)), DtypeError,
        ["prediction", "list", "as_tensor"],
    ),
    "a list of targets": (lambda: lossmith.l1(ones(1), [0.5]), DtypeError, ["target", "list"]),
    "complex predictions": (
        lambda: lossmith.l2(Z.to(torch.complex64), Z), DtypeError, ["l2", "complex64", "real"],
    ),
    "complex targets": (
        lambda: lossmith.l2(Z, Z.to(torch.complex64)), DtypeError, ["target", "complex64"],
    ),
    "a label below 0": (
        lambda: lossmith.logistic(Z, torch.tensor([1.0, -1.0, 0.0])), LabelError,
        ["logistic", "target[1]", "-1", "[0, 1]", "signed"],
    ),
    "a label above 1": (
        lambda: lossmith.binary_cross_entropy(Z, torch.tensor([1.0, 0.0, 2.0])), LabelError,
        ["target[2]", "2", "[0, 1]"],
    ),
    "an integer label of 2": (
        lambda: lossmith.hinge(Z, index(0, 1, 2)), LabelError, ["target[2]", "2", "0 or 1"],
    ),
    "a NaN label": (
        lambda: lossmith.logistic(Z, torch.tensor([1.0, nan, 0.0])), LabelError,
        ["target[1]", "nan"],
    ),
    "a signed label of 0": (
        lambda: lossmith.hinge(Z, torch.tensor([1.0, 0.0, -1.0]), labels="signed"), LabelError,
        ["target[1]", "0", "-1 or 1"],
    ),
    "a class too large": (
        lambda: lossmith.cross_entropy(LOGITS, index(0, 3)), LabelError,
        ["cross_entropy", "target[1]", "3", "0 to 2", "ignore_index"],
    ),
    "a negative class": (
        lambda: lossmith.focal(LOGITS, index(-1, 0)), LabelError, ["target[0]", "-1", "0 to 2"],
    ),
    "a class too large behind a link": (
        lambda: lossmith.CrammerSinger("hinge")(LOGITS, index(0, 7)), LabelError,
        ["target[1]", "7"],
    ),
    "a distribution that does not sum to 1": (
        lambda: lossmith.cross_entropy(LOGITS, ones(2, 3)), LabelError, ["row", "sum to 1"],
    ),
    "a negative distribution": (
        lambda: lossmith.cross_entropy(LOGITS, torch.tensor([[1.5, -0.5, 0.0], [1, 0, 0]])),
        LabelError, ["non-negative", "-0.5"],
    ),
    "a NaN parameter": (
        lambda: lossmith.huber(Z, Z, delta=nan), ParameterError,
        ["huber", "delta", "nan", "(0, ∞)"],
    ),
    "delta 0": (lambda: lossmith.huber(Z, Z, 0.0), ParameterError, ["delta = 0", "(0, ∞)"]),
    "delta below 0": (
        lambda: lossmith.pseudo_huber(Z, Z, -1), ParameterError, ["delta = -1", "(0, ∞)"],
    ),
    "beta 0": (lambda: lossmith.smooth_l1(Z, Z, beta=0.0), ParameterError, ["beta = 0"]),
    "tau 0": (lambda: lossmith.pinball(Z, Z, tau=0.0), ParameterError, ["tau = 0", "(0, 1)"]),
    "tau 1": (lambda: lossmith.expectile(Z, Z, tau=1.0), ParameterError, ["tau = 1", "(0, 1)"]),
    "gamma below 0": (
        lambda: lossmith.focal(LOGITS, index(0, 1), gamma=-0.5), ParameterError, ["gamma = -0.5"],
    ),
    "an infinite parameter": (
        lambda: lossmith.cauchy(Z, Z, c=float("inf")), ParameterError, ["c = inf"],
    ),
    "a parameter in words": (
        lambda: lossmith.huber(Z, Z, delta="1"), ParameterError, ["delta", "str"],
    ),
    "q above 1": (
        lambda: lossmith.generalized_cross_entropy(LOGITS, index(0, 1), q=1.5), ParameterError,
        ["q = 1.5", "(0, 1]"],
    ),
    "alpha above 1": (
        lambda: lossmith.binary_focal(Z, ones(3), alpha=1.5), ParameterError, ["alpha", "[0, 1]"],
    ),
    "smoothing of 1": (
        lambda: lossmith.cross_entropy(LOGITS, index(0, 1), label_smoothing=1.0), ParameterError,
        ["label_smoothing", "[0, 1)"],
    ),
    "negative smoothing": (
        lambda: lossmith.cross_entropy(LOGITS, index(0, 1), label_smoothing=-0.1), ParameterError,
        ["label_smoothing", "-0.1"],
    ),
    "NaN smoothing": (
        lambda: lossmith.cross_entropy(LOGITS, index(0, 1), label_smoothing=nan), ParameterError,
        ["label_smoothing", "nan"],
    ),
    "devices": (
        lambda: lossmith.l1(Z, ones(3, device="meta")), DeviceError, ["target", "meta", "cpu"],
    ),
    "a weight elsewhere": (
        lambda: lossmith.l1(Z, Z, sample_weight=ones(3, device="meta")), DeviceError,
        ["sample_weight", "meta"],
    ),
    "labels that want a gradient": (
        lambda: lossmith.logistic(Z, ones(3, requires_grad=True)), InputError,
        ["target requires a gradient", "detach"],
    ),
    "soft classes that want a gradient": (
        lambda: lossmith.cross_entropy(LOGITS, (ones(2, 3) / 3).requires_grad_()), InputError,
        ["target requires a gradient"],
    ),
    "a weight of the wrong length": (
        lambda: lossmith.l1(Z, Z, sample_weight=ones(2)), ShapeError,
        ["sample_weight", "(2,)", "(3,)"],
    ),
    "a weight per class and row": (
        lambda: lossmith.cross_entropy(LOGITS, index(0, 1), sample_weight=ones(2, 3)), ShapeError,
        ["sample_weight", "(2, 3)", "(2,)"],
    ),
    "a weight that is a number": (
        lambda: lossmith.l1(Z, Z, sample_weight=2.0), DtypeError,
        ["sample_weight", "float"],
    ),
    "a mask of numbers": (
        lambda: lossmith.l1(Z, Z, mask=ones(3)), DtypeError, ["mask", "float32", "boolean"],
    ),
    "a boolean weight": (
        lambda: lossmith.l1(Z, Z, sample_weight=Z > 0), DtypeError, ["sample_weight", "bool"],
    ),
    "class weights of the wrong length": (
        lambda: lossmith.cross_entropy(LOGITS, index(0, 1), class_weight=ones(2)), ShapeError,
        ["class_weight", "(2,)", "3 classes"],
    ),
    "class weights as a list": (
        lambda: lossmith.cross_entropy(LOGITS, index(0, 1), class_weight=[1, 1, 1]), DtypeError,
        ["class_weight", "list"],
    ),
    "logits of one dimension": (
        lambda: lossmith.cross_entropy(Z, index(1)), ShapeError, ["logits", "(3,)", "(N, C)"],
    ),
    "indices of the logits' shape": (
        lambda: lossmith.cross_entropy(LOGITS, torch.zeros(2, 3, dtype=torch.int64)), ShapeError,
        ["(2, 3)", "(2,)"],
    ),
    "floating class indices": (
        lambda: lossmith.cross_entropy(LOGITS, torch.tensor([0.0, 1.0])), ShapeError,
        ["distribution", "(2, 3)", "long()"],
    ),
    "boolean classes": (
        lambda: lossmith.cross_entropy(LOGITS, torch.tensor([True, False])), DtypeError,
        ["boolean"],
    ),
    "no classes": (
        lambda: lossmith.cross_entropy(ones(2, 0), index(0, 1)), ShapeError, ["(2, 0)", "no class"],
    ),
    "one class without a rival": (
        lambda: lossmith.CrammerSinger("hinge")(ones(2, 1), index(0, 0)), ShapeError, ["rival"],
    ),
    "an unknown reduction": (
        lambda: lossmith.l1(Z, Z, reduction="average"), InputError, ["average", "mean"],
    ),
    "unknown labels": (
        lambda: lossmith.hinge(Z, ones(3), labels="plusminus"), InputError, ["plusminus", "signed"],
    ),
    "ignore_index None": (
        lambda: lossmith.cross_entropy(LOGITS, index(0, 1), ignore_index=None), InputError,
        ["ignore_index", "int"],
    ),
    "a link for a residual": (
        lambda: lossmith.OneVsRest("huber"), InputError, ["OneVsRest", "margin"],
    ),
    "an unknown margin": (lambda: lossmith.CrammerSinger("hingee"), InputError, ["hinge"]),
    "a Module with a bad parameter": (
        lambda: lossmith.Huber(delta=-1.0), ParameterError, ["delta = -1"],
    ),
    "a Module with a bad reduction": (
        lambda: lossmith.Huber(reduction="avg"), InputError, ["avg"],
    ),
    "an unknown name": (lambda: lossmith.formula_of("hubert"), InputError, ["hubert", "huber"]),
    "an unknown parameter of a curve": (
        lambda: lossmith.curve("huber", [0.0], beta=1.0), ParameterError, ["beta", "delta"],
    ),
    "derivatives of no loss": (
        lambda: lossmith.derivatives(torch.abs, Z, Z), InputError, ["no loss"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_bad_input_is_refused_in_words(case):
    call, kind, says = CASES[case]
    with pytest.raises(lossmith.LossmithError) as caught:
        call()
    assert type(caught.value) is kind
    message = str(caught.value)
    for text in says:
        assert text in message, f"{text!r} is missing from: {message}"
    assert len(message) > 30
    assert not re.search(r"<[a-z_]+ at 0x|Traceback", message)


def test_every_error_is_also_the_usual_kind():
    for error in (ShapeError, DeviceError, LabelError, ParameterError, DtypeError):
        assert issubclass(error, InputError)
        assert issubclass(error, ValueError)
    assert issubclass(DtypeError, TypeError)


@pytest.mark.parametrize("place", ["target", "sample_weight", "mask", "class_weight", "gamma"])
def test_nothing_is_changed_by_a_refused_call(place):
    """No gradient appears, and no tensor was written to."""
    z = LOGITS.clone().requires_grad_()
    tensors = {
        "target": index(0, 9),
        "sample_weight": ones(3),
        "mask": ones(2),
        "class_weight": ones(7),
    }
    given = {"target": index(0, 1)}
    given |= {"gamma": -1.0} if place == "gamma" else {place: tensors[place]}
    with pytest.raises(InputError):
        lossmith.focal(z, **given)
    assert z.grad is None
    assert z._version == 0
    assert all(t._version == 0 for t in tensors.values())


def test_a_refused_label_in_a_large_batch_is_found():
    """Beyond the first block, whichever thread meets it; and counted."""
    t = torch.zeros(200_000)
    t[150_001] = 7.0
    t[199_999] = -3.0
    with pytest.raises(LabelError, match=r"target\[150001\] = 7.0 .*2 such labels"):
        lossmith.logistic(torch.zeros(200_000), t)
    classes = torch.zeros(50_000, dtype=torch.int64)
    classes[40_000] = 5
    with pytest.raises(LabelError, match=r"target\[40000\] = 5"):
        lossmith.cross_entropy(torch.zeros(50_000, 5), classes)


def test_the_reference_engine_refuses_the_same_labels():
    from engine import cases

    with cases.on_reference():
        for case in (
            "a label below 0",
            "an integer label of 2",
            "a class too large",
            "a NaN label",
        ):
            call, kind, says = CASES[case]
            with pytest.raises(kind) as caught:
                call()
            assert all(text in str(caught.value) for text in says)


def test_a_learned_parameter_outside_its_domain():
    """A tensor is checked where it can be read without waiting: NaN is never silent."""
    for number in (nan, 0.0, -1.0):
        delta = torch.tensor(number, requires_grad=True)
        with pytest.raises(ParameterError, match=r"delta = .* is outside \(0, ∞\)"):
            lossmith.huber(Z, torch.zeros(3), delta)


def test_an_empty_tensor_is_a_batch_of_mass_0():
    for loss, z, t in (
        (lossmith.huber, torch.zeros(0), torch.zeros(0)),
        (lossmith.logistic, torch.zeros(0, 4), torch.zeros(0, 4)),
        (lossmith.cross_entropy, torch.zeros(0, 3), index()),
        (lossmith.cross_entropy, torch.zeros(0, 3), torch.zeros(0, 3)),
    ):
        z.requires_grad_()
        value = loss(z, t)
        value.backward()
        assert value == 0
        assert z.grad.shape == z.shape
        assert loss(z, t, reduction="none").numel() == 0
