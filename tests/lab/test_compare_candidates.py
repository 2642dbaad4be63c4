"""Reading candidates, and drawing them over one axis."""

import numpy as np
import pytest
import torch

import lossmith
from lossmith.errors import InputError, LossmithError
from lossmith.lab.compare.candidates import BASELINES, CHOSEN, Candidate, parse
from lossmith.lab.compare.owned import losses

MARGINS = np.linspace(-4.0, 4.0, 81)


def curve(candidate: Candidate, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found = candidate.curve(u)
    assert found is not None
    return found


def specs(*texts: str) -> list[str]:
    return [candidate.spec for candidate in parse(texts, "classification")]


def test_the_baseline_comes_first_and_once() -> None:
    assert specs("ramp,cross_entropy") == ["cross_entropy", "ramp:s=-1"]
    assert specs("ramp") == ["cross_entropy", "ramp:s=-1"]


def test_parameters_and_repeated_options() -> None:
    assert specs("focal:gamma=1,hinge", "focal:gamma=3") == [
        "cross_entropy",
        "focal:gamma=1",
        "hinge",
        "focal:gamma=3",
    ]
    assert specs("generalized-cross-entropy: q = 0.5") == [
        "cross_entropy",
        "generalized_cross_entropy:q=0.5",
    ]


def test_a_spec_reads_back_as_itself() -> None:
    found = specs("focal:gamma=1.25,ramp:s=-0.5,generalized_cross_entropy")
    assert specs(",".join(found)) == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("focl", "focl"),
        ("focal:alpha_beta=2", "alpha_beta"),
        ("focal:gamma=two", "must be a number"),
        ("focal:gamma", "name=number"),
        ("focal:gamma=-1", "gamma"),
        ("l2", "residual"),
        ("ramp,ramp:s=-1", "twice"),
        ("ramp,,hinge", "empty"),
    ],
)
def test_a_wrong_list_is_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(LossmithError, match=says):
        parse([text], "classification")


def test_with_two_classes_cross_entropy_is_the_logistic_loss() -> None:
    value, pull = curve(parse(["hinge"], "classification")[0], MARGINS)
    np.testing.assert_allclose(value, np.log1p(np.exp(-MARGINS)), rtol=1e-9)
    np.testing.assert_allclose(pull, 1 / (1 + np.exp(MARGINS)), rtol=1e-6)


@pytest.mark.parametrize(
    "text", ["focal:gamma=2", "generalized_cross_entropy:q=0.7", "hinge", "ramp"]
)
def test_the_pull_is_minus_the_slope(text: str) -> None:
    candidate = parse([text], "classification")[1]
    at = MARGINS + 0.013  # beside the kinks
    step = 1e-5
    ahead, behind = (curve(candidate, at + shift)[0] for shift in (step, -step))
    np.testing.assert_allclose(curve(candidate, at)[1], (behind - ahead) / (2 * step), atol=1e-6)


def test_any_candidate_takes_a_center_loss() -> None:
    plain, centered = parse(["hinge:center=0.5"], "classification")
    assert plain.extra("center") == 0
    assert centered.spec == "hinge:center=0.5"
    assert centered.phrase == "hinge (center = 0.5)"
    torch.manual_seed(0)
    scores, features = torch.randn(6, 3), torch.randn(6, 4)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    alone = lossmith.CrammerSinger("hinge")(scores, labels)
    # Centres start at 0, so the first center loss is half the mean squared length.
    first = 0.5 * features.square().sum(1).mean()
    torch.testing.assert_close(
        centered.build(3, 4, None)(scores, features, labels), alone + 0.5 * first
    )


def test_a_negative_center_weight_is_refused() -> None:
    with pytest.raises(InputError, match="center"):
        parse(["hinge:center=-1"], "classification")


@pytest.mark.parametrize("task", CHOSEN)
def test_the_chosen_losses_of_a_task_can_be_trained(task: str) -> None:
    torch.manual_seed(0)
    features = torch.randn(8, 4)
    target = torch.randn(8) if task == "regression" else torch.arange(8) % 2
    for candidate in parse([], task):
        scores = torch.randn(8, 3) if task == "classification" else torch.randn(8)
        scores.requires_grad_()
        value = candidate.build(3, 4, np.ones(3))(scores, features, target)
        value.backward()
        assert value.isfinite()
        assert scores.grad is not None
        assert scores.grad.any()
    assert parse([], task)[0].name == BASELINES[task]


def test_a_probability_loss_of_one_score_is_that_of_its_sigmoid() -> None:
    base, two = parse(["cross_entropy"], "binary")
    scores, target = torch.randn(9, dtype=torch.float64), torch.arange(9) % 2
    expected = torch.nn.functional.binary_cross_entropy_with_logits(scores, target.double())
    for candidate in (base, two):
        found = candidate.build(2, 4, None)(scores, None, target)
        torch.testing.assert_close(found, expected)


def test_balanced_weights_are_those_of_torch() -> None:
    _, balanced = parse(["cross_entropy:balanced=1"], "classification")
    weight = np.array([0.5, 1.0, 4.0])
    scores, target = torch.randn(9, 3), torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 2])
    found = balanced.build(3, 4, weight)(scores, torch.empty(9, 0), target)
    expected = torch.nn.functional.cross_entropy(scores, target, torch.tensor(weight).float())
    torch.testing.assert_close(found, expected)


OWN = """
import lossmith

@lossmith.residual
def capped(u, c: lossmith.Positive = 1.0):
    return lossmith.primitives.where(abs(u) <= c, u**2 / 2, c**2 / 2)

def plain(prediction, target, power=2.0):
    return (prediction - target).abs().pow(power).mean()

def _hidden(prediction, target):
    raise AssertionError
"""


def test_a_persons_own_losses_are_candidates() -> None:
    mine = losses(OWN, "mine.py")
    assert sorted(mine) == ["capped", "plain"]
    found = parse(["capped:c=2,plain:power=1"], "regression", mine)
    assert [c.spec for c in found] == ["l2", "capped:c=2", "plain:power=1"]
    prediction, target = torch.tensor([0.0, 5.0]), torch.tensor([1.0, 1.0])
    values = [float(c.build(0, 0, None)(prediction, None, target)) for c in found]
    assert values == pytest.approx([8.5, (0.5 + 2.0) / 2, 2.5])
    assert [c.spec for c in parse([], "regression", mine)][-2:] == ["capped:c=1", "plain"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = (", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("x = 1", "no loss in it"),
        ("def focal(prediction, target): pass", "built-in"),
    ],
)
def test_a_file_without_losses_is_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        losses(text, "mine.py")
