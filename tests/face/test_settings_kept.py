"""Drawn: whatever a loss is put into or made into again, its settings come along, or it is said."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import lossmith
from engine import cases
from face import faces
from face.faces import CLASSES, ROWS
from lossmith import InputError, ParameterError, UnsupportedError
from lossmith.formula.ledger import LEDGER

Z = torch.linspace(-2, 2, ROWS * CLASSES).reshape(ROWS, CLASSES)
INDEX = torch.tensor([0, 3, 1])
EYE = torch.eye(CLASSES)
SHARED = (
    "huber", "pinball", "focal", "binary_focal", "barron", "ramp", "class_weight",
    "generalized_cross_entropy",
)  # fmt: skip


class Own(lossmith.Huber):
    """A person's own Module, at the top of a file, as pickle wants it."""

    def forward(self, prediction, target, sample_weight=None, mask=None):
        return 10 * super().forward(prediction, target, sample_weight, mask)


def settings_for(name):
    """Settings that are not the defaults, each a number, a tensor, or learned."""
    record = LEDGER[name.rstrip("')").split("'")[-1]]
    drawn = {}
    for p in record.parameters:
        inside = [x for x in p.domain.samples() if x != p.default]
        number = st.sampled_from(inside)
        drawn[p.name] = st.one_of(
            number, number.map(torch.tensor), number.map(lambda x: nn.Parameter(torch.tensor(x)))
        )
    classes = faces.classes(name)
    if record.balanced and "(" not in name:
        drawn["alpha"] = st.just(torch.rand(CLASSES) + 0.5) if classes else st.just(0.3)
    if name in cases.MARGIN:
        drawn["labels"] = st.just("signed")
    if classes:
        drawn["class_weight"] = st.just(torch.rand(CLASSES) + 0.5)
        drawn["ignore_index"] = st.just(1)
    if name in cases.PROBABILITY:
        drawn["label_smoothing"] = st.just(0.2)
    return st.fixed_dictionaries({}, optional=drawn)


def again(module):
    """The same Module, made again in all the ways there are."""
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    yield "deepcopy", copy.deepcopy(module)
    yield "copy", copy.copy(module)
    yield "pickle", pickle.loads(pickle.dumps(module))
    yield "torch.load", torch.load(file, weights_only=False)
    term = 2 * module.named("it").on(**{"target": "labels"}) / 2 + lossmith.L1Penalty() * 0.0
    yield (
        "a sum",
        lambda z, t: term(**{_word(module): z, "labels": t}, parameters=[nn.Parameter(z)]),
    )


def _word(module):
    kind = module.loss.link.name
    return "prediction" if kind == "residual" else "scores" if kind == "margin" else "logits"


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.data(), st.sampled_from(faces.LOSSES))
def test_made_again(data, name):
    chosen = data.draw(settings_for(name))
    module = cases.module(name, **chosen)
    target = INDEX if faces.classes(name) else (Z > 0).float()
    target = 2 * target - 1 if chosen.get("labels") == "signed" else target
    with cases.on_reference():
        expected = cases.function(name)(Z, target, **chosen)
        assert torch.equal(module(Z, target), expected)
        for how, made in again(module):
            torch.testing.assert_close(made(Z, target), expected, msg=f"{name} {chosen} by {how}")
            if isinstance(made, nn.Module):
                learned = {k for k, _ in made.named_parameters()}
                assert learned == {k for k, _ in module.named_parameters()}, how
        if not faces.classes(name):
            return
        head = lossmith.LinearLoss(CLASSES, CLASSES, module, bias=False)
        head.weight.data = torch.eye(CLASSES)
        torch.testing.assert_close(head(Z, target), expected)
        for how, made in again_modules(head):
            torch.testing.assert_close(made(Z, target), expected, msg=f"{name} {chosen} by {how}")
        if name in cases.PROBABILITY:
            for made in (
                lossmith.ClassParallelLoss(module), lossmith.ClassParallelLoss(name, **chosen)
            ):  # fmt: skip
                torch.testing.assert_close(made(Z, target), expected)


def again_modules(module):
    yield "deepcopy", copy.deepcopy(module)
    yield "pickle", pickle.loads(pickle.dumps(module))


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.data(), st.sampled_from(cases.MARGIN), st.sampled_from(["CrammerSinger", "OneVsRest"]))
def test_a_margin_behind_a_link(data, name, link):
    """A Module's settings are those of the link's Module; what has no place there is refused."""
    chosen = data.draw(settings_for(name))
    chosen |= data.draw(st.fixed_dictionaries({}, optional={"reduction": st.just("sum")}))
    module = cases.module(name, **chosen)
    wrapper = getattr(lossmith, link)
    if "alpha" in chosen:
        with pytest.raises(UnsupportedError, match=rf"{link}: alpha = 0.3.*binary_focal\(logits"):
            wrapper(module)
        return
    if "labels" in chosen:
        with pytest.raises(InputError, match=f"{link}: the loss Module has labels='signed'"):
            wrapper(module)
        return
    made = wrapper(module)
    with cases.on_reference():
        assert torch.equal(made(Z, INDEX), wrapper(name, **chosen)(Z, INDEX))
    assert made.reduction == chosen.get("reduction", "mean")
    for p, value in chosen.items():
        if isinstance(value, nn.Parameter):
            assert getattr(made, p) is value  # learned in one place
        elif p != "reduction" and not isinstance(value, torch.Tensor):
            with pytest.raises(InputError, match=f"{p} is given here and in the loss Module"):
                wrapper(module, **{p: value * 0.5})


def test_alpha_is_not_dropped():
    for give in (
        lambda: lossmith.OneVsRest(lossmith.BinaryFocal(alpha=0.25)),
        lambda: lossmith.OneVsRest("binary_focal", alpha=0.25),
        lambda: lossmith.CrammerSinger(lossmith.binary_focal, alpha=torch.tensor(0.25)),
        lambda: lossmith.LinearLoss(4, 4, lossmith.OneVsRest("binary_focal"), alpha=0.25),
    ):
        with pytest.raises(lossmith.LossmithError, match="alpha"):
            give()
    z, hot = torch.randn(3, 4), nn.functional.one_hot(torch.tensor([0, 3, 1]), 4).float()
    by_rows = lossmith.binary_focal(z, hot, alpha=0.25, reduction="none").sum(1)  # the remedy
    p = z.sigmoid()
    by_hand = -(0.25 * hot * (1 - p) ** 2 * p.log() + 0.75 * (1 - hot) * p**2 * (1 - p).log())
    torch.testing.assert_close(by_rows, by_hand.sum(1))


def test_two_settings_that_differ_are_refused_wherever_a_module_is_put():
    focal = lossmith.Focal(gamma=3.0, alpha=torch.ones(CLASSES))
    for argument, value in {"gamma": 2.0, "alpha": torch.ones(CLASSES) * 2}.items():
        here = {argument: value}
        for give in (
            lambda here=here: lossmith.linear_loss(
                Z, torch.eye(CLASSES), INDEX, loss=focal, **here
            ),
            lambda here=here: lossmith.LinearLoss(CLASSES, CLASSES, focal, **here),
            lambda here=here: lossmith.class_parallel_loss(Z, INDEX, focal, **here),
            lambda here=here: lossmith.ClassParallelLoss(focal, **here),
        ):
            with pytest.raises(InputError, match=f"{argument} is given here.*give it in one place"):
                give()


def test_a_persons_own_class_stays_what_it_is():
    own = Own(delta=0.5)
    own.note = "mine"
    for how, made in again_modules(own):
        assert type(made) is Own, how
        assert made.note == "mine"
        assert torch.equal(made(Z, Z * 0), own(Z, Z * 0))


def test_a_setting_that_was_computed_would_lose_its_way_back():
    """A Module keeps a leaf of its own; what has more behind it goes to the function."""
    log_delta = nn.Parameter(torch.tensor(0.0))
    for make in (
        lambda d: lossmith.Huber(delta=d),
        lambda d: lossmith.LinearLoss(CLASSES, CLASSES, "focal", gamma=d),
        lambda d: lossmith.ClassParallelLoss("focal", gamma=d),
    ):
        with pytest.raises(InputError, match="was computed from other tensors"):
            make(log_delta.exp())
        make(log_delta.exp().detach())
    with pytest.raises(InputError, match="was computed"):
        lossmith.OneVsRest(lossmith.keep_inside(lossmith.Ramp(s=nn.Parameter(torch.tensor(-0.5)))))


def test_what_was_learned_is_saved_wherever_it_is():
    """Outside its domain the loss refuses it, but a checkpoint of it can be looked at."""
    loss = lossmith.Huber(delta=nn.Parameter(torch.tensor(1.0)))
    with torch.no_grad():
        loss.delta.fill_(-1.0)
    for _, made in again_modules(loss):
        assert made.delta == -1
        with pytest.raises(ParameterError, match="delta = -1"):
            made(Z, Z)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    st.lists(st.sampled_from(SHARED), min_size=2, max_size=4),
    st.sampled_from([-0.5, 0.5, 1.0, 1.5, 3.0]),
    st.booleans(),
)
def test_one_tensor_for_several_losses(names, number, one):
    """Accepted or refused by the domain of each, whatever another loss made of it before."""
    value = torch.tensor(number) if one else torch.full((CLASSES,), number)
    for name in names:
        loss, option, target = "focal", "class_weight", INDEX
        if name != "class_weight":
            loss, option = name, {"focal": "alpha", "binary_focal": "alpha"}.get(name)
            option = option or LEDGER[name].parameters[0].name
            target = INDEX if faces.classes(name) else (Z > 0).float()
        given_settings = {option: value}
        try:
            with cases.on_reference():
                cases.function(loss)(Z, target, **{option: value.clone()})
            expected = True
        except InputError:
            expected = False
        try:
            with cases.on_reference():
                cases.function(loss)(Z, target, **given_settings)
        except InputError:
            assert not expected, (names, name, number)
        else:
            assert expected, (names, name, number)


def test_an_index_beside_a_distribution():
    """It drops nothing there: from 0 on, where a class may have it, it is refused (as in torch)."""
    soft = torch.full((ROWS, CLASSES), 1 / CLASSES)
    batch = {"prediction": Z, "target": soft}
    for name in ("cross_entropy", "OneVsRest('hinge')"):
        for face, call in faces.faces(name).items():
            with cases.on_reference(), pytest.raises(InputError, match=r"ignore_index = 2.*mask="):
                call(batch, {"ignore_index": 2})
            with cases.on_reference():
                call(batch, {"ignore_index": -1})
            assert face
