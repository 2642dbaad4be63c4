"""Many upstream gradients at once, recorded calls, compiled transforms: each kind of loss."""

import warnings

import pytest
import torch
from torch.autograd import gradcheck
from torch.autograd.functional import jacobian
from torch.func import grad, vmap

import lossmith
from lossmith.lab.support.rows import rows
from lossmith.lab.support.table import measure

ROWS = rows()
KINDS = [
    "huber", "binary_focal", "cross_entropy", "CrammerSinger(hinge)", "OneVsRest(binary_focal)",
    "kl_divergence", "js_divergence", "LinearLoss", "CenterLoss, gradient", "AdaptiveLoss",
]  # fmt: skip


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("name", KINDS)
def test_gradcheck_with_batched_gradients(name, reduction):
    row = ROWS[name]
    z, t = row.draw(3, 1)
    loss = row.make("Module", reduction)
    assert gradcheck(lambda a: loss(a, t), (z.requires_grad_(),), check_batched_grad=True)


OPTIONS = {
    "weight": {"sample_weight": torch.tensor([0.5, 0.0, 2.0, 1.0]).double()},
    "mask": {"mask": torch.tensor([True, False, True, True])},
    "ignored": {"ignore_index": 1},
    "smoothed": {"label_smoothing": 0.1, "class_weight": torch.tensor([1.0, 2.0, 0.0]).double()},
    "learned": {"alpha": torch.tensor([1.0, 2.0, 0.5]).double()},
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_each_of_many_is_as_if_alone(options, dtype):
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(1)).to(dtype).requires_grad_()
    y = torch.tensor([0, 1, 2, 1])
    for reduction in ("mean", "none"):
        value = lossmith.focal(z, y, reduction=reduction, **OPTIONS[options])
        upstream = torch.randn(5, *value.shape, dtype=value.dtype)
        (many,) = torch.autograd.grad(value, z, upstream, is_grads_batched=True, retain_graph=True)
        assert not many.requires_grad
        one = [torch.autograd.grad(value, z, u, retain_graph=True)[0] for u in upstream]
        close = {"rtol": 2e-2, "atol": 1e-2} if dtype == torch.bfloat16 else {}
        torch.testing.assert_close(many, torch.stack(one), **close)

        def slope(u, value=value):
            return torch.autograd.grad(value, z, u, retain_graph=True)[0]

        torch.testing.assert_close(vmap(slope)(upstream), torch.stack(one), **close)


def test_a_vectorized_jacobian():
    z = torch.randn(6, dtype=torch.float64)
    t = torch.zeros(6, dtype=torch.float64)
    got = jacobian(lambda a: lossmith.huber(a, t, reduction="none"), z, vectorize=True)
    torch.testing.assert_close(got, z.clamp(-1, 1).diag())
    forwards = jacobian(
        lambda a: lossmith.binary_focal(a, t, gamma=0.0, reduction="none"), z,
        vectorize=True, strategy="forward-mode",
    )  # fmt: skip
    torch.testing.assert_close(forwards, torch.sigmoid(z).diag())


def test_class_parallel_takes_many_in_one_process_and_says_what_it_cannot():
    z = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0, 2, 1, 1])
    value = lossmith.class_parallel_loss(z, y, reduction="none")
    (got,) = torch.autograd.grad(
        value, z, torch.eye(4, dtype=z.dtype), is_grads_batched=True, retain_graph=True
    )
    want = z.detach().softmax(1) - torch.nn.functional.one_hot(y, 3)
    torch.testing.assert_close(got.sum(0), want)
    with pytest.raises(lossmith.UnsupportedError, match="one upstream gradient at a time"):
        vmap(lambda u: torch.autograd.grad(value, z, u, retain_graph=True))(torch.eye(4).double())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(lossmith.UnsupportedError, match="runs eagerly"):
            torch.jit.trace(lambda a: lossmith.class_parallel_loss(a, y), (z.detach(),))


@pytest.mark.parametrize("mode", ["jit.trace", "batched gradients"])
@pytest.mark.parametrize("name", ["l2", "focal", "js_divergence", "LinearLoss", "an own loss"])
def test_modes_of_the_support_page(name, mode):
    assert measure(ROWS[name], mode).outcome == "yes"


@pytest.mark.usefixtures("fresh_dynamo")
def test_compiled_transforms_to_the_third_order():
    """focal(gamma=0) of a score against label 1 is softplus(-z): derivatives known by heart."""
    z = torch.tensor([-2.0, 0.3, 1.5], dtype=torch.float64)

    def loss(a):
        return lossmith.binary_focal(a, torch.ones_like(a), gamma=0.0, reduction="sum")

    third = vmap(grad(grad(grad(loss))))
    got = torch.compile(third, fullgraph=True, backend="aot_eager")(z)
    s = torch.sigmoid(z)
    torch.testing.assert_close(got, s * (1 - s) * (1 - 2 * s), rtol=1e-12, atol=1e-14)


def test_a_compiled_transform_whose_derivative_is_missing_says_so():
    cell = measure(ROWS["AdaptiveLoss"], "compile(vmap(grad))")
    assert cell.outcome == "no"
    assert cell.note.endswith("Give alpha as a number, or leave out torch.compile.")
