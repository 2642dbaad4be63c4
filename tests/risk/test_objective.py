"""Sums of losses: the values of hand-written sums, inputs by name, exact means, errors."""

import functools
import operator

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import lossmith
from risk.objectives import F64, Net, batch, by_hand, everything, full


def test_value_components_and_gradients_are_those_of_the_hand_written_sum():
    objective, net, given = full(), Net(), batch()
    value, components = objective.parts(**everything(net, given))
    learned = [*net.parameters(), *objective.parameters()]
    gradients = torch.autograd.grad(value, learned)
    expected, parts = by_hand(objective, net, given)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    assert list(components) == list(parts) == objective.names()
    for name, component in components.items():
        assert not component.requires_grad
        torch.testing.assert_close(component, parts[name].detach(), rtol=1e-12, atol=0)
    for a, b in zip(gradients, torch.autograd.grad(expected, learned), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(objective(**everything(net, given)), value, rtol=0, atol=0)


def test_value_is_the_weighted_sum_of_components():
    objective, net, given = full(), Net(), batch()
    value, components = objective.parts(**everything(net, given))
    s = objective.weighting.huber.log_variance.detach()
    total = sum(w * components[name] for name, w in objective.weights().items()) + s / 2
    torch.testing.assert_close(value.detach(), total, rtol=1e-7, atol=0)


@pytest.mark.parametrize(
    ("made", "weights"),
    [
        (lambda a, b: a + b, [1, 1]),
        (lambda a, b: a - b, [1, -1]),
        (lambda a, b: -a + b, [-1, 1]),
        (lambda a, b: 2 * a + b * 3, [2, 3]),
        (lambda a, b: 2 * (a - 3 * b) / 4, [0.5, -1.5]),
        (lambda a, b: sum([a, b]), [1, 1]),
        (lambda a, b: np.float64(0.25) * a + np.float32(2) * b, [0.25, 2]),
        (lambda a, b: torch.tensor(0.25, dtype=F64) * a + b * torch.tensor(2), [0.25, 2]),
        (lambda a, b: functools.reduce(operator.add, [a, 0.5 * b]), [1, 0.5]),
        (lambda a, b: (lambda step: 0.5) * a + b, [0.5, 1]),
        (lambda a, b: lossmith.Objective({"ce": a, "two": 7 * b}), [1, 7]),
    ],
)
def test_operators(made, weights):
    given, net = batch(), Net()
    out = net(given["x"])
    objective = made(lossmith.CrossEntropy(), lossmith.L2().on(target="goal"))
    value = objective(
        logits=out["logits"], target=given["target"], prediction=out["prediction"],
        goal=given["goal"],
    )  # fmt: skip
    a = F.cross_entropy(out["logits"], given["target"])
    b = F.mse_loss(out["prediction"], given["goal"])
    torch.testing.assert_close(value, weights[0] * a + weights[1] * b, rtol=1e-12, atol=1e-15)


def test_every_kind_of_module_takes_part():
    x, y = batch()["x"], batch()["target"]
    z = torch.randn(7, 5, dtype=F64, generator=torch.Generator().manual_seed(3))
    p = torch.randn(7, 5, dtype=F64, generator=torch.Generator().manual_seed(4)).softmax(1)
    linear = lossmith.LinearLoss(3, 5, dtype=F64)
    kl, js = lossmith.KLDivergence(), lossmith.JSDivergence()
    hinges = lossmith.CrammerSinger("hinge"), lossmith.OneVsRest("logistic")
    objective = 2 * linear + kl - js / 4 + hinges[0] + hinges[1]
    value = objective(features=x, target=y, logits=z, target_probs=p)
    q = z.softmax(1)
    m = (p + q) / 2

    def divergence(a, b):
        return (a * (a / b).log()).sum(1).mean()

    signs = 2 * F.one_hot(y, 5) - 1
    expected = 2 * F.cross_entropy(x @ linear.weight.T + linear.bias, y) + divergence(p, q)
    expected = expected - (divergence(p, m) + divergence(q, m)) / 8
    expected = expected + F.softplus(-signs * z).sum(1).mean()
    best = z.masked_fill(F.one_hot(y, 5).bool(), -torch.inf).amax(1)
    expected = expected + (1 - z.gather(1, y[:, None])[:, 0] + best).relu().mean()
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)


def test_structural_risk_reads_like_the_mathematics():
    net, given = Net(), batch()
    center = lossmith.CenterLoss(5, 3).double()
    objective = (
        CE() + 0.01 * center + 1e-4 * lossmith.L1Penalty() + lossmith.L2Penalty("body.weight") / 7
    )
    inputs = everything(net, given)
    inputs = {k: inputs[k] for k in ("logits", "features", "target", "parameters")}
    value, parts = objective.parts(**inputs)
    weights = [p for n, p in net.named_parameters() if n.endswith("weight")]
    expected = F.cross_entropy(inputs["logits"], given["target"])
    expected = expected + 0.01 * inputs["features"].square().sum(1).mean() / 2
    expected = expected + 1e-4 * sum(w.abs().sum() for w in weights)
    expected = expected + net.body.weight.square().sum() / 14
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    assert list(parts) == ["cross_entropy", "center_loss", "l1_penalty", "l2_penalty"]
    assert objective.totals(**inputs)["l1_penalty"][1] == 1
    ours = torch.autograd.grad(value, weights, retain_graph=True)
    for a, b in zip(ours, torch.autograd.grad(expected, weights), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-14)


def test_torch_modules_and_plain_functions_are_terms():
    x = batch()["x"]
    objective = lossmith.Objective(
        ours=lossmith.L2().on(prediction="input"), theirs=torch.nn.L1Loss(), size=lambda x: x.mean()
    )
    value, parts = objective.parts(input=x, target=x + 2, x=x)
    assert list(parts) == ["ours", "theirs", "size"]
    torch.testing.assert_close(value, 4 + 2 + x.mean())
    summed = torch.nn.L1Loss() + lossmith.L2().on(prediction="input")  # from the left as well
    torch.testing.assert_close(summed(input=x, target=x + 2), torch.tensor(6.0, dtype=F64))
    assert lossmith.Objective(a=lossmith.huber).a.delta == 1.0


def test_names_are_of_the_class_and_numbered_or_given():
    ce = lossmith.CrossEntropy
    assert (ce() + ce() + lossmith.SmoothL1() + lossmith.CenterLoss(2, 3)).names() == [
        "cross_entropy", "cross_entropy_2", "smooth_l1", "center_loss",
    ]  # fmt: skip
    assert ((ce() + ce()) + (ce() + ce())).names()[-1] == "cross_entropy_4"
    coarse = ce().on(logits="coarse_logits", target="coarse").named("coarse")
    objective = coarse + 0.5 * ce().named("cross_entropy") + ce()
    assert objective.names() == ["coarse", "cross_entropy", "cross_entropy_2"]
    assert objective.inputs()["coarse_logits"] == ["coarse"]
    assert isinstance(objective.coarse, lossmith.CrossEntropy)


def test_inputs_under_other_names():
    z, y = torch.randn(2, 4, 3, dtype=F64), torch.tensor([[0, 1, 2, 0], [2, 2, 1, 0]])
    ce = lossmith.CrossEntropy
    # By the word of the documentation, by the name in forward, and again by the name it got.
    a, b = ce().on(logits="one", target="y1"), ce().on(prediction="two").on(target="y2")
    expected = F.cross_entropy(z[0], y[0]) + F.cross_entropy(z[1], y[1])
    torch.testing.assert_close((a + b)(one=z[0], y1=y[0], two=z[1], y2=y[1]), expected)
    again = (a + b).on(one="first")
    torch.testing.assert_close(again(first=z[0], y1=y[0], two=z[1], y2=y[1]), expected)
    # An optional input reaches every term that knows it, unless it is kept away.
    w = torch.tensor([1.0, 0, 0, 3], dtype=F64)
    both = (ce() + ce().on(logits="two", sample_weight=None))(
        logits=z[0], two=z[1], target=y[0], sample_weight=w
    )
    own = (w * F.cross_entropy(z[0], y[0], reduction="none")).sum() / 4
    torch.testing.assert_close(both, own + F.cross_entropy(z[1], y[0]))


def test_nested_sums():
    heads = lossmith.Objective(
        fine=lossmith.CrossEntropy(),
        rest=(lossmith.L2() + 3 * lossmith.L1()).on(target="goal"),
    )
    objective = 2 * heads + 5 * lossmith.L2().named("again").on(target="goal")
    net, given = Net(), batch()
    inputs = everything(net, given)
    inputs = {k: inputs[k] for k in ("logits", "prediction", "target", "goal")}
    value, parts = objective.parts(**inputs)
    assert list(parts) == ["fine", "rest.l2", "rest.l1", "again"]
    assert objective.weights() == {"fine": 2, "rest.l2": 2, "rest.l1": 6, "again": 5}
    torch.testing.assert_close(value, sum(objective.weights()[k] * parts[k] for k in parts))
    learned = lossmith.Uncertainty() * (lossmith.L2() + lossmith.L1())  # one s/2 for the sum
    x = given["x"]
    torch.testing.assert_close(learned(prediction=x + 2, target=x), torch.tensor(6.0, dtype=F64))
    assert learned.names() == ["sum.l2", "sum.l1"]
    ramped = lossmith.LinearRamp(1.0, 0.0, 2) * (2 * learned)
    ramped.advance()
    torch.testing.assert_close(ramped(prediction=x + 2, target=x), torch.tensor(6.0, dtype=F64))


SPLITS = [(7, 1, 0, 12), (20,), (0, 20), (19, 1)]


@pytest.mark.parametrize("sizes", SPLITS)
def test_micro_batches_add_up_to_the_joined_batch(sizes):
    """Values and gradients, of penalties and of learned weights too."""
    objective, net, given = full(), Net(), batch(20)
    nested = lossmith.Uncertainty() * (lossmith.L2() + lossmith.L1()).on(target="goal")
    objective = (objective + nested).double()
    given["target"][::3] = -100  # the mass is not the number of rows
    given["target"][8:] = torch.where(torch.arange(12) % 5 > 0, -100, given["target"][8:])
    objective.center_loss.ignore_index = -100
    learned = [*net.parameters(), *objective.parameters()]
    whole, expected = objective.parts(**everything(net, given))
    gradients = torch.autograd.grad(whole, learned)

    cuts = [{k: v.split(sizes)[i] for k, v in given.items()} for i in range(len(sizes))]
    pairs = [objective.totals(**everything(net, cut)) for cut in cuts]
    masses = {name: sum(found[name][1] for found in pairs) for name in objective.names()}
    assert masses["ridge"] == len(sizes)
    ahead = objective.masses({k: v for k, v in cut.items() if k != "x"} for cut in cuts)
    assert ahead == masses
    parts = [objective.parts(masses=masses, **everything(net, cut)) for cut in cuts]
    value = sum(p.value for p in parts)
    torch.testing.assert_close(value, whole, rtol=1e-12, atol=0)
    for name in masses:
        component = sum(p.components[name] for p in parts)
        torch.testing.assert_close(component, expected[name], rtol=1e-12, atol=0)
        mean = sum(found[name][0] for found in pairs) / masses[name]
        torch.testing.assert_close(mean.detach(), expected[name], rtol=1e-12, atol=0)
    for a, b in zip(torch.autograd.grad(value, learned), gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-13)
    if sizes == SPLITS[0]:  # the usual way, a mean of means, is another number
        naive = sum(objective(**everything(net, c)) for c in cuts if len(c["target"])) / 3
        assert abs(naive / whole - 1) > 0.01
        numbers = {k: float(v) for k, v in masses.items()}
        again = sum(objective(masses=numbers, **everything(net, cut)) for cut in cuts)
        torch.testing.assert_close(again, whole, rtol=1e-12, atol=0)


def test_masses_ahead_take_weights_masks_and_names_as_a_call_does():
    x, y = batch()["x"], batch()["target"]
    heavy = torch.arange(7.0, dtype=F64)
    q = torch.full((7, 5), 0.2, dtype=F64)
    head = lossmith.LinearLoss(3, 5, dtype=F64).on(sample_weight="twice")
    objective = lossmith.CrossEntropy().on(sample_weight=None) + 2 * head
    objective = objective + lossmith.KLDivergence() + lossmith.L1Penalty()
    pair = lossmith.Objective(ce=lossmith.CrossEntropy(), l2=lossmith.L2().on(target="goal"))
    objective = objective + pair.named("two").on(target="label")
    given = {
        "target": y, "label": torch.where(y > 2, -100, y), "goal": heavy, "mask": y != 1,
        "target_probs": q, "sample_weight": heavy, "twice": 2 * heavy,
    }  # fmt: skip
    z = torch.randn(7, 5, dtype=F64, generator=torch.Generator().manual_seed(3))
    whole = {"logits": z, "features": x[:, :3], "prediction": heavy, "parameters": [z]}
    pairs = objective.totals(**whole, **given)
    assert objective.masses([given]) == {name: mass for name, (_, mass) in pairs.items()}
    assert objective.masses([]) == dict.fromkeys(objective.names(), 0.0)


def test_a_wrapper_belongs_to_masses():
    net, given = Net(), batch(3)
    objective = lossmith.L2().on(target="goal") + lossmith.Uncertainty() * lossmith.L1Penalty()
    inputs = {"prediction": net(given["x"])["prediction"], "goal": given["goal"], "parameters": net}
    masses = {"l2": 6, "l1_penalty": 1}
    once = objective(masses=masses, **inputs)
    assert objective(masses=masses, wrapper=net, **inputs) == once  # nobody averages
    parts = objective.parts(masses=masses, wrapper=3, **inputs)
    assert parts.value == 3 * once
    torch.testing.assert_close(
        parts.components["l2"], lossmith.l2(inputs["prediction"], given["goal"])
    )
    with pytest.raises(lossmith.InputError, match="beside masses"):
        objective(wrapper=3, **inputs)
    with pytest.raises(lossmith.InputError, match="wrapped as it is"):
        objective(masses=masses, wrapper="net", **inputs)


def test_a_step_of_mass_zero_is_a_connected_zero():
    net, given = Net(), batch(3)
    objective = lossmith.CrossEntropy() + lossmith.Uncertainty() * lossmith.L2().on(target="goal")
    out = net(given["x"])
    value = objective(
        logits=out["logits"], target=torch.full((3,), -100), prediction=out["prediction"][:0],
        goal=given["goal"][:0], masses={"cross_entropy": 0, "l2": torch.tensor(0.0)},
    )  # fmt: skip
    value.backward()
    assert value == 0
    assert (net.classes.weight.grad == 0).all()


def test_a_term_without_total_says_that_its_mass_is_unknown():
    objective = lossmith.Objective(ours=lossmith.L2(), theirs=torch.nn.L1Loss())
    x = batch()["x"]
    with pytest.raises(lossmith.UnsupportedError, match=r"theirs .*no total\(…\)"):
        objective.totals(prediction=x, input=x, target=x)


def test_it_reads_like_the_formula():
    objective = full()
    objective = objective + torch.tensor(2.0) * lossmith.L1().named("extra")
    text = objective.formula()
    assert text == (
        "cross_entropy(logits, target) + 0.3 * center_loss(features, target) "
        "- LinearRamp(start=0.0, stop=0.8, steps=4, after=0) * l2(prediction, goal) "
        "+ Uncertainty('regression') * huber(prediction, goal) + 0.01 * ridge(parameters) "
        "+ weight * extra(prediction, target)"
    )
    shown = repr(objective)
    assert text in shown
    assert "(huber): Huber(delta=0.5, reduction='mean')" in shown
    assert (-lossmith.L1()).formula() == "-l1(prediction, target)"


CE, L2 = lossmith.CrossEntropy, lossmith.L2
Z, Y = torch.randn(4, 3), torch.tensor([0, 1, 2, 1])
ERRORS = {
    "missing": (
        lambda: (CE() + L2())(logits=Z, target=Y), "l2 needs the input 'prediction'.*logits",
    ),
    "missing, bound": (
        lambda: CE().on(logits="coarse")(logits=Z, target=Y), "no term takes.*'logits'.*coarse",
    ),
    "missing word": (
        lambda: CE().on(logits="coarse")(target=Y), "needs the input 'coarse' as its logits",
    ),
    "typo": (lambda: (1 * CE())(logitss=Z, target=Y), "'logitss'; did you mean 'logits'"),
    "unused": (lambda: (1 * CE())(logits=Z, target=Y, features=Z), "no term takes .*'features'"),
    "inside": (
        lambda: (L2() + CE().named("fine"))(prediction=Z, logits=Z, target=Y),
        "Objective: l2: l2: prediction has shape",
    ),
    "the term of two": (
        lambda: (CE() + CE().on(logits="b"))(logits=Z, b=Z[:2], target=Y),
        r"Objective: cross_entropy_2: .*\(2, 3\)",
    ),
    "a number": (lambda: CE() + 3, "3 is no term"),
    "a value": (lambda: CE() + torch.tensor(2.0), "tensor of shape.*result of the call"),
    "a value, left": (lambda: torch.tensor(2.0) + CE(), "tensor of shape"),
    "a class": (lambda: CE() + L2, r"L2 is a class.*L2\(…\)"),
    "a product": (lambda: CE() * L2(), "no product of two losses"),
    "infinite": (lambda: float("inf") * CE(), "weight of inf"),
    "by zero": (lambda: CE() / 0, "divided by 0"),
    "a learned number": (
        lambda: torch.tensor(1.0, requires_grad=True) * CE(), "Uncertainty",
    ),
    "many numbers": (lambda: torch.ones(3) * CE(), r"weight of shape \(3,\)"),
    "negative, learned": (lambda: -(lossmith.Uncertainty() * CE()), "learned weight.*below 0"),
    "reduction": (lambda: CE(reduction="sum") + L2(), 'reduction="sum".*Components are means'),
    "no reduction": (lambda: CE() + torch.nn.L1Loss(reduction="none"), "Components are means"),
    "not one number": (
        lambda: (CE() + (lambda x: x))(logits=Z, target=Y, x=Z), r"term gives shape \(4, 3\)",
    ),
    "no tensor": (lambda: (CE() + (lambda x: 3))(logits=Z, target=Y, x=Z), "term gives int"),
    "double name": (lambda: CE().named("a") + L2().named("a"), "two terms are called 'a'"),
    "a method's name": (lambda: CE().named("parts"), "'parts' cannot be the name"),
    "no word": (lambda: CE().named("a b"), "'a b' cannot be the name"),
    "on what": (lambda: CE().on(logit="z"), "'logit'; did you mean 'logits'"),
    "on a tensor": (lambda: CE().on(logits=Z), "name of an input is a word"),
    "needed": (lambda: CE().on(target=None), "needs its input 'target'"),
    "nothing": (lambda: lossmith.Objective(), "no terms"),
    "masses lack": (
        lambda: (CE() + L2())(logits=Z, target=Y, prediction=Z, masses={"l2": 1}),
        "masses lack 'cross_entropy'",
    ),
    "masses too many": (
        lambda: (1 * CE())(logits=Z, target=Y, masses={"cros_entropy": 1}),
        "did you mean 'cross_entropy'",
    ),
    "masses of no target": (
        lambda: (CE() + L2()).masses([{"logits": Z}]), "mass of cross_entropy needs target",
    ),
    "masses of a slip": (
        lambda: (1 * CE()).masses([{"targets": Y}]), "'targets'; did you mean 'target'",
    ),
    "masses of one batch": (lambda: (1 * CE()).masses({"target": Y}), "one of them is str"),
    "masses of no labels": (
        lambda: (1 * CE()).masses([{"target": 3}]), "cross_entropy: mass_of: target must be",
    ),
    "positional": (lambda: lossmith.Objective(a=lambda x, /: x), "'x' by position only"),
    "a schedule": (lambda: (lambda step: None) * CE(), "gives None at step 0"),
    "steps": (lambda: lossmith.LinearRamp(0, 1, steps=0), "steps = 0"),
    "stop": (lambda: lossmith.CosineRamp(0, float("nan"), steps=3), "stop = nan"),
    "form": (lambda: lossmith.Uncertainty("poisson"), "form='poisson'"),
    "log-variance": (lambda: lossmith.Uncertainty(log_variance=float("inf")), "log_variance = inf"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_errors_name_term_and_input(case):
    call, says = ERRORS[case]
    with pytest.raises(lossmith.InputError, match=says):
        call()


def test_positional_tensors_are_refused():
    with pytest.raises(lossmith.InputError, match=r"2 inputs without a name.*logits=…, target=…"):
        CE().named("a")(Z, Y)
