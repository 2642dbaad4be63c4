"""What ψ's properties become in the prediction, against gradients and Hessians on a grid.

Losses are those of `lossmith.lab.definition`, which shares nothing with the library; derivatives
are torch's own. A bound has to hold everywhere and to be reached somewhere.
"""

import math

import pytest
import torch
from torch.func import grad, hessian, vmap

from lossmith.formula.ledger import DIVERGENCES, LEDGER
from lossmith.lab.definition.psi import MARGIN, PROBABILITY
from lossmith.link.links import LINKS, link
from lossmith.link.margin import log_odds
from lossmith.link.reach import Reach

NEAR = 1e-3


def reach(name: str, under: str | None = None) -> Reach:
    made = link((LEDGER | DIVERGENCES)[name], under)
    return made.link.reach(made.link.curve(made.formula))


def rows() -> torch.Tensor:
    """Scores of three classes: the first against one other, against two alike, and drawn."""
    m = torch.linspace(-25, 25, 1501, dtype=torch.float64)
    far, none = torch.full_like(m, -70.0), torch.zeros_like(m)
    g = torch.Generator().manual_seed(0)
    drawn = 4 * torch.randn(1500, 3, dtype=torch.float64, generator=g)
    return torch.cat([torch.stack([m, none, far], 1), torch.stack([m, none, none], 1), drawn])


@pytest.mark.parametrize("name", PROBABILITY)
def test_softmax(name: str) -> None:
    def loss(z: torch.Tensor) -> torch.Tensor:
        away = torch.logsumexp(z[1:], 0) - z[0]
        u = -torch.nn.functional.softplus(away, threshold=1e9)
        return PROBABILITY[name](u, torch.sigmoid(away))

    z, found = rows(), reach(name)
    slopes, bends = vmap(grad(loss))(z), torch.linalg.eigvalsh(vmap(hessian(loss))(z))
    for constant, sizes in (
        (found.lipschitz, slopes.norm(dim=1)),
        (found.lipschitz_sup, slopes.abs().sum(1)),
        (found.smooth, bends.abs().amax(1)),
    ):
        assert constant is not None
        assert sizes.max() <= constant * (1 + 1e-9)
        assert sizes.max() >= constant * (1 - NEAR)
    assert found.convex is bool(bends.min() >= -1e-9)


def test_cross_entropy_in_its_logits() -> None:
    found = reach("cross_entropy")
    assert found.convex is True
    assert found.lipschitz == pytest.approx(math.sqrt(2), rel=1e-12)
    assert found.smooth == pytest.approx(0.5, rel=1e-12)
    assert found.scaled(3.0).smooth == pytest.approx(1.5, rel=1e-12)


@pytest.mark.parametrize("under", ["crammer_singer", "one_vs_rest"])
@pytest.mark.parametrize("name", ["hinge", "logistic", "savage", "ramp", "squared_hinge"])
def test_margins_over_classes(name: str, under: str) -> None:
    psi = MARGIN[name].psi

    def loss(z: torch.Tensor) -> torch.Tensor:
        if under == "one_vs_rest":
            return psi(z[0]) + psi(-z[1:]).sum()
        return psi(z[0] - z[1:].amax())

    z, found = rows() / 3, reach(name, under)
    slopes, bends = vmap(grad(loss))(z), torch.linalg.eigvalsh(vmap(hessian(loss))(z))
    if found.lipschitz is not None and found.lipschitz < math.inf:
        assert slopes.norm(dim=1).max() <= found.lipschitz * (1 + 1e-9)
        assert slopes.norm(dim=1).max() >= found.lipschitz * (1 - NEAR)
        assert slopes.abs().sum(1).max() <= found.lipschitz_sup * (1 + 1e-9)
    if found.smooth is not None and found.smooth < math.inf:
        assert bends.abs().max() <= found.smooth * (1 + 1e-9)
        assert bends.abs().max() >= found.smooth * (1 - NEAR)
    middle = (
        loss_of(loss, (z[1:] + z[:-1]) / 2),
        (loss_of(loss, z[1:]) + loss_of(loss, z[:-1])) / 2,
    )
    below = bool((middle[0] <= middle[1] + 1e-12).all())
    assert found.convex is below


def loss_of(loss, z: torch.Tensor) -> torch.Tensor:
    return vmap(loss)(z)


def test_divergences_lie_between_two_numbers() -> None:
    assert reach("kl_divergence").highest == math.inf
    found = reach("js_divergence")
    assert (found.lowest, found.highest) == (0.0, pytest.approx(math.log(2), rel=1e-12))


def test_symmetric_divergences_say_so() -> None:
    from lossmith.formula.calculus import base
    from lossmith.link.forms import mirrored

    for record in DIVERGENCES.values():
        assert record.symmetric is (mirrored(record) == base(record))


@pytest.mark.parametrize("name", [n for n, r in LEDGER.items() if r.family == "margin"])
def test_a_score_is_log_odds_where_its_sigmoid_is_best(name: str) -> None:
    """Of a class of probability p the expected loss is least at log(p/(1 - p)), on a grid."""
    psi, z = MARGIN[name].psi, torch.linspace(-6, 6, 24001, dtype=torch.float64)
    gaps = []
    for p in (0.1, 0.3, 0.5, 0.8):
        best = z[(p * psi(z) + (1 - p) * psi(-z)).argmin()].item()
        gaps.append(abs(best - math.log(p / (1 - p))))
    focal = name == "binary_focal"  # of probabilities, though not proper
    assert log_odds(LEDGER[name]) is (max(gaps) < 2e-3 or focal)
    if focal:
        assert max(gaps) > 0.1


def test_probabilities_of_scores() -> None:
    z = torch.tensor([[0.0, 1.0], [2.0, -1.0]])
    softmax, margin = LINKS["softmax"], LINKS["margin"]
    torch.testing.assert_close(softmax.probability(z).sum(1), torch.ones(2))
    torch.testing.assert_close(margin.probability(z), 1 / (1 + torch.exp(-z)))
    assert softmax.probable(LEDGER["focal"])
    assert not LINKS["crammer_singer"].probable(LEDGER["logistic"])
