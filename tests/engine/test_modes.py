"""torch.func, forward mode, torch.compile, autocast, pickling: each against closed forms."""

import copy
import io
import pickle

import mpmath as mp
import pytest
import torch
import torch.nn.functional as F
from torch.autograd import forward_ad
from torch.func import functional_call, grad, hessian, jacrev, jvp, vmap

import lossmith
from engine import cases
from lossmith.formula.ledger import LEDGER
from lossmith.lab.accuracy.measure import Subject, truths

CLOSE = {"rtol": 1e-9, "atol": 1e-11}
MULTICLASS = [f"{k}({m!r})" for k in ("CrammerSinger", "OneVsRest") for m in ("hinge", "logistic")]
ALL = [*cases.ELEMENTWISE, *cases.PROBABILITY, *MULTICLASS]


def same(got, want):
    torch.testing.assert_close(got, want, **CLOSE)


def closed_form(name, z, t):
    """Value, slope and curvature of every element, from the formula at 60 digits."""
    sign = 1.0 if LEDGER[name].family == "residual" else 2 * t - 1
    u = z - t if LEDGER[name].family == "residual" else sign * z
    with mp.workdps(30):
        exact = [
            [float(f) for f in row[:3]]
            for row in truths(Subject(LEDGER[name], "float64", "u"), u.tolist())
        ]
    value, slope, curvature = torch.tensor(exact, dtype=torch.float64).T
    return value, sign * slope, curvature


# The same losses as plain torch operations on the probability of the label.
PLAIN = {
    "cross_entropy": lambda p: -p.log(),
    "focal": lambda p: -((1 - p) ** 2) * p.log(),
    "generalized_cross_entropy": lambda p: (1 - p**0.7) / 0.7,
    "poly1": lambda p: -p.log() + (1 - p),
    "CrammerSinger('hinge')": None,
    "CrammerSinger('logistic')": None,
    "OneVsRest('hinge')": None,
    "OneVsRest('logistic')": None,
}


def plain(name, z, t):
    """One loss for a row z (C,) with label t."""
    hot = (torch.arange(z.shape[-1]) == t[..., None]).double()  # one_hot is not for vmap
    if name in cases.PROBABILITY:
        return PLAIN[name]((z.softmax(-1) * hot).sum(-1))
    psi = (
        (lambda m: (1 - m).clamp(min=0))
        if "hinge" in name
        else (lambda m: torch.log1p(torch.exp(-m)))
    )
    if "Crammer" in name:
        return psi((z * hot).sum(-1) - (z - 1e9 * hot).max(-1).values)
    return psi((2 * hot - 1) * z).sum(-1)


@pytest.mark.parametrize("name", cases.ELEMENTWISE)
def test_function_transforms_of_elementwise_losses(name):
    loss = cases.function(name)
    z, t = cases.elementwise(name, 5, seed=8)
    value, slope, curvature = closed_form(name, z, t)
    same(vmap(grad(lambda a, b: loss(a, b)))(z, t), slope)
    same(vmap(lambda a, b: loss(a, b, reduction="none"))(z, t), value)
    same(jacrev(lambda a: loss(a, t, reduction="none"))(z), slope.diag())
    same(hessian(lambda a: loss(a, t, reduction="sum"))(z), curvature.diag())
    v = torch.linspace(-1, 2, 5, dtype=torch.float64)
    out, tangent = jvp(lambda a: loss(a, t), (z,), (v,))
    same(out, value.mean())
    same(tangent, (slope * v).mean())


@pytest.mark.parametrize("name", PLAIN)
def test_function_transforms_of_rows_of_scores(name):
    loss = cases.function(name)
    z, t = cases.rows(name, (4, 3), seed=9)
    theirs = lambda a, b: plain(name, a, b)  # noqa: E731
    one = lambda a, b: loss(a[None], b[None])  # noqa: E731
    same(loss(z, t, reduction="none"), theirs(z, t))
    same(vmap(grad(one))(z, t), vmap(grad(theirs))(z, t))
    same(jacrev(lambda a: loss(a, t, reduction="none"))(z), jacrev(lambda a: theirs(a, t))(z))
    same(vmap(hessian(one))(z, t), vmap(hessian(theirs))(z, t))
    v = torch.linspace(-1, 2, 12, dtype=torch.float64).reshape(4, 3)
    for got, want in zip(
        jvp(lambda a: loss(a, t), (z,), (v,)),
        jvp(lambda a: theirs(a, t).mean(), (z,), (v,)),
        strict=True,
    ):
        same(got, want)


@pytest.mark.parametrize("name", ["huber", "binary_focal", "focal", "OneVsRest('logistic')"])
def test_forward_mode(name):
    loss = cases.function(name)
    z, t = cases.elementwise(name, 6) if name in cases.ELEMENTWISE else cases.rows(name, (6, 3))
    v = torch.linspace(-1, 2, z.numel(), dtype=z.dtype).reshape(z.shape)
    with forward_ad.dual_level():
        out = forward_ad.unpack_dual(loss(forward_ad.make_dual(z, v), t))
    backward = cases.gradient(loss(z.requires_grad_(), t), z)
    same(out.tangent, (backward * v).sum())


def compiled_inputs(name, dtype=torch.float32):
    if name in cases.ELEMENTWISE:
        z, t = cases.elementwise(name, 8, seed=11)
        return z.to(dtype), t.to(dtype)
    z, t = cases.rows(name, (6, 3), seed=11)
    return z.to(dtype), t


def value_and_gradient(run, z):
    z = z.clone().requires_grad_()
    value = run(z)
    return value.detach(), cases.gradient(value, z)


@pytest.mark.usefixtures("fresh_dynamo")
@pytest.mark.parametrize("name", ALL)
def test_torch_compile_of_functions_and_modules(name):
    loss, module = cases.function(name), cases.module(name)
    z, t = compiled_inputs(name)
    weight = torch.linspace(0.5, 2, len(z))

    def both(z):  # in one graph, told apart by their factors
        return 2 * loss(z, t, sample_weight=weight) + 3 * module(z, t, sample_weight=weight)

    compiled = torch.compile(both, fullgraph=True, backend="aot_eager")
    for got, want in zip(value_and_gradient(compiled, z), value_and_gradient(both, z), strict=True):
        torch.testing.assert_close(got, want, rtol=2e-5, atol=1e-5)


@pytest.mark.usefixtures("fresh_dynamo")
@pytest.mark.parametrize(
    "name", ["l2", "huber", "barron", "binary_focal", "cross_entropy", "focal"]
)
def test_torch_compile_in_evaluation(name):
    loss = cases.function(name)
    z, t = compiled_inputs(name)
    z = z.detach()
    compiled = torch.compile(lambda z: loss(z, t), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(z), loss(z, t), rtol=2e-5, atol=1e-5)


@pytest.mark.usefixtures("fresh_dynamo")
def test_torch_compile_of_several_losses_in_one_graph():
    z, t = compiled_inputs("focal")
    u, target = compiled_inputs("huber")

    def run(z):
        return lossmith.focal(z, t) + lossmith.huber(u, target) + lossmith.cross_entropy(z, t)

    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    for got, want in zip(value_and_gradient(compiled, z), value_and_gradient(run, z), strict=True):
        torch.testing.assert_close(got, want, rtol=2e-5, atol=1e-5)


@pytest.mark.usefixtures("fresh_dynamo")
@pytest.mark.parametrize("options", ["soft", "smoothed", "ignored", "masked", "none"])
def test_torch_compile_with_options(options):
    z, t = cases.rows("focal", (6, 3), seed=12)
    keep = torch.tensor([True, False, True, True, True, True])
    given = {
        "soft": {},
        "smoothed": {"label_smoothing": 0.1, "class_weight": torch.tensor([1.0, 2.0, 3.0])},
        "ignored": {"ignore_index": 1},
        "masked": {"mask": keep},
        "none": {"reduction": "none"},
    }[options]
    target = cases.soft_labels((6, 3)) if options == "soft" else t

    def run(z):
        return lossmith.focal(z, target, gamma=1.5, **given).sum()

    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    for got, want in zip(value_and_gradient(compiled, z), value_and_gradient(run, z), strict=True):
        same(got, want)


@pytest.mark.slow
@pytest.mark.usefixtures("fresh_dynamo")
@pytest.mark.parametrize("name", ["huber", "binary_focal", "cross_entropy"])
def test_torch_compile_down_to_machine_code(name):
    from torch._inductor.cpp_builder import get_cpp_compiler

    try:
        get_cpp_compiler()
    except Exception as error:
        pytest.skip(f"no C++ compiler: {error}")
    loss = cases.function(name)
    z, t = compiled_inputs(name)

    def run(z):
        return loss(z, t)

    compiled = torch.compile(run, fullgraph=True)
    for got, want in zip(value_and_gradient(compiled, z), value_and_gradient(run, z), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["huber", "logistic", "focal", "CrammerSinger('hinge')"])
def test_autocast(name):
    """Under autocast a layer gives bfloat16 scores; the loss is float32, its gradient bfloat16."""
    z, t = compiled_inputs(name)
    half = z.bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = cases.function(name)(half, t)
    assert value.dtype == torch.float32
    exact, slope = value_and_gradient(lambda z: cases.function(name)(z, t), half.detach().double())
    torch.testing.assert_close(value.double(), exact, rtol=1e-5, atol=1e-6)
    gradient = cases.gradient(value, half)
    assert gradient.dtype == torch.bfloat16
    torch.testing.assert_close(gradient.double(), slope, rtol=2**-7, atol=1e-6)


SETTINGS = {
    "huber": {"delta": 0.7},
    "binary_focal": {"gamma": 1.5, "alpha": 0.25, "labels": "signed"},
    "cross_entropy": {"class_weight": torch.tensor([1.0, 2.0, 3.0]), "label_smoothing": 0.1},
    "CrammerSinger('ramp')": {"s": -0.5, "class_weight": torch.tensor([1.0, 2.0, 3.0])},
}


@pytest.mark.parametrize("name", [*cases.ELEMENTWISE, *cases.PROBABILITY, "CrammerSinger('ramp')"])
@pytest.mark.parametrize("road", ["pickle", "deepcopy", "torch.save"])
def test_modules_travel(name, road):
    module = cases.module(name, **SETTINGS.get(name, {}), reduction="sum")
    assert module.state_dict() == {}
    if road == "pickle":
        copied = pickle.loads(pickle.dumps(module))
    elif road == "deepcopy":
        copied = copy.deepcopy(module)
    else:
        file = io.BytesIO()
        torch.save(module, file)
        file.seek(0)
        copied = torch.load(file, weights_only=False)
    z, t = compiled_inputs(name)
    if SETTINGS.get(name, {}).get("labels") == "signed":
        t = 2 * t - 1
    assert repr(copied) == repr(module)
    assert copied.state_dict() == {}
    with cases.on_reference():  # settings travel, whatever engine runs
        assert torch.equal(copied(z, t), module(z, t))


def test_constants_follow_the_module_and_stay_out_of_the_state():
    module = lossmith.CrossEntropy(class_weight=torch.tensor([1.0, 2.0, 3.0]))
    assert dict(module.named_buffers()).keys() == {"class_weight"}
    assert module.state_dict() == {}
    assert list(module.parameters()) == []
    assert module.double().class_weight.dtype == torch.float64
    assert module.to(torch.float32).class_weight.dtype == torch.float32
    assert module.to("meta").class_weight.device.type == "meta"


def test_learned_settings_are_parameters():
    module = lossmith.Huber(delta=torch.nn.Parameter(torch.tensor(0.7)))
    assert list(module.state_dict()) == ["delta"]
    z, t = torch.tensor([0.1, 3.0]), torch.zeros(2)
    module(z, t).backward()
    # ∂/∂δ of δ(|r| - δ/2) is |r| - δ in the tail, and 0 inside; the mean halves it.
    torch.testing.assert_close(module.delta.grad, torch.tensor((3.0 - 0.7) / 2))
    other = lossmith.Huber(delta=torch.nn.Parameter(torch.tensor(9.0)))
    other.load_state_dict(module.state_dict())
    assert other(z, t) == module(z, t)
    copied = pickle.loads(pickle.dumps(module))
    assert copied(z, t) == module(z, t)
    got = functional_call(module, {"delta": torch.tensor(1.0)}, (z, t))
    torch.testing.assert_close(got, F.huber_loss(z, t))
