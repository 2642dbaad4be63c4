"""Parameters that are tensors: their meaning, their gradients, their domains."""

import math

import pytest
import torch
from torch.nn.utils import parametrize

import lossmith
from engine import cases
from lossmith.formula.ledger import LEDGER

# (loss, parameter) of every parameter there is, through every link that takes it.
ELEMENTWISE = [(n, p.name) for n in cases.ELEMENTWISE for p in LEDGER[n].parameters]
SOFTMAX = [(n, p.name) for n in cases.PROBABILITY for p in LEDGER[n].parameters]
CLASSES = SOFTMAX + [
    (f"{link}({n!r})", p.name)
    for link in ("CrammerSinger", "OneVsRest")
    for n in cases.MARGIN
    for p in LEDGER[n].parameters
]


def record(name):
    return LEDGER[name] if "(" not in name else LEDGER[name.split("'")[1]]


def values(name, parameter, count):
    """Different values around the default, clear of the ends of the domain and of kinks."""
    spec = next(p for p in record(name).parameters if p.name == parameter)
    spread = torch.linspace(-0.07, 0.09, count, dtype=torch.float64)
    start = spec.default
    if not start - 0.1 > spec.domain.low:
        start += 0.2
    if not start + 0.1 < spec.domain.high:
        start -= 0.2
    return start + spread * max(1.0, abs(start)) * (0.5 if spec.domain.high == 1 else 1.0)


def richardson(function, theta, step=1e-3):
    """Central differences of a function of a vector, three steps combined: error ~ step⁶."""
    found = torch.empty_like(theta)
    for i in range(theta.numel()):
        differences = []
        for k in range(3):
            h = step / 2**k
            ends = []
            for side in (1, -1):
                moved = theta.clone()
                moved.view(-1)[i] += side * h
                ends.append(float(function(moved)))
            differences.append((ends[0] - ends[1]) / (2 * h))
        a, b, c = differences
        first, second = (4 * b - a) / 3, (4 * c - b) / 3
        found.view(-1)[i] = (16 * second - first) / 15
    return found


def check_gradient(function, theta):
    theta = theta.detach().requires_grad_()
    (got,) = torch.autograd.grad(function(theta), theta)
    assert got.shape == theta.shape
    want = richardson(function, theta.detach())
    torch.testing.assert_close(got, want, rtol=1e-7, atol=1e-9)
    assert want.abs().max() > 1e-6, "the parameter moves nothing here: a gradient of 0 is no test"


def away_from_moving_kinks(name, parameter, z, t):
    """Drop elements whose kink the parameter could carry across them."""
    u = z - t if record(name).family == "residual" else (2 * t - 1) * z
    kinks = {
        "huber": [1.0], "smooth_l1": [1.0], "tukey_biweight": [4.685], "epsilon_insensitive": [0.1],
        "squared_epsilon_insensitive": [0.1], "smoothed_hinge": [0.0, 1.0], "ramp": [-1.0, 1.0],
    }.get(name, [])  # fmt: skip
    keep = torch.ones_like(u, dtype=torch.bool)
    for k in kinks:
        keep &= ((u.abs() if record(name).family == "residual" else u) - k).abs() > 0.5
    return z[keep], t[keep]


@pytest.mark.parametrize(("name", "parameter"), ELEMENTWISE)
@pytest.mark.parametrize("shape", ["one", "columns", "elements"])
def test_gradients_of_elementwise_losses(name, parameter, shape):
    loss = cases.function(name)
    z, t = away_from_moving_kinks(name, parameter, *cases.elementwise(name, 60, seed=3))
    z, t = z[:12].reshape(4, 3), t[:12].reshape(4, 3)
    size = {"one": (), "columns": (3,), "elements": (4, 3)}[shape]
    theta = values(name, parameter, math.prod(size)).reshape(size)
    weight = torch.linspace(0.2, 2, 12, dtype=torch.float64).reshape(4, 3)
    mask = torch.ones(4, 3, dtype=torch.bool)
    mask[1, 1] = False

    def run(x):
        return loss(z, t, **{parameter: x}, sample_weight=weight, mask=mask)

    check_gradient(run, theta)
    # One loss for each element, with the numbers of its own column.
    columns = theta.expand(4, 3)
    each = loss(z, t, **{parameter: theta}, reduction="none")
    for i in range(4):
        for k in range(3):
            own = loss(z[i, k], t[i, k], **{parameter: columns[i, k]}, reduction="none")
            torch.testing.assert_close(each[i, k], own, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("name", "parameter", "target"),
    [(*case, target) for case in CLASSES for target in ("index", "soft")]
    + [(*case, "smoothed") for case in SOFTMAX],
)
@pytest.mark.parametrize("shape", ["one", "classes"])
def test_gradients_of_losses_over_classes(name, parameter, target, shape):
    loss = cases.function(name)
    z, t = cases.rows(name, (5, 4, 2), seed=5)  # as many rows as no class count
    # Every class is somebody's label, and no row lies where ψ is flat.
    z = z * 0.9 if "ramp" not in name else z * 0.21
    options = {"label_smoothing": 0.2} if target == "smoothed" else {}
    t = cases.soft_labels((5, 4, 2)) if target == "soft" else t
    theta = values(name, parameter, 4 if shape == "classes" else 1)
    theta = theta if shape == "classes" else theta[0]
    if "ramp" in name:
        theta = theta + 0.83  # inside the spread of the margins, but at none of them

    def run(x):
        return loss(z, t, **{parameter: x}, class_weight=torch.arange(1.0, 5), **options)

    check_gradient(run, theta)


@pytest.mark.parametrize("target", ["index", "soft", "smoothed"])
def test_a_parameter_per_class_belongs_to_the_class_of_each_share(target):
    """Σ_k q_k ψ(log p_k; θ_k), written out class by class in plain torch."""
    z, t = cases.rows("focal", (4, 4), seed=6)  # as many rows as classes: nothing may mix them up
    gamma = torch.tensor([0.5, 1.0, 2.0, 3.5], dtype=torch.float64)
    q = torch.nn.functional.one_hot(t, 4).double()
    options = {}
    if target == "soft":
        t = q = cases.soft_labels((4, 4))
    if target == "smoothed":
        q, options = 0.9 * q + 0.025, {"label_smoothing": 0.1}
    p = z.softmax(1)
    want = sum(-q[:, k] * (1 - p[:, k]) ** gamma[k] * p[:, k].log() for k in range(4))
    for given in (gamma, gamma.clone().requires_grad_()):
        got = lossmith.focal(z, t, gamma=given, reduction="none", **options)
        torch.testing.assert_close(got.detach(), want, rtol=1e-10, atol=1e-12)


def test_a_parameter_per_class_of_margins():
    z, t = cases.rows("hinge", (4, 4), seed=7)
    gamma = torch.tensor([0.5, 1.0, 2.0, 3.0], dtype=torch.float64)
    psi = lambda u, g: torch.sigmoid(-u) ** g * torch.log1p(torch.exp(-u))  # noqa: E731
    hot = torch.nn.functional.one_hot(t, 4).bool()
    ahead = z[hot] - z.masked_fill(hot, -1e9).amax(1)
    one = cases.module("CrammerSinger('binary_focal')", gamma=gamma, reduction="none")
    torch.testing.assert_close(one(z, t), psi(ahead, gamma[t]), rtol=1e-10, atol=1e-12)
    rest = cases.module("OneVsRest('binary_focal')", gamma=gamma, reduction="none")
    want = psi(torch.where(hot, z, -z), gamma).sum(1)
    torch.testing.assert_close(rest(z, t), want, rtol=1e-10, atol=1e-12)


def test_derivatives_know_parameters_per_class():
    z, t = cases.rows("focal", (3, 3), seed=8)
    gamma = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    t = cases.soft_labels((3, 3))
    got = lossmith.derivatives(lossmith.focal, z, t, gamma=gamma)
    one = lambda a, b: lossmith.focal(a[None], b[None], gamma=gamma)  # noqa: E731
    want = torch.func.vmap(torch.func.hessian(one))(z, t).diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(got.hessian, want, rtol=1e-9, atol=1e-11)


def test_a_linear_head_learns_a_parameter_per_class():
    head = lossmith.LinearLoss(3, 4, "focal", gamma=torch.full((4,), 2.0, requires_grad=True))
    assert "gamma" in dict(head.named_parameters())
    x, t = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 4
    head(x, t).backward()
    plain = lossmith.focal(head.logits(x), t, gamma=head.gamma)
    (want,) = torch.autograd.grad(plain, head.gamma)
    torch.testing.assert_close(head.gamma.grad, want)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda p: lossmith.huber(torch.zeros(3), torch.zeros(3), p(3, 1)), "repeats along"),
        (lambda p: lossmith.huber(torch.zeros(3), torch.zeros(3), p(2)), "repeats along"),
        (lambda p: lossmith.huber(torch.zeros(2, 3), torch.zeros(2, 3), p(2)), "repeats along"),
        (lambda p: lossmith.focal(torch.eye(2, 3), torch.tensor([0, 1]), p(2)), "3 classes"),
        (lambda p: lossmith.focal(torch.eye(2, 3), torch.tensor([0, 1]), p(2, 3)), "3 classes"),
        (
            lambda p: lossmith.binary_focal(torch.zeros(3), torch.zeros(3), alpha=p(3, 1)),
            "repeats along",
        ),
    ],
)
def test_shapes_without_a_meaning_are_refused(call, says):
    with pytest.raises(lossmith.ShapeError, match=says):
        call(lambda *shape: torch.full(shape, 0.5))


@pytest.mark.parametrize(("name", "parameter"), [*ELEMENTWISE, *CLASSES])
def test_tensors_outside_the_domain_are_refused(name, parameter):
    spec = next(p for p in record(name).parameters if p.name == parameter)
    loss = cases.function(name)
    if name in cases.ELEMENTWISE:
        z, t = cases.elementwise(name, 4)
    else:
        z, t = cases.rows(name, (4, 3))
    bad = [math.nan, math.inf]
    if math.isfinite(spec.domain.low):
        bad.append(spec.domain.low - 0.25)
    if math.isfinite(spec.domain.high):
        bad.append(spec.domain.high + 0.25)
    for number in bad:
        for requires in (True, False):
            theta = torch.tensor(number, requires_grad=requires)
            with pytest.raises(lossmith.ParameterError, match=r"is outside .*keep_inside"):
                loss(z, t, **{parameter: theta})
    # Moved out by an optimiser's step, in place: looked at again.
    theta = torch.tensor(spec.default, requires_grad=True)
    loss(z, t, **{parameter: theta})
    with torch.no_grad():
        theta.fill_(bad[-1])
    with pytest.raises(lossmith.ParameterError):
        loss(z, t, **{parameter: theta})


@pytest.mark.parametrize(("name", "parameter"), [*ELEMENTWISE, *CLASSES])
def test_keep_inside_holds_against_wild_steps(name, parameter):
    spec = next(p for p in record(name).parameters if p.name == parameter)
    start = spec.domain.samples()[1]
    module = cases.module(name, **{parameter: torch.nn.Parameter(torch.tensor(start))})
    assert lossmith.keep_inside(module) is module
    torch.testing.assert_close(float(getattr(module, parameter).detach()), start)
    if name in cases.ELEMENTWISE:
        z, t = cases.elementwise(name, 4)
    else:
        z, t = cases.rows(name, (4, 3))
    (latent,) = module.parameters()
    for step in (-3e4, -3e2, -20.0, 20.0, 3e2, 3e4):
        with torch.no_grad():
            latent.fill_(step)
        value = float(getattr(module, parameter).detach())
        assert value in spec.domain
        module(z.float(), t if t.dtype == torch.int64 else t.float())  # and raises nothing
    # The gradient of the latent number is the chain rule's.
    with torch.no_grad():
        latent.fill_(0.3)
    loss = module(z, t)
    (got,) = torch.autograd.grad(loss, latent)
    free = getattr(module, parameter).detach().requires_grad_()
    (slope,) = torch.autograd.grad(cases.function(name)(z, t, **{parameter: free}), free)
    inner = torch.tensor(0.3, dtype=torch.float64)
    bounded = math.isfinite(spec.domain.low), math.isfinite(spec.domain.high)
    chain = {
        (True, True): inner.sigmoid() * (1 - inner.sigmoid()) * (spec.domain.high - spec.domain.low)
        if all(bounded)
        else None,
        (True, False): inner.sigmoid(), (False, True): -inner.sigmoid(), (False, False): 1.0,
    }[bounded]  # fmt: skip
    torch.testing.assert_close(got.double(), slope.double() * chain, rtol=1e-5, atol=1e-7)


def test_keep_inside_looks_through_modules_and_says_when_there_is_nothing():
    loss = lossmith.Huber(delta=torch.nn.Parameter(torch.tensor(1.0)))
    model = torch.nn.ModuleDict({"a": loss, "b": torch.nn.Linear(2, 2)})
    lossmith.keep_inside(model)
    assert parametrize.is_parametrized(loss, "delta")
    lossmith.keep_inside(model)  # again: nothing is wrapped twice
    assert len(loss.parametrizations["delta"]) == 1
    assert list(loss.state_dict()) == ["parametrizations.delta.original"]
    with pytest.raises(lossmith.InputError, match="no loss with a learned parameter"):
        lossmith.keep_inside(torch.nn.Linear(2, 2))
    at_end = lossmith.Focal(gamma=torch.nn.Parameter(torch.tensor(0.0)))
    with pytest.raises(lossmith.ParameterError, match="strictly inside"):
        lossmith.keep_inside(at_end)


@pytest.mark.parametrize(
    "head",
    [
        lambda **p: lossmith.LinearLoss(4, 3, loss="focal", **p),
        lambda **p: lossmith.ClassParallelLoss("focal", **p),
    ],
    ids=["linear", "class-parallel"],
)
def test_keep_inside_knows_the_losses_of_large_heads(head):
    module = head(gamma=torch.nn.Parameter(torch.tensor(2.0)))
    assert lossmith.keep_inside(module) is module
    with torch.no_grad():
        module.parametrizations["gamma"].original.fill_(-3e4)
    assert float(module.gamma.detach()) >= 0.0


def test_a_learned_quantile_needs_no_formula_of_ours():
    """Training tau alone drives it to the end that is cheapest; inside, always."""
    draw = torch.Generator().manual_seed(2)
    target = torch.randn(200, generator=draw) + 1.0
    loss = lossmith.keep_inside(lossmith.Pinball(tau=torch.nn.Parameter(torch.tensor(0.5))))
    optimiser = torch.optim.SGD(loss.parameters(), lr=50.0)
    for _ in range(30):
        optimiser.zero_grad()
        loss(torch.zeros(200), target).backward()
        optimiser.step()
    assert 0.0 < float(loss.tau.detach()) < 0.05
