"""Drawn: arguments of any type, value, dtype and layout, for every option of every loss.

Each works as the plain number that it means, or is refused in words that name it; and all faces of
a loss agree about which.
"""

from __future__ import annotations

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lossmith
from engine import cases
from face import faces
from face.faces import CLASSES, ROWS
from lossmith import DeviceError, LossmithError, ShapeError

# Built once: making a Module of each loss costs more than what is tried with it.
SETTINGS = {name: faces.settings_of(name) for name in faces.LOSSES}
plain = st.one_of(
    st.sampled_from([0.0, 0.5, 1.0, 2.0, -1.0, 3.0, 1e-3, 1e30]),
    st.floats(-4, 4, allow_nan=False),
    st.integers(-3, 5),
)


def _wrapped(number):
    """(what is given, the plain number that it means)."""
    whole = isinstance(number, int)
    ways = [
        (np.float64, float), (np.float32, lambda x: float(np.float32(x))),
        (np.float16, lambda x: float(np.float16(x))),
        (Fraction, float), (float, float),
    ]  # fmt: skip
    if whole:
        ways += [(np.int64, int), (np.int8, int), (int, int)]
    return st.sampled_from(ways).map(lambda way: (way[0](number), way[1](number)))


numbers = plain.filter(lambda x: abs(x) < 6e4).flatmap(_wrapped)


def _hostile():
    """Not a number, or none that every setting takes."""
    with warnings.catch_warnings():  # layouts that torch calls beta or a prototype
        warnings.simplefilter("ignore")
        four = torch.ones(CLASSES)
        return [
            "2", "mean", b"1", "", None, True, False, [1], [1.0], (1.0,), {}, {1}, object(), float,
            1j, math.nan, math.inf, -math.inf, 10**400, -(10**400), 2**64, 2**63, -(2**63) - 1,
            2**31, np.array(1.0), np.array([1.0, 2.0]), np.array(["mean", "sum"]),
            np.array(["binary"]), np.bool_(True), np.datetime64("2020"), np.str_("none"),
            lambda: 1.0, torch.tensor(2), torch.tensor(True), torch.tensor(1j),
            torch.tensor([1, 2]), torch.tensor([0.5, 0.5]), torch.ones(CLASSES + 1),
            torch.ones(2, CLASSES), torch.tensor(math.nan), torch.tensor(-5.0),
            torch.full((CLASSES,), -1e9), torch.full((CLASSES,), math.inf), torch.ones(0),
            four.long(), four.to("meta"), four.to(torch.float8_e5m2), four.to(torch.uint16),
            four.to_sparse(), four.to_mkldnn(), torch.eye(CLASSES).to_sparse_csr(),
            torch.nested.nested_tensor([four, torch.ones(1)], layout=torch.jagged),
            torch.nested.nested_tensor([four, torch.ones(1)]),
        ]  # fmt: skip


hostile = st.sampled_from(_hostile())


def batch(name):
    z = torch.linspace(-1, 1, ROWS * CLASSES).reshape(ROWS, CLASSES)
    if faces.classes(name):
        return {"prediction": z, "target": torch.tensor([0, 3, 1])}
    return {"prediction": z, "target": (z > 0.1).float()}


def outcomes(name, made, given_settings):
    """What each face gives: its results, or the error."""
    found = {}
    with cases.on_reference():
        for face, call in faces.faces(name).items():
            try:
                found[face] = call(dict(made), dict(given_settings))
            except LossmithError as error:
                found[face] = error
    return found


def shown(option, value, found):
    return f"{option}={value!r}: " + "; ".join(
        f"{face}: {result!r}"[:160] for face, result in found.items()
    )


def agreed(option, value, found):
    """All faces refuse, in words that name the option, or none does and all give the same."""
    refused = [face for face, result in found.items() if isinstance(result, LossmithError)]
    where = any(isinstance(found[face], (ShapeError, DeviceError)) for face in refused)
    if "mass_of" not in refused and (where or option == "prediction"):
        found.pop("mass_of", None)  # it has no prediction that a shape could be held against
    assert len(refused) in (0, len(found)), shown(option, value, found)
    names = {"prediction": ("prediction", "logits", "features")}.get(option, (option,))
    for face in refused:
        assert any(name in str(found[face]) for name in names), shown(option, value, found)
    if refused:
        return None
    same = {}
    for face, results in found.items():
        for what, result in results.items():
            first = same.setdefault(what, result)
            torch.testing.assert_close(
                result.double(), first.double(), rtol=1e-5, atol=1e-6, equal_nan=True,
                msg=lambda m, face=face: f"{face}: {option}={value!r}: {m}",
            )  # fmt: skip
    return same


OPTIONS = [(name, option) for name in faces.LOSSES for option in SETTINGS[name]]


@settings(deadline=None, derandomize=True, max_examples=120)
@given(st.sampled_from(OPTIONS), numbers)
def test_a_number_of_any_type_is_that_number(which, pair):
    name, option = which
    value, same = pair
    found = agreed(option, value, outcomes(name, batch(name), {option: value}))
    expected = agreed(option, same, outcomes(name, batch(name), {option: same}))
    assert (found is None) == (expected is None), (name, option, value, found, expected)
    if found is not None:
        for what, result in found.items():
            assert torch.equal(result, expected[what]), (name, option, value, what)


@settings(deadline=None, derandomize=True, max_examples=500)
@given(st.sampled_from(OPTIONS), hostile)
def test_anything_else_is_refused_in_words_that_name_it(which, value):
    name, option = which
    agreed(option, value, outcomes(name, batch(name), {option: value}))


@settings(deadline=None, derandomize=True, max_examples=120)
@given(
    st.sampled_from(faces.LOSSES),
    st.sampled_from(("target", "sample_weight", "mask", "prediction")),
    hostile,
)
def test_data_of_any_type(name, argument, value):
    agreed(argument, value, outcomes(name, batch(name) | {argument: value}, {}))


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.sampled_from(OPTIONS), hostile)
def test_a_module_refuses_when_it_is_made(which, value):
    """What a batch does not decide; not at the first step of a training run."""
    name, option = which
    with cases.on_reference():
        try:
            faces.faces(name)["function, mean"](batch(name), {option: value})
        except (ShapeError, DeviceError):
            return
        except LossmithError:
            with pytest.raises(LossmithError, match=option):
                cases.module(name, **{option: value})


# Those that are no plain loss: how one is made with defaults, and a batch for it.
F32 = torch.linspace(-1, 1, ROWS * CLASSES).reshape(ROWS, CLASSES)
INDEX = torch.tensor([0, 3, 1])
OWNERS = {
    "KLDivergence": ({}, ("direction", "reduction"), (F32, F32.softmax(1))),
    "JSDivergence": ({}, ("reduction",), (F32, F32.softmax(1))),
    "LinearLoss": (
        {"in_features": CLASSES, "num_classes": CLASSES, "loss": "focal"},
        ("in_features", "num_classes", "class_weight", "label_smoothing", "ignore_index",
         "reduction", "block", "gamma", "alpha"),
        (F32, INDEX),
    ),
    "ClassParallelLoss": (
        {"loss": "focal"},
        ("class_weight", "label_smoothing", "ignore_index", "reduction", "per_class",
         "shard_sizes", "gamma", "alpha"),
        (F32, INDEX),
    ),
    "CenterLoss": (
        {"num_classes": CLASSES, "dim": CLASSES},
        ("num_classes", "dim", "update", "alpha", "ignore_index", "reduction"),
        (F32, INDEX),
    ),
    "AdaptiveLoss": (
        {}, ("columns", "alpha", "scale", "alpha_range", "scale_min", "reduction"), (F32, F32 * 0),
    ),
    "Uncertainty": ({}, ("form", "log_variance"), None),
    "LinearRamp": (
        {"start": 0.0, "stop": 1.0, "steps": 3}, ("start", "stop", "steps", "after"), None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("owner", OWNERS)
def test_the_settings_of_what_is_no_plain_loss(owner):
    """Refused when it is made or, where that needs a batch, at the call; never another error."""
    defaults, options, data = OWNERS[owner]
    for option in options:
        for value in _hostile():
            if type(value) is int and value == 2**31:
                continue  # a size that a large machine has room for
            try:
                made = getattr(lossmith, owner)(**(defaults | {option: value}))
                with cases.on_reference():
                    if data is not None:
                        made(*data)
            except ShapeError:
                continue  # an in_features that is another number makes a layer that does not fit
            except LossmithError as error:
                said = str(error)
            else:
                continue
            assert option in said, f"{owner}({option}={value!r}): {said}"
