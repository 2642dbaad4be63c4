"""Focal without riddles: gamma from 0 to 10 at every logit, alpha per class."""

import mpmath as mp
import pytest
import torch
import torch.nn.functional as F

import lossmith
from engine import cases
from lossmith import ParameterError

GAMMAS = [0.0, 0.3, 0.5, 1.0, 1.5, 2.0, 3.5, 5.0, 10.0]
POINTS = [-1e4, -100.0, -30.0, -1.0, 0.0, 0.3, 1.0, 17.0, 40.0, 100.0, 1e4]


def derivatives(loss, z):
    """Value, slope and curvature of each row, by a differentiable backward."""
    z = z.clone().requires_grad_()
    value = loss(z)
    (slope,) = torch.autograd.grad(value.sum(), z, create_graph=True)
    columns = slope.reshape(len(z), -1).unbind(1)
    second = [torch.autograd.grad(c.sum(), z, retain_graph=True)[0] for c in columns]
    return value.detach(), slope.detach(), torch.stack(second, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gamma", GAMMAS)
def test_binary_derivatives_are_finite_everywhere_and_right(gamma, dtype):
    z = torch.tensor(POINTS, dtype=dtype)
    for label in (0.0, 0.3, 1.0):
        t = torch.full_like(z, label)
        with cases.on_reference():
            found = derivatives(lambda z: lossmith.binary_focal(z, t, gamma, reduction="none"), z)  # noqa: B023
        assert all(torch.isfinite(f).all() for f in found)
    slope = found[1]
    with mp.workdps(50):

        def truth(u):
            p = 1 / (1 + mp.exp(-u))
            return -((1 / (1 + mp.exp(u))) ** gamma) * mp.log(p)

        for i, u in enumerate(POINTS):
            if abs(u) <= 100:
                assert float(slope[i]) == pytest.approx(
                    float(mp.diff(truth, mp.mpf(float(z[i])))),
                    rel=2e-5 if dtype == torch.float32 else 1e-11,
                    abs=1e-37 if dtype == torch.float32 else 1e-300,
                )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("labels", ["index", "one-hot", "smoothed", "soft"])
def test_multiclass_derivatives_are_finite_everywhere(labels, gamma, dtype):
    points = torch.tensor(POINTS, dtype=dtype)
    z = torch.stack([points, torch.zeros_like(points), torch.ones_like(points)], 1)
    label, options = torch.zeros(len(z), dtype=torch.int64), {}
    if labels == "one-hot":
        label = F.one_hot(label, 3).to(dtype)
    elif labels == "soft":
        label = torch.tensor([0.5, 0.3, 0.2], dtype=dtype).expand(len(z), 3)
    elif labels == "smoothed":
        options["label_smoothing"] = 0.1
    with cases.on_reference():
        found = derivatives(
            lambda z: lossmith.focal(z, label, gamma, reduction="none", **options), z
        )
    assert all(torch.isfinite(f).all() for f in found)
    inspected = lossmith.derivatives(lossmith.focal, z, label, gamma=gamma, **options)
    near = {"rtol": 1e-4, "atol": 1e-6} if dtype == torch.float32 else {}
    torch.testing.assert_close(inspected.gradient, found[1], **near)
    torch.testing.assert_close(inspected.hessian, found[2].diagonal(dim1=1, dim2=2), **near)


def test_gamma_0_is_cross_entropy():
    z, t = cases.rows("focal", (9, 5), seed=3)
    weights = torch.linspace(0.5, 2, 5, dtype=torch.float64)
    for target in (t, cases.soft_labels((9, 5), 1)):
        for options in ({}, {"label_smoothing": 0.1}, {"class_weight": weights}):
            torch.testing.assert_close(
                lossmith.focal(z, target, 0.0, **options),
                lossmith.cross_entropy(z, target, **options),
            )


@pytest.mark.parametrize("engine", ["cpu", "reference"])
@pytest.mark.parametrize("classes", [5, 150])  # by panels, by rows
def test_alpha_is_part_of_the_loss_and_not_of_the_mass(classes, engine):
    g = torch.Generator().manual_seed(classes)
    z = torch.randn(8, classes, generator=g, dtype=torch.float64)
    t = torch.randint(0, classes, (8,), generator=g)
    alpha = torch.rand(classes, generator=g, dtype=torch.float64)
    plain = lossmith.focal(z, t, reduction="none")
    if engine == "cpu":
        weighed, total = (
            lossmith.focal(z, t, alpha=alpha, reduction="none"),
            lossmith.focal.total(z, t, alpha=alpha),
        )
    else:
        with cases.on_reference():
            weighed, total = (
                lossmith.focal(z, t, alpha=alpha, reduction="none"),
                lossmith.focal.total(z, t, alpha=alpha),
            )
    torch.testing.assert_close(weighed, alpha[t] * plain)
    torch.testing.assert_close(total[0], weighed.sum())
    assert total[1] == 8
    x = z.clone().requires_grad_()
    first = cases.gradient(lossmith.focal(x, t, alpha=alpha), x)
    expected = cases.gradient((alpha[t] * lossmith.focal(x, t, reduction="none")).mean(), x)
    torch.testing.assert_close(first, expected)


def test_a_learned_alpha_gets_its_gradient():
    z, t = cases.rows("focal", (6, 3), seed=1)
    alpha = torch.ones(3, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(lossmith.focal(z, t, alpha=alpha, reduction="sum"), alpha)
    values = lossmith.focal(z, t, reduction="none")
    torch.testing.assert_close(slope, torch.zeros(3, dtype=values.dtype).index_add(0, t, values))
    weight = torch.ones(3, dtype=torch.float64, requires_grad=True)  # and so does a class weight
    (slope,) = torch.autograd.grad(
        lossmith.focal(z, t, class_weight=weight, reduction="sum"), weight
    )
    torch.testing.assert_close(slope, torch.zeros(3, dtype=values.dtype).index_add(0, t, values))


def test_the_module_takes_alpha_along():
    z, t = cases.rows("focal", (6, 3), seed=1)
    alpha = torch.tensor([0.2, 1.0, 0.5])
    torch.testing.assert_close(lossmith.Focal(alpha=alpha)(z, t), lossmith.focal(z, t, alpha=alpha))
    for one in (0.25, torch.tensor(0.25)):
        with pytest.raises(ParameterError, match=r"alpha = 0.25 is one number.*learning rate"):
            lossmith.Focal(alpha=one)
        with pytest.raises(ParameterError, match=r"one weight for each class.*binary_focal"):
            lossmith.focal(z, t, alpha=one)
