"""The lean reference: its digits in every dtype, its limits, and that nothing is read back."""

import ast
import math
import re
from unittest import mock

import pytest
import sympy
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

import lossmith
from engine import cases
from lossmith.engine.choose import CALLS
from lossmith.engine.cpu import engine as kernels
from lossmith.engine.lean import engine as lean_engine
from lossmith.engine.lean import programs, thrift, tree, twins, words
from lossmith.engine.pointwise import register
from lossmith.formula import calculus
from lossmith.formula.calculus import base
from lossmith.formula.ledger import LEDGER
from lossmith.formula.lowering import make
from lossmith.lab.accuracy import measure as accuracy_measure
from lossmith.lab.bench import compositions
from lossmith.lab.definition import loss as definition
from lossmith.link import dtypes

ROWS = [*cases.PROBABILITY, "CrammerSinger('hinge')", "CrammerSinger('logistic')"]
ROWS += ["OneVsRest('hinge')", "OneVsRest('exponential')"]


@pytest.fixture(autouse=True)
def without_kernels(monkeypatch):
    monkeypatch.setattr(kernels, "without", lambda: "the lean reference is under test")


@pytest.fixture
def as_on_a_device(monkeypatch):
    """Computed in the dtype of the loss, and nothing that comes out is looked at."""
    monkeypatch.setattr(lean_engine, "working_dtype", lambda z: dtypes.compute_dtype(z.dtype))
    monkeypatch.setattr(lean_engine, "_finite", lambda result: True)


def both(loss, z, t, upstream=None, **options):
    """Value and gradient, on this road and on the graph's."""
    for road in ("lean", "graph"):
        leaf = z.detach().requires_grad_()
        if road == "lean":
            assert lossmith.engine_for(loss, leaf, t).startswith("reference: no kernel")
            value = loss(leaf, t, **options)
            assert "Backward" in type(value.grad_fn).__name__
        else:
            with cases.on_reference():
                value = loss(leaf, t, **options)
        yield value.detach(), cases.gradient(value, leaf, upstream)


def same(found, wanted, **close):
    for got, want in zip(found, wanted, strict=True):
        assert got.dtype == want.dtype
        torch.testing.assert_close(got, want, equal_nan=True, **close)


def drawn_rows(seed, shape=(7, 4), barred=False):
    g = torch.Generator().manual_seed(seed)
    z = 3 * torch.randn(shape, generator=g, dtype=torch.float64)
    target = torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=g)
    if barred:
        out = (torch.rand(shape, generator=g) < 0.3).scatter_(1, target.unsqueeze(1), False)
        z = z.masked_fill(out, -math.inf)
    return z, target, g


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_rows_of_scores_are_what_the_graph_says(data):
    name = data.draw(st.sampled_from(ROWS))
    plain = "(" not in name
    z, target, g = drawn_rows(
        data.draw(st.integers(0, 999)),
        data.draw(st.sampled_from([(7, 4), (3, 5, 2), (4, 2)])),
        data.draw(st.booleans()),
    )
    rows, options = target.shape, {}
    if data.draw(st.booleans()):
        share = torch.rand(z.shape, generator=g, dtype=torch.float64) * (z > -math.inf)
        kind = data.draw(st.sampled_from(["soft", "half gone", "index"]))
        if kind == "half gone":
            share = share * (share > 0.4) + 1e-3 * (z > -math.inf)
            share = share.scatter_(1, z.argmax(1, keepdim=True), 0.0)
        if kind != "index" and bool((share.sum(1) > 0).all()):
            target = share / share.sum(1, keepdim=True)
    elif data.draw(st.booleans()):
        options["ignore_index"] = 1
    if plain and data.draw(st.booleans()):
        options["label_smoothing"] = 0.2
    if data.draw(st.booleans()):
        options["sample_weight"] = torch.randint(0, 3, rows, generator=g).double()
    if data.draw(st.booleans()):
        options["class_weight"] = torch.linspace(0.0, 2.0, z.shape[1], dtype=torch.float64)
    if data.draw(st.booleans()):
        options["mask"] = torch.rand(rows, generator=g) < 0.6
        if data.draw(st.booleans()):  # what is dropped may hold anything
            z.movedim(1, -1)[~options["mask"]] = data.draw(st.sampled_from([math.nan, math.inf]))
    if name == "focal" and data.draw(st.booleans()):
        options["alpha"] = torch.linspace(0.0, 2.0, z.shape[1], dtype=torch.float64)
    reduction = data.draw(st.sampled_from(["mean", "sum", "none"]))
    upstream = torch.rand(rows if reduction == "none" else (), generator=g).double()
    same(
        *both(cases.function(name), z, target, upstream, reduction=reduction, **options),
        rtol=1e-11,
        atol=1e-12,
    )


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_elements_are_what_the_graph_says(data):
    name = data.draw(st.sampled_from(cases.ELEMENTWISE))
    z, t = cases.elementwise(name, 12, seed=data.draw(st.integers(0, 99)))
    g = torch.Generator().manual_seed(1)
    options = {}
    if LEDGER[name].family == "margin":
        kind = data.draw(st.sampled_from(["hard", "soft", "signed", "int", "bool"]))
        if kind == "soft":
            t = torch.rand(12, generator=g).double()
            z = z[:1].expand(12)
        t = {"signed": 2 * t - 1, "int": t.long(), "bool": t.bool()}.get(kind, t)
        options = {"labels": "signed"} if kind == "signed" else {}
        if LEDGER[name].balanced and data.draw(st.booleans()):
            options["alpha"] = 0.25
    for parameter in LEDGER[name].parameters:
        options[parameter.name] = data.draw(st.sampled_from([parameter.default, 0.3, 0.75]))
    if data.draw(st.booleans()):
        options["sample_weight"] = torch.randint(0, 3, (12,), generator=g).double()
    if data.draw(st.booleans()):
        options["mask"] = torch.rand(12, generator=g) < 0.6
        z = torch.where(options["mask"], z, data.draw(st.sampled_from([math.nan, math.inf])))
    reduction = data.draw(st.sampled_from(["mean", "sum", "none"]))
    upstream = torch.rand(12 if reduction == "none" else (), generator=g).double()
    same(
        *both(cases.function(name), z, t, upstream, reduction=reduction, **options),
        rtol=1e-11,
        atol=1e-12,
    )


@pytest.mark.parametrize("name", cases.RESIDUAL)
def test_residuals_equal_the_definition(name):
    z, t = cases.elementwise(name, 30, seed=4)
    weight = torch.arange(30).double() % 3
    options = definition.Options(sample_weight=weight)
    leaf = z.requires_grad_()
    truth = definition.loss("residual", name, leaf, t, options)
    expected = cases.gradient(truth, leaf)
    value = cases.function(name)(leaf, t, sample_weight=weight)
    torch.testing.assert_close(value, truth, rtol=1e-12, atol=0)
    torch.testing.assert_close(cases.gradient(value, leaf), expected, rtol=1e-11, atol=1e-15)


@pytest.mark.usefixtures("as_on_a_device")
@pytest.mark.parametrize("name", [*cases.ELEMENTWISE, *ROWS])
def test_single_precision_is_enough_where_there_is_no_other(name):
    """Value and gradient as a device computes them, against float64 of the same numbers."""
    loss, rows = cases.function(name), name in ROWS
    z, t = cases.rows(name, (40, 9)) if rows else cases.elementwise(name, 60)
    narrow = z.float().requires_grad_()
    wide = narrow.detach().double().requires_grad_()
    for target in (t, cases.soft_labels((40, 9))) if rows else (t,):
        label = target.float() if target.is_floating_point() else target
        with cases.on_reference():
            truth = loss(wide, label.double() if target.is_floating_point() else target)
        value = loss(narrow, label)
        expected, found = cases.gradient(truth, wide), cases.gradient(value, narrow).double()
        torch.testing.assert_close(value.double(), truth, rtol=2e-6, atol=1e-7)
        assert float((found - expected).abs().max()) <= 4e-6 * float(expected.abs().max())


@pytest.mark.usefixtures("as_on_a_device")
@pytest.mark.parametrize("name", cases.PROBABILITY)
def test_no_digit_of_one_minus_p_is_lost(name):
    """A margin of 30 in float32, where p rounds to 1: value and slopes have all their digits."""
    margins = torch.tensor([17.0, 30.0, 60.0])
    z = torch.stack([margins, torch.zeros(3), torch.full((3,), -1.5)], 1).requires_grad_()
    sure = torch.zeros(3, 3).scatter_(1, torch.zeros(3, 1, dtype=torch.int64), 1.0)
    wide = z.detach().double().requires_grad_()
    with cases.on_reference():
        truth = cases.function(name)(wide, torch.zeros(3, dtype=torch.int64), reduction="none")
    expected = cases.gradient(truth, wide, torch.ones(3).double())
    for target in (torch.zeros(3, dtype=torch.int64), sure):
        value = cases.function(name)(z, target, reduction="none")
        slope = cases.gradient(value, z, torch.ones(3))
        torch.testing.assert_close(value.double(), truth.detach(), rtol=1e-5, atol=1e-37)
        torch.testing.assert_close(slope.double(), expected, rtol=1e-5, atol=1e-37)


@pytest.mark.usefixtures("as_on_a_device")
@pytest.mark.parametrize("name", [*cases.ELEMENTWISE, *ROWS])
def test_infinities_and_nan_as_in_the_graph(name):
    inf, nan = math.inf, math.nan
    if name in ROWS:
        z = torch.tensor(
            [[inf, 1.0, 2.0], [1.0, inf, 2.0], [1.0, -inf, 0.0], [-inf, 5.0, -inf], [nan, 1.0, 2.0]]
        )
        pairs = [(z, torch.tensor([0, 0, 0, 1, 1]))]
    else:
        z, one = torch.tensor([inf, -inf, nan, 0.0, 1e30, -1e30]), torch.ones(6)
        pairs = [(z, 0 * one), (z, one)]
        if LEDGER[name].family == "margin":
            pairs.append((z, 0.5 * one))
    for z, t in pairs:
        z = z.double()
        t = t.double() if t.is_floating_point() else t
        up = torch.ones(len(z), dtype=torch.float64)
        same(*both(cases.function(name), z, t, up, reduction="none"), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["cauchy", "l2", "huber", "binary_focal", "focal", "poly1"])
def test_further_derivatives_go_the_road_of_the_graph(name):
    loss = cases.function(name)
    rows = name in cases.PROBABILITY
    z, t = cases.rows(name, (3, 3)) if rows else cases.elementwise(name, 5)
    weight = torch.tensor([1.0, 0.0, 2.0, 1.0, 0.5])[: len(z)]
    z = z.requires_grad_()
    value = loss(z, t, sample_weight=weight)
    (first,) = torch.autograd.grad(value, z, retain_graph=True)
    (slope,) = torch.autograd.grad(value, z, create_graph=True)
    torch.testing.assert_close(slope, first, rtol=1e-11, atol=1e-14)
    torch.autograd.gradcheck(lambda x: loss(x, t, sample_weight=weight), z)
    torch.autograd.gradgradcheck(lambda x: loss(x, t, sample_weight=weight), z)
    again = torch.autograd.grad(value, z)[0]
    assert torch.equal(again, first)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
def test_what_is_not_finite_is_computed_once_more(monkeypatch, reduction, weighted):
    """On the CPU, where looking costs no wait, by the graph's road and its limits."""
    z, t = cases.elementwise("cauchy", 6)
    options = {"sample_weight": torch.arange(6.0)} if weighted else {}
    up = torch.rand(6 if reduction == "none" else ()).double()
    first = [*both(lossmith.cauchy, z, t, up, reduction=reduction, **options)]
    monkeypatch.setattr(lean_engine, "_finite", lambda result: False)
    again = [*both(lossmith.cauchy, z, t, up, reduction=reduction, **options)]
    for found in (first, again):
        same(*found, rtol=1e-12, atol=1e-15)


class _NothingIsRead(TorchDispatchMode):
    """Fails where a number would have to come back from the device."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name.removeprefix("aten::")
        assert name not in {
            "_local_scalar_dense", "item", "nonzero", "is_nonzero", "equal", "masked_select",
            "unique2", "_unique2", "repeat_interleave", "_to_cpu",
        }, f"{name} waits for the device"  # fmt: skip
        out = function(*args, **(kwargs or {}))
        for tensor in torch.utils._pytree.tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                assert tensor.device.type == "meta", f"{name} leaves the device"
        return out


@pytest.mark.parametrize("case", [*compositions.cases()], ids=lambda case: case.name)
def test_nothing_is_read_back(case):
    if "divergence" in case.name:
        pytest.skip("two distributions run the graph")
    leaf = case.prediction.requires_grad_()
    case.ours(leaf, case.target)  # what a first call prepares is prepared on the CPU
    with _NothingIsRead():
        value = case.ours(leaf, case.target)
        (gradient,) = torch.autograd.grad(value, leaf)
    assert value.shape == ()
    assert (gradient.shape, gradient.dtype) == (leaf.shape, leaf.dtype)


@pytest.mark.parametrize("name", ["l2", "cauchy", "binary_focal", "focal"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_fake_tensors_take_this_road(name, dtype):
    with FakeTensorMode():
        rows = name == "focal"
        z = torch.randn((5, 3) if rows else (5,)).to(dtype).requires_grad_()
        t = torch.zeros(5, dtype=torch.int64) if rows else torch.zeros(5)
        value = cases.function(name)(z, t, sample_weight=torch.ones(5))
        value.backward()
        assert type(value.grad_fn).__name__ == "_ReducedBackward"
    assert z.grad.shape == z.shape
    assert z.grad.dtype == dtype


def test_halves_keep_what_a_loss_scale_saves():
    z = torch.tensor([[2e-4, 0.0], [0.0, 1e-4]], dtype=torch.float16, requires_grad=True)
    target = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    value = lossmith.cross_entropy(z, target)
    (value * 2**14).backward()
    wide = z.detach().double().requires_grad_()
    truth = cases.gradient(F.cross_entropy(wide, target.double()), wide) * 2**14
    torch.testing.assert_close(z.grad.double(), truth, rtol=2e-3, atol=2e-3)


def test_the_caller_s_tensors_are_only_read():
    given = [torch.randn(6, 3), torch.rand(6, 3), torch.randint(0, 3, (6,))]
    kept = [x.clone() for x in given]
    z, t, index = given
    for name in cases.MARGIN:
        cases.function(name)(z.requires_grad_(), t).backward()
    for name in ROWS:
        cases.function(name)(z, index).backward()
        cases.function(name)(z, torch.softmax(t, 1)).backward()
    assert all(torch.equal(a, b) for a, b in zip(given, kept, strict=True))


def measured(fused, name, dtype):
    """The ledger's measure of torch's own value and slope."""

    def run(subject, x):
        z = torch.from_numpy(x).requires_grad_()
        value = fused(z, torch.zeros_like(z), *subject.parameters.values())
        return [value.detach().numpy(), cases.gradient(value, z, torch.ones_like(z)).numpy()]

    with mock.patch.object(accuracy_measure, "lean", run):
        return accuracy_measure.measure(LEDGER[name], dtype, ["lean"], 150)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "fused"),
    [
        ("l2", lambda z, t: F.mse_loss(z, t, reduction="none")),
        ("huber", lambda z, t, s: F.huber_loss(z, t, "none", s)),
        ("smooth_l1", lambda z, t, s: F.smooth_l1_loss(z, t, reduction="none", beta=s)),
    ],
)
def test_twins_that_run_keep_the_ledger_s_digits(name, fused, dtype):
    assert twins.fused(LEDGER[name]) is not None
    assert [row for row in measured(fused, name, dtype) if not row.passed] == []


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("binary_cross_entropy", F.binary_cross_entropy_with_logits),
        ("logistic", F.soft_margin_loss),
    ],
)
def test_twins_that_do_not_run_lose_digits(name, theirs):
    assert twins.fused(LEDGER[name]) is None
    none = lambda z, t: theirs(z, 1 - t, reduction="none")  # noqa: E731
    assert any(not row.passed for row in measured(none, name, "float32"))


def test_cross_entropy_s_twin_loses_what_is_left_of_certainty():
    z = torch.tensor([[20.0, 0.0]], requires_grad=True)
    theirs = F.cross_entropy(z, torch.tensor([0]))
    assert (float(theirs.detach()), float(cases.gradient(theirs, z)[0, 0])) == (0.0, 0.0)
    ours = lossmith.cross_entropy(z, torch.tensor([0]))
    exact = math.log1p(math.exp(-20.0))
    assert float(ours.detach()) == pytest.approx(exact, rel=1e-6)
    assert float(cases.gradient(ours, z)[0, 0]) == pytest.approx(-1 / (1 + math.exp(20)), rel=1e-6)
    assert {"cross_entropy", "binary_cross_entropy_with_logits"} <= set(twins.NOT)
    named = " ".join(record.twin for record in LEDGER.values())
    assert all(name in named for name in (*twins.FUSED, *twins.NOT))


def test_a_form_that_would_not_do_is_not_used(monkeypatch):
    """What is short is held against the plain program where floating point ends."""
    key = register("cauchy, spoiled", base(LEDGER["cauchy"]), ("u",))
    right = thrift.made

    def wrong(*given, **options):
        run = right(*given, **options)
        return lambda u, *rest: tuple(torch.nan_to_num(x, nan=0.0) for x in run(u, *rest))

    monkeypatch.setattr(thrift, "made", wrong)
    chosen = programs.form(key, (0, 1), (), torch.float32)
    assert chosen.factors == (1.0, 1.0)
    value, slope = chosen.run(torch.tensor([math.nan, 2.0]))
    assert bool(value[0].isnan())
    assert bool(slope[0].isnan())


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from([n for n, r in LEDGER.items() if r.family != "divergence"]),
    seed=st.integers(0, 99),
    owned=st.booleans(),
)
def test_short_forms_say_what_programs_say(name, seed, owned):
    record = LEDGER[name]
    key = register(f"{name}, drawn", base(record), ("u", *(p.name for p in record.shape)))
    u = 4 * torch.randn(50, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    u = -u.abs() if record.family == "probability" else u
    numbers = tuple(p.default for p in record.shape)
    form = programs.form(key, (0, 1), numbers, u.dtype, owned=owned)
    given = -u if form.turned else u.clone()
    before = given.clone()
    found = form.run(given, *numbers)
    assert owned or torch.equal(given, before)
    for order, (x, factor) in enumerate(zip(found, form.factors, strict=True)):
        want = programs.partials(key, order)(u, *numbers)[0]
        torch.testing.assert_close(x * factor, want, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", [n for n, r in LEDGER.items() if r.family != "divergence"])
def test_a_short_text_is_made_of_known_words(name):
    record = LEDGER[name]
    expression, shape = base(record), tuple(p.name for p in record.shape)
    outputs = (expression, calculus.derivative(expression, "u"))
    nodes = tree.read(make(outputs, ("u",), shape))
    text = thrift.write(tuple(n for n in nodes if tree.varies(n)), ("u", *shape), owned=False)
    (function,) = ast.parse(text).body
    kinds = {type(line) for line in function.body}
    assert kinds <= {ast.Assign, ast.Delete, ast.Return}
    names = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)}
    steps = {n for n in names if re.fullmatch(r"t\d+|u|dtype|p_\w+", n)}
    assert names - steps <= set(words.NAMESPACE)
    attributes = {n.attr for n in ast.walk(function) if isinstance(n, ast.Attribute)}
    assert all(hasattr(torch.Tensor, a) or hasattr(torch, a) for a in attributes)


@pytest.mark.parametrize("owned", [True, False])
def test_results_are_nobody_else_s(owned):
    """ψ = u is u itself, and e^u its own slope: whoever gets them writes into them."""
    for name, expression in (("u", calculus.U), ("e^u", sympy.exp(calculus.U))):
        key = register(f"{name}, alone", expression, ("u",))
        form = programs.form(key, (0, 1), (), torch.float64, owned=owned)
        u = torch.tensor([0.5, 1.5], dtype=torch.float64)
        value, slope = form.run(u, *())
        assert value.data_ptr() != slope.data_ptr()
        assert owned or u.data_ptr() not in (value.data_ptr(), slope.data_ptr())


def test_this_road_comes_before_the_graph():
    assert [engine.name for engine in CALLS.engines] == ["cpu", "reference"]
    z = torch.zeros(3)
    assert lossmith.engine_for(lossmith.l2, z, z) == (
        "reference: no kernel can be made here: the lean reference is under test"
    )
