"""Tensors of every layout, drawn: what a loss reads are the numbers, wherever and however they lie.

The other side is a definition in float64 that reads the same tensors through torch.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lossmith
from engine import cases

DRAWN = settings(
    derandomize=True, deadline=None, max_examples=60, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
CLOSE = {"rtol": 1e-11, "atol": 1e-12}


class Labelled(torch.Tensor):
    """A subclass that changes nothing."""


def stepped(v):
    room = v.new_zeros((*v.shape[:-1], 2 * v.shape[-1])) if v.dim() else v.new_zeros(2)
    view = room[..., ::2] if v.dim() else room[0]
    return view.copy_(v)


def behind(v):
    room = v.new_zeros(v.numel() + 3)
    return room[3:].view(v.shape).copy_(v)


def turned(v):
    return v if v.dim() < 2 else v.transpose(0, -1).contiguous().transpose(0, -1)


def expanded(v):
    """One number along the last dimension, a stride of 0."""
    return v[..., :1].expand(v.shape) if v.dim() and v.numel() else v


def overlapping(v):
    """Neighbours share memory: element [i, j] is [i + 1, j - 1]."""
    if v.numel() < 2:
        return v
    return v.flatten().as_strided(v.shape, [1] * v.dim())


def channels_last(v):
    return v.contiguous(memory_format=torch.channels_last) if v.dim() == 4 else v


def odd_bytes(v):
    room = torch.zeros(v.numel() * v.element_size() + 1, dtype=torch.uint8).numpy()
    room[1:] = v.contiguous().flatten().numpy().view("uint8")
    return torch.from_numpy(room[1:].view(v.numpy().dtype)).view(v.shape)


def minus_bit(v):
    """Numbers that lie in memory with the other sign."""
    return torch.complex(torch.zeros_like(v), -v).conj().imag if v.is_floating_point() else v


def zeros(v):
    """Zeros without memory, as autograd makes them."""
    return torch._efficientzerotensor(v.shape, dtype=v.dtype)


_ALL = (
    torch.clone,
    stepped,
    behind,
    turned,
    expanded,
    overlapping,
    channels_last,
    minus_bit,
    zeros,
)
LAYOUTS = {
    **{f.__name__: f for f in _ALL},
    "as_subclass": lambda v: v.as_subclass(Labelled),
    "Parameter": lambda v: torch.nn.Parameter(v, requires_grad=False),
    "odd_bytes": lambda v: odd_bytes(v) if v.numel() else v,
}
layouts = st.sampled_from(sorted(LAYOUTS))
seeds = st.integers(0, 2**32 - 1)


def numbers(shape, seed):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def lay(v, *names):
    for name in names:
        v = LAYOUTS[name](v)
    return v


def leaf(v, name):
    """A tensor that requires a gradient, of that layout."""
    return lay(v, name).detach().requires_grad_()


def clean(t):
    """The numbers of a tensor as torch reads them, in memory of their own."""
    t = t.detach().as_subclass(torch.Tensor)
    return (t + torch.zeros((), dtype=t.dtype)).clone() if t.is_floating_point() else t.clone()


def compare(loss, exact, prediction, upstream):
    """Sum and unreduced loss, each with its gradient."""
    z = clean(prediction).requires_grad_()
    want = exact(z)
    got = loss(prediction, "none")
    torch.testing.assert_close(got.detach().as_subclass(torch.Tensor), want.detach(), **CLOSE)
    (slope,) = torch.autograd.grad(got, prediction, upstream)
    (want_slope,) = torch.autograd.grad(want, z, clean(upstream), retain_graph=True)
    torch.testing.assert_close(slope.as_subclass(torch.Tensor), want_slope, **CLOSE)
    total = loss(prediction, "sum")
    (slope,) = torch.autograd.grad(total, prediction)
    (want_slope,) = torch.autograd.grad(want.sum(), z)
    torch.testing.assert_close(total.item(), want.sum().item(), **CLOSE)
    torch.testing.assert_close(slope.as_subclass(torch.Tensor), want_slope, **CLOSE)


@DRAWN
@given(
    shape=st.lists(st.sampled_from([1, 2, 3, 5, 8, 33, 64, 65]), max_size=3), seed=seeds,
    names=st.tuples(layouts, layouts, layouts, layouts, layouts), short=st.booleans(),
)  # fmt: skip
def test_one_loss_for_each_element(shape, seed, names, short):
    prediction = leaf(numbers(shape, seed), names[0])
    target = lay(numbers(shape, seed + 1), names[1])
    rows = [1] * len(shape) if short else shape
    weight = lay(numbers(rows, seed + 2).abs().round(decimals=1), names[2])
    mask = lay(numbers(rows, seed + 3) > -1, names[3])
    upstream = lay(numbers(shape, seed + 4), names[4])
    t, w, keep = clean(target), clean(weight), clean(mask)

    def exact(z):
        u = z - t
        each = torch.where(u.abs() <= 1, u * u / 2, u.abs() - 0.5)
        return torch.where(keep, w * each, 0.0)

    compare(
        lambda z, reduction: lossmith.huber(
            z, target, sample_weight=weight, mask=mask, reduction=reduction
        ),
        exact, prediction, upstream,
    )  # fmt: skip


@st.composite
def inner_shapes(draw):
    """(N, C, d1, …) around panels of 64 rows, which may cross from one example to the next."""
    classes = draw(st.integers(2, 5))
    inside = draw(st.lists(st.integers(1, 9), max_size=3))
    most = max(1, 200 // math.prod(inside))
    return [draw(st.integers(1, most)), classes, *inside]


@pytest.mark.parametrize("name", ["cross_entropy", "OneVsRest('hinge')"])
@DRAWN
@given(
    shape=inner_shapes(), seed=seeds, names=st.tuples(layouts, layouts, layouts, layouts, layouts),
    several=st.booleans(), width=st.sampled_from([torch.int64, torch.int32, torch.uint8]),
)  # fmt: skip
def test_one_loss_for_each_row_of_scores(name, shape, seed, names, several, width):
    loss = cases.function(name)
    rows, classes = [shape[0], *shape[2:]], shape[1]
    prediction = leaf(numbers(shape, seed), names[0])
    label = torch.randint(0, classes, rows, generator=torch.Generator().manual_seed(seed))
    target = lay(label.to(width if several else torch.int64), names[1])
    weight = lay(numbers(rows, seed + 2).abs().round(decimals=1), names[2])
    per_class = lay(numbers([classes], seed + 3).abs(), names[3])
    upstream = lay(numbers(rows, seed + 4), names[4])
    y, w, c = clean(target).long(), clean(weight), clean(per_class)
    w = w * c[y]

    def exact(z):
        hot = F.one_hot(y, classes).movedim(-1, 1).bool()
        if name == "cross_entropy":
            each = torch.logsumexp(z, 1) - (z * hot).sum(1)
        else:
            each = (1 - torch.where(hot, z, -z)).clamp(min=0).sum(1)
        return w * each

    compare(
        lambda z, reduction: loss(
            z, target, sample_weight=weight, class_weight=per_class, reduction=reduction
        ),
        exact, prediction, upstream,
    )  # fmt: skip


@settings(DRAWN, max_examples=40)
@given(seed=seeds, names=st.tuples(layouts, layouts, layouts, layouts, layouts, layouts))
def test_a_linear_layer(seed, names):
    rows, width, classes = 7, 3, 4
    features, weight, bias = (
        leaf(numbers(s, seed + k), names[k])
        for k, s in enumerate(([rows, width], [classes, width], [classes]))
    )
    label = torch.randint(0, classes, (rows,), generator=torch.Generator().manual_seed(seed))
    target = lay(label, names[3])
    sample_weight = lay(numbers([rows], seed + 4).abs().round(decimals=1), names[4])
    upstream = lay(numbers([rows], seed + 5), names[5])
    y, w = clean(target), clean(sample_weight)
    x, m, b = (clean(t).requires_grad_() for t in (features, weight, bias))
    scores = x @ m.T + b
    want = w * (torch.logsumexp(scores, 1) - scores[torch.arange(rows), y])
    wanted = torch.autograd.grad(want, (x, m, b), clean(upstream), retain_graph=True)
    for reduction, given_upstream in (("none", upstream), ("sum", None)):
        got = lossmith.linear_loss(
            features, weight, target, bias, sample_weight=sample_weight, reduction=reduction,
            block=3,
        )  # fmt: skip
        exact = want if reduction == "none" else want.sum()
        torch.testing.assert_close(got.detach().as_subclass(torch.Tensor), exact.detach(), **CLOSE)
        found = torch.autograd.grad(got, (features, weight, bias), given_upstream)
        for a, e in zip(found, wanted, strict=True):
            torch.testing.assert_close(a.as_subclass(torch.Tensor), e, **CLOSE)
        wanted = torch.autograd.grad(want.sum(), (x, m, b), retain_graph=True)


def freed(v):
    v.untyped_storage().resize_(0)
    return v


def test_a_part_of_what_was_let_go_is_refused():
    """It has an address: as many bytes from 0 as it began from the start."""
    whole = torch.ones(9)
    part = whole[5:]
    freed(whole)
    for prediction, target in ((part, torch.zeros(4)), (torch.zeros(4), part)):
        with pytest.raises(lossmith.InputError, match="its storage was freed"):
            lossmith.huber(prediction, target)


def test_a_part_of_zeros_without_memory_is_read_as_zeros():
    part, ones = torch._efficientzerotensor((9,))[5:], torch.ones(4)
    assert lossmith.l2(part, ones) == lossmith.l2(ones, part) == 1


@pytest.mark.parametrize("place", ["prediction", "target", "upstream"])
def test_memory_that_was_let_go_is_refused(place):
    given_ = {"prediction": torch.ones(4), "target": torch.zeros(4)}
    if place != "upstream":
        given_[place] = freed(given_[place])
        with pytest.raises(lossmith.InputError, match="its storage was freed"):
            lossmith.huber(**given_)
        return
    z = given_["prediction"].requires_grad_()
    each = lossmith.huber(z, given_["target"], reduction="none")
    with pytest.raises(lossmith.InputError, match="its storage was freed"):
        torch.autograd.grad(each, z, freed(torch.ones(4)))


def test_the_default_device_is_not_that_of_the_gradient():
    """Under `with torch.device(...)`, memory that names no device would lie elsewhere."""
    z = torch.randn(5, requires_grad=True)
    mean, each = (
        lossmith.huber(z, torch.zeros(5)),
        lossmith.huber(z, torch.zeros(5), reduction="none"),
    )
    with torch.device("meta"):
        first, second = torch.autograd.grad(mean, z)[0], torch.autograd.grad(each.sum(), z)[0]
    assert torch.equal(second, z.detach().clamp(-1, 1))
    torch.testing.assert_close(first, second / 5)
