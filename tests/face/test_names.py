"""Keywords that no call takes: an error of ours that says what is meant here."""

import inspect

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

import lossmith
from engine import cases
from face.faces import LOSSES
from lossmith import ArgumentError
from lossmith.formula.ledger import LEDGER

Z = torch.linspace(-1, 1, 12).reshape(4, 3)
Y = torch.tensor([0, 2, 1, 0])
EACH = torch.ones(4)
FEATURES = torch.ones(4, 2)
PER_LOSS, PER_CLASS = "sample_weight= for one weight per loss", "class_weight= for one per class"


def roads(name: str):
    """Every call of a loss that takes a batch, but for the keyword in question."""
    function, module = cases.function(name), cases.module(name)
    target = Y if name in cases.CLASSES else (Z > 0).float()
    for call in (function, function.total, function.check, module, module.total):
        yield lambda call=call, **more: call(Z, target, **more)
    yield lambda **more: lossmith.derivatives(function, Z, target, **more)
    yield lambda **more: lossmith.engine_for(module, Z, target, **more)


@pytest.mark.parametrize("name", LOSSES)
def test_weight_is_refused_with_its_two_meanings(name: str) -> None:
    weight = torch.ones(4, 3)[:, 0] if name in cases.CLASSES else torch.ones(4, 3)
    for call in roads(name):
        with pytest.raises(ArgumentError) as caught:
            call(weight=weight)
        said = str(caught.value)
        assert PER_LOSS in said
        assert (PER_CLASS in said) == (name in cases.CLASSES)
        call(sample_weight=weight)


OTHERS = {
    "KL": lambda **more: lossmith.kl_divergence(Z, target_logits=Z, **more),
    "KL total": lambda **more: lossmith.kl_divergence.total(Z, target_logits=Z, **more),
    "JS": lambda **more: lossmith.js_divergence(Z, target_logits=Z, **more),
    "JS total": lambda **more: lossmith.js_divergence.total(Z, target_logits=Z, **more),
    "KL Module": lambda **more: lossmith.KLDivergence()(Z, target_logits=Z, **more),
    "JS Module's total": lambda **more: lossmith.JSDivergence().total(Z, target_logits=Z, **more),
    "center": lambda **more: lossmith.CenterLoss(3, 2)(FEATURES, Y, **more),
    "center's total": lambda **more: lossmith.CenterLoss(3, 2).total(FEATURES, Y, **more),
    "adaptive": lambda **more: lossmith.AdaptiveLoss()(EACH, EACH, **more),
    "adaptive's total": lambda **more: lossmith.AdaptiveLoss().total(EACH, EACH, **more),
    "linear Module": lambda **more: lossmith.LinearLoss(2, 3)(FEATURES, Y, **more),
    "linear Module's total": lambda **more: lossmith.LinearLoss(2, 3).total(FEATURES, Y, **more),
    "parallel": lambda **more: lossmith.class_parallel_loss(Z, Y, **more),
    "parallel total": lambda **more: lossmith.class_parallel_loss.total(Z, Y, **more),
    "parallel Module": lambda **more: lossmith.ClassParallelLoss()(Z, Y, **more),
    "mass": lambda **more: lossmith.mass_of("cross_entropy", Y, **more),
}


@pytest.mark.parametrize("case", OTHERS)
def test_weight_is_refused_by_what_is_written_by_hand(case: str) -> None:
    with pytest.raises(ArgumentError, match=PER_LOSS):
        OTHERS[case](weight=EACH)
    OTHERS[case](sample_weight=EACH)


def test_an_objective_says_so_too() -> None:
    with pytest.raises(lossmith.InputError, match="'weight'; did you mean 'sample_weight'"):
        lossmith.Objective(fit=lossmith.CrossEntropy())(logits=Z, target=Y, weight=EACH)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: lossmith.cross_entropy(Z, Y, ignore_label=1), "Use ignore_index="),
        (lambda: lossmith.cross_entropy(Z, Y, smoothing=0.1), "Use label_smoothing="),
        (lambda: lossmith.CrossEntropy(smoothing=0.1), "Use label_smoothing="),
        (lambda: lossmith.CrossEntropy(weight=EACH[:3]), f"Use {PER_CLASS}"),
        (lambda: lossmith.L2(weight=EACH), f"In its call, use {PER_LOSS}"),
        (lambda: lossmith.l1(Z, Z, reduce=False), 'Use reduction="mean", "sum" or "none"'),
        (lambda: lossmith.L1()(Z, Z, size_average=False), "When the Module is made, use reduction"),
        (lambda: lossmith.focal(Z, Y, gama=1.0), "Did you mean 'gamma'"),
        (lambda: lossmith.CrammerSinger(weight=EACH[:3]), PER_CLASS),
        (lambda: lossmith.LinearLoss(2, 3, class_weights=EACH[:3]), PER_CLASS),
        (lambda: lossmith.LinearLoss(2, 3, smoothing=0.1), "Use label_smoothing="),
        (
            lambda: lossmith.linear_loss(FEATURES, Z.T[:, :2], Y, ignore_label=1),
            "Use ignore_index=",
        ),
    ],
)
def test_what_other_libraries_call_it(call, says: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        call()
    assert says in str(caught.value)
    assert isinstance(caught.value, TypeError)  # as Python's own error for a keyword


def test_the_remedy_for_pos_weight_is_torch_s_number() -> None:
    scores, target = Z.flatten(), (Z.flatten() > 0.2).float()
    with pytest.raises(ArgumentError) as caught:
        lossmith.binary_cross_entropy(scores, target, pos_weight=3.0)
    assert "sample_weight=1 + (pos_weight - 1) * target" in str(caught.value)
    total, _ = lossmith.binary_cross_entropy.total(scores, target, sample_weight=1 + 2.0 * target)
    theirs = F.binary_cross_entropy_with_logits(scores, target, pos_weight=torch.tensor(3.0))
    torch.testing.assert_close(total / target.numel(), theirs)


@given(name=st.sampled_from(LOSSES), word=st.from_regex(r"[a-z_]{1,12}", fullmatch=True))
def test_any_other_word_is_refused_by_name(name: str, word: str) -> None:
    taken = {p for f in _signatures(name) for p in inspect.signature(f).parameters}
    if word in taken or not word.isidentifier():
        return
    for call in roads(name):
        with pytest.raises(ArgumentError, match=f"no argument {word!r}"):
            call(**{word: 1})


def _signatures(name: str):
    return cases.function(name), lossmith.derivatives, lossmith.engine_for


@pytest.mark.parametrize("name", LOSSES)
def test_signatures_do_not_show_what_is_only_refused(name: str) -> None:
    function, module = cases.function(name), cases.module(name)
    faces = (function, function.total, function.check, module.forward, module.total)
    shown = [p for f in faces for p in inspect.signature(f).parameters.values()]
    assert not [p for p in shown if p.kind is p.VAR_KEYWORD]
    assert {"target", "sample_weight", "mask"} <= {p.name for p in shown}


def test_a_formula_has_no_parameter_of_that_name() -> None:
    for door in (lossmith.residual, lossmith.margin, lossmith.probability):
        with pytest.raises(lossmith.FormulaError, match="cannot be called 'weight'"):

            @door
            def own(u, weight: lossmith.Positive = 1.0):
                return weight * lossmith.primitives.exp(-u)


@pytest.mark.parametrize("name", LOSSES)
def test_a_module_is_called_in_its_own_words(name: str) -> None:
    made, target = cases.module(name), Y if name in cases.CLASSES else (Z > 0).float()
    word = next(iter(inspect.signature(made.forward).parameters))
    assert word == next(iter(inspect.signature(cases.function(name)).parameters))
    assert torch.equal(made(**{word: Z, "target": target}), made(Z, target))


@given(name=st.sampled_from(list(LEDGER)), data=st.data())
def test_a_loss_is_meant_however_its_name_is_written(name: str, data: st.DataObject) -> None:
    record = LEDGER[name]
    words = data.draw(
        st.sampled_from((name, record.title, getattr(lossmith, name).Module.__name__))
    )
    marks = data.draw(st.sampled_from((" ", "-", "_", "")))
    written = words.replace("_", marks) + data.draw(st.sampled_from(("", " loss", "Loss", "_loss")))
    written = data.draw(st.sampled_from((str, str.upper, str.lower)))(written)
    target = Y if name in cases.CLASSES else (Z > 0).float()
    assert lossmith.formula_of(written) is record
    found = lossmith.derivatives(written, Z, target)
    assert torch.equal(found.value, lossmith.derivatives(name, Z, target).value)
    assert lossmith.mass_of(written, target) == lossmith.mass_of(name, target)


def test_a_name_from_elsewhere_is_answered() -> None:
    with pytest.raises(lossmith.InputError, match=r"'mse' is no loss.*lossmith\.l2"):
        lossmith.derivatives("mse", Z, Z)
    with pytest.raises(lossmith.InputError, match="'nonsense' is no loss of Lossmith; give"):
        lossmith.derivatives("nonsense", Z, Z)
