"""The modes of autograd and torch.func: one function each, which checks numbers or raises."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.autograd.functional import hessian as plain_hessian
from torch.autograd.functional import jacobian as plain_jacobian
from torch.func import grad, hessian, jacrev, jvp, vmap

from lossmith.lab.support.rows import Row
from lossmith.lab.support.truth import batch, plain_run, same, value, value_and_slope


def backward(row: Row, form: str) -> None:
    """Value and gradient of the mean, and of the unreduced loss under uneven upstreams."""
    z, t = batch(row)
    plain_run(row, row.make(form), z, t, "mean")
    uneven = torch.linspace(-1, 2, row.each(z, t).numel(), dtype=z.dtype)
    each = row.make(form, "none")
    z = z.requires_grad_()
    losses, exact = each(z, t), row.each(z, t)
    same("losses", losses, exact)
    got = torch.autograd.grad(losses, z, uneven)[0]
    (want,) = torch.autograd.grad(exact, z, uneven)
    same("gradient of the unreduced loss", got, want)


def double_backward(row: Row, form: str) -> None:
    """The Hessian times a vector, through a differentiable backward."""
    z, t = batch(row)
    v = torch.linspace(-1, 2, z.numel(), dtype=z.dtype).view_as(z)
    z = z.requires_grad_()
    found = []
    for loss in (row.make(form), lambda a, b: value(row, a, b)):
        (slope,) = torch.autograd.grad(loss(z, t), z, create_graph=True)
        curved = slope.requires_grad  # a slope of 0 everywhere has no graph in plain torch
        found.append(torch.autograd.grad((slope * v).sum(), z)[0] if curved else slope * 0)
    same("Hessian times a vector", found[0], found[1])


def batched_gradients(row: Row, form: str) -> None:
    """Many upstream gradients in one backward, of the mean and of the unreduced loss."""
    z, t = batch(row)
    z = z.requires_grad_()
    for reduction, exact in (("mean", value(row, z, t)), ("none", row.each(z, t))):
        loss = row.make(form, reduction)
        upstream = torch.linspace(-1, 2, 3 * exact.numel(), dtype=z.dtype).view(3, *exact.shape)
        (got,) = torch.autograd.grad(loss(z, t), z, upstream, is_grads_batched=True)
        (want,) = torch.autograd.grad(exact, z, upstream, is_grads_batched=True)
        same(f"gradients of {reduction!r}", got, want)
    each = row.make(form, "none")
    got = cast(Tensor, plain_jacobian(lambda a: each(a, t), z, vectorize=True))
    same("Jacobian", got, cast(Tensor, plain_jacobian(lambda a: row.each(a, t), z)))


def forward_mode(row: Row, form: str) -> None:
    """torch.func.jvp of the mean."""
    z, t = batch(row)
    v = torch.linspace(-1, 2, z.numel(), dtype=z.dtype).view_as(z)
    loss = row.make(form)
    out, tangent, *_ = jvp(lambda a: loss(a, t), (z,), (v,))
    exact, slope = value_and_slope(row, z, t)
    same("value", out, exact)
    same("tangent", tangent, (slope * v).sum())


def vmap_grad(row: Row, form: str) -> None:
    """Gradients by example: vmap over grad of one row's loss."""
    z, t = batch(row)
    loss = row.make(form)
    got = vmap(grad(lambda a, b: loss(a[None], b[None])))(z, t)
    leaf = z.clone().requires_grad_()
    (want,) = torch.autograd.grad(row.each(leaf, t).sum(), leaf)
    same("gradients by example", got, want)


def reverse_jacobian(row: Row, form: str) -> None:
    """torch.func.jacrev of the unreduced loss."""
    z, t = batch(row)
    loss = row.make(form, "none")
    got = jacrev(lambda a: loss(a, t))(z)
    same("Jacobian", got, plain_jacobian(lambda a: row.each(a, t), z))


def second_derivatives(row: Row, form: str) -> None:
    """torch.func.hessian of the mean."""
    z, t = batch(row)
    loss = row.make(form)
    got = hessian(lambda a: loss(a, t))(z)
    same("Hessian", got, plain_hessian(lambda a: value(row, a, t), z))
