"""The chain rule of link/chain.py against automatic differentiation and algebra."""

import pytest
import torch
from torch.func import grad, hessian, vmap

import lossmith
from lossmith.formula.ledger import LEDGER
from lossmith.link import chain
from lossmith.link.forms import through_margin
from lossmith.link.links import link

HALF = 0.5
PSI = {
    "log": (lambda u: -u, lambda u: -torch.ones_like(u), torch.zeros_like),
    "square": (lambda u: u**2, lambda u: 2 * u, lambda u: 2 * torch.ones_like(u)),
    "exp": (
        lambda u: 1 - torch.exp(HALF * u),
        lambda u: -HALF * torch.exp(HALF * u),
        lambda u: -(HALF**2) * torch.exp(HALF * u),
    ),
}


def setting(seed=1):
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(6, 4, dtype=torch.float64, generator=g)
    q = torch.rand(6, 4, dtype=torch.float64, generator=g)
    q[0] = torch.tensor([0.0, 1.0, 0.0, 0.0])
    return z, q


@pytest.mark.parametrize("name", PSI)
def test_softmax(name):
    """Gradient, and the Hessian's diagonal, of Σ_k q_k ψ(log p_k)."""
    psi, slope, curvature = PSI[name]
    z, q = setting()

    def loss(z, q):
        return (q * psi(torch.log_softmax(z, 0))).sum()

    u = torch.log_softmax(z, 1)
    p, a, b = u.exp(), q * slope(u), q * curvature(u)
    torch.testing.assert_close(chain.softmax_gradient(a, p), vmap(grad(loss))(z, q))
    matrices = vmap(hessian(loss))(z, q)
    torch.testing.assert_close(
        chain.softmax_hessian_diagonal(a, b, p), matrices.diagonal(dim1=1, dim2=2)
    )


def test_softmax_on_another_dimension():
    z, q = setting()
    p = z.softmax(1)
    for function, arguments in (
        (chain.softmax_gradient, (q, p)),
        (chain.softmax_hessian_diagonal, (q, -q, p)),
    ):
        torch.testing.assert_close(
            function(*(x.T for x in arguments), dim=0).T, function(*arguments, dim=1)
        )


def test_the_gradient_of_cross_entropy_is_p_minus_y():
    z, _ = setting()
    y = torch.tensor([0, 1, 2, 3, 0, 1])
    hot = torch.nn.functional.one_hot(y, 4).double()
    found = lossmith.derivatives(lossmith.cross_entropy, z, y)
    p = z.softmax(1)
    torch.testing.assert_close(found.gradient, p - hot)
    torch.testing.assert_close(found.hessian, p * (1 - p))


@pytest.mark.parametrize("name", [n for n, r in LEDGER.items() if r.family == "probability"])
@pytest.mark.parametrize("soft", [False, True])
def test_derivatives_are_those_of_the_loss(name, soft):
    """lossmith.derivatives, which uses the chain, against differentiating the loss twice."""
    z, q = setting(2)
    target = q / q.sum(1, keepdim=True) if soft else torch.tensor([0, 1, 2, 3, 0, 1])
    weight = torch.tensor([1.0, 2.0, 0.0, 1.0, 0.5, 1.0], dtype=torch.float64)
    loss = getattr(lossmith, name)
    found = lossmith.derivatives(loss, z, target, sample_weight=weight)

    def one(z, t, w):
        return loss(z[None], t[None], sample_weight=w[None], reduction="sum")

    torch.testing.assert_close(found.gradient, vmap(grad(one))(z, target, weight))
    matrices = vmap(hessian(one))(z, target, weight)
    torch.testing.assert_close(found.hessian, matrices.diagonal(dim1=1, dim2=2))


@pytest.mark.parametrize("kind", ["CrammerSinger", "OneVsRest"])
def test_derivatives_behind_margin_links(kind):
    z, _ = setting(3)
    y = torch.tensor([0, 1, 2, 3, 0, 1])
    module = getattr(lossmith, kind)("logistic")
    found = lossmith.derivatives(module, z, y)

    def one(z, t):
        return module(z[None], t[None])

    torch.testing.assert_close(found.gradient, vmap(grad(one))(z, y))
    matrices = vmap(hessian(one))(z, y)
    torch.testing.assert_close(found.hessian, matrices.diagonal(dim1=1, dim2=2))


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("kind", ["CrammerSinger", "OneVsRest"])
def test_derivatives_of_forbidden_classes_and_soft_labels(kind, soft):
    z, q = setting(4)
    z[1, 2] = -torch.inf
    q[1, 2] = 0.0
    target = q / q.sum(1, keepdim=True) if soft else torch.tensor([0, 1, 2, 3, 0, 1])
    module = getattr(lossmith, kind)("squared_hinge", reduction="sum")
    found = lossmith.derivatives(module, z, target)

    def one(z, t):
        return module(z[None], t[None])

    torch.testing.assert_close(found.gradient, vmap(grad(one))(z, target))
    matrices = vmap(hessian(one))(z, target)
    torch.testing.assert_close(found.hessian, matrices.diagonal(dim1=1, dim2=2))


@pytest.mark.parametrize("far", [1.0, 8.0])
@pytest.mark.parametrize("options", [{}, {"direction": "reverse"}, None])
def test_derivatives_of_divergences(options, far):
    """Both forms of ψ, and where a class has no probability on one side or on both."""
    z, q = setting(5)
    loss = lossmith.js_divergence if options is None else lossmith.kl_divergence
    z, options = far * z, options or {}
    if not options:
        z[1, 2], q[1, 2] = -torch.inf, 0.0
    else:
        q = q + 0.01
    target = q / q.sum(1, keepdim=True)
    found = lossmith.derivatives(loss, z, target, **options)

    def one(z, t):
        return loss(z[None], t[None], reduction="sum", **options)

    torch.testing.assert_close(found.gradient, vmap(grad(one))(z, target))
    matrices = vmap(hessian(one))(z, target)
    torch.testing.assert_close(found.hessian, matrices.diagonal(dim1=1, dim2=2))


@pytest.mark.parametrize("name", [n for n, r in LEDGER.items() if r.family == "probability"])
def test_through_the_margin(name):
    """g(m) = ψ(log σ(m)), at 60 digits: the rewriting changes digits, not the function."""
    import mpmath as mp

    from lossmith.formula import exact
    from lossmith.formula.calculus import base

    record = LEDGER[name]
    values = {p.name: p.default for p in record.shape}
    with mp.workdps(60):
        for m in (-30.0, -1.5, 0.0, 0.3, 8.0, 40.0):
            u = -mp.log1p(mp.exp(-mp.mpf(m)))
            run = exact.function(base(record), ("u", *values))
            expected = run(u, *(mp.mpf(v) for v in values.values()))
            got = exact.evaluate(through_margin(record), m, values)
            assert abs(got - expected) <= 1e-35 * abs(expected)


def test_links_have_names_and_know_their_classes():
    hinge = LEDGER["hinge"]
    assert link(hinge).link.name == "margin"
    assert not link(hinge).classes
    assert link(hinge, "crammer_singer").name == "crammer_singer_hinge"
    assert link(hinge, "one_vs_rest").classes
    assert link(LEDGER["focal"]).link.name == "softmax"
    assert link(LEDGER["focal"]).name == "focal"
