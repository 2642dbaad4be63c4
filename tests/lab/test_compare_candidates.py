"""Reading candidates, and drawing them over one axis."""

import numpy as np
import pytest
import torch

import lossmith
from lossmith.errors import InputError, LossmithError
from lossmith.lab.compare.candidates import parse

MARGINS = np.linspace(-4.0, 4.0, 81)


def specs(*texts: str) -> list[str]:
    return [candidate.spec for candidate in parse(texts, "cross_entropy")]


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
        parse([text], "cross_entropy")


def test_with_two_classes_cross_entropy_is_the_logistic_loss() -> None:
    value, pull = parse([], "cross_entropy")[0].over_margin(MARGINS)
    np.testing.assert_allclose(value, np.log1p(np.exp(-MARGINS)), rtol=1e-9)
    np.testing.assert_allclose(pull, 1 / (1 + np.exp(MARGINS)), rtol=1e-6)


@pytest.mark.parametrize(
    "text", ["focal:gamma=2", "generalized_cross_entropy:q=0.7", "hinge", "ramp"]
)
def test_the_pull_is_minus_the_slope(text: str) -> None:
    candidate = parse([text], "cross_entropy")[1]
    at = MARGINS + 0.013  # beside the kinks
    step = 1e-5
    ahead, behind = (candidate.over_margin(at + shift)[0] for shift in (step, -step))
    np.testing.assert_allclose(
        candidate.over_margin(at)[1], (behind - ahead) / (2 * step), atol=1e-6
    )


def test_any_candidate_takes_a_center_loss() -> None:
    plain, centered = parse(["hinge:center=0.5"], baseline="cross_entropy")
    assert plain.center == 0
    assert centered.spec == "hinge:center=0.5"
    assert centered.phrase == "hinge (center = 0.5)"
    torch.manual_seed(0)
    scores, features = torch.randn(6, 3), torch.randn(6, 4)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    alone = lossmith.CrammerSinger("hinge")(scores, labels)
    # Centres start at 0, so the first center loss is half the mean squared length.
    first = 0.5 * features.square().sum(1).mean()
    torch.testing.assert_close(centered.build(3, 4)(scores, features, labels), alone + 0.5 * first)


def test_a_negative_center_weight_is_refused() -> None:
    with pytest.raises(InputError, match="center"):
        parse(["hinge:center=-1"], baseline="cross_entropy")
