"""Every figure of docs/options.md is worked out again here, by plain torch where it is torch's."""

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import lossmith

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "options.md").read_text(encoding="utf-8")
P = torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.25, 0.7, 0.05]], dtype=torch.float64)
LOGITS, LABEL = P.log(), torch.tensor([0, 2, 1])
HOT = F.one_hot(LABEL, 3).double()
WEIGHT = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
X, T = torch.tensor([1.3], dtype=torch.float64), 0.7
IGNORED = torch.tensor([0, 2, -100])


def torch_ce(target, **options):
    return F.cross_entropy(LOGITS, target, **options)


def ours(target, **options):
    return lossmith.cross_entropy(LOGITS, target, **options)


def focal_meanings():
    p = torch.sigmoid(X)
    ce = -(T * p.log() + (1 - T) * (1 - p).log())
    straight = p * T + (1 - p) * (1 - T)
    soft = torch.tensor([T], dtype=torch.float64)
    return {
        "torchvision, mmdetection, Keras, optax": ce * (1 - straight) ** 2,
        "segmentation_models.pytorch": ce * (1 - torch.exp(-ce)) ** 2,
        "MONAI": ce * torch.sigmoid(-X * (2 * T - 1)) ** 2,
        "kornia": -T * (1 - p) ** 2 * p.log() - (1 - T) * p**2 * (1 - p).log(),
        "Lossmith": lossmith.binary_focal(X, soft),
    }


FIGURES = {
    **focal_meanings(),
    "torch, indices, class weights": torch_ce(LABEL, weight=WEIGHT),
    "torch, the same labels one-hot": torch_ce(HOT, weight=WEIGHT),
    "Lossmith, either": ours(LABEL, class_weight=WEIGHT),
    "torch, indices, smoothing 0.1": torch_ce(LABEL, weight=WEIGHT, label_smoothing=0.1),
    "torch, one-hot, smoothing 0.1": torch_ce(HOT, weight=WEIGHT, label_smoothing=0.1),
    "Lossmith, either, smoothing 0.1": ours(LABEL, class_weight=WEIGHT, label_smoothing=0.1),
    "torch, third row ignored": torch_ce(IGNORED),
    "divided by all rows all the same": torch_ce(IGNORED, reduction="sum") / 3,
    "Lossmith, third row ignored": ours(IGNORED),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_of_the_page(name):
    (line,) = [x for x in PAGE.splitlines() if x.startswith(f"| {name} |")]
    (shown,) = re.findall(r"\d\.\d{4}", line)
    assert shown == f"{float(FIGURES[name]):.4f}"


def test_one_hot_is_the_index_in_every_reduction():
    for options in ({}, {"label_smoothing": 0.1}):
        for reduction in ("mean", "sum", "none"):
            a, b = (
                ours(t, class_weight=WEIGHT, reduction=reduction, **options) for t in (LABEL, HOT)
            )
            torch.testing.assert_close(a, b)


def test_where_a_weighted_and_smoothed_loss_is_smallest():
    """Ours at the smoothed label itself; torch's at (1/2, 1/2) for the page's example."""
    weight, label = torch.tensor([1.0, 9.0], dtype=torch.float64), torch.tensor([0])
    for p, loss in (
        ([0.9, 0.1], lambda z: lossmith.cross_entropy(z, label, class_weight=weight,
                                                      label_smoothing=0.2)),
        ([0.5, 0.5], lambda z: F.cross_entropy(z, label, weight=weight, label_smoothing=0.2)),
    ):  # fmt: skip
        z = torch.tensor([p], dtype=torch.float64).log().requires_grad_()
        (slope,) = torch.autograd.grad(loss(z), z)
        assert float(slope.abs().max()) < 1e-12


def test_the_order_of_effects_in_one_row():
    alpha = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    share = torch.tensor([0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3], dtype=torch.float64)
    psi = -P[0].log() * (1 - P[0]) ** 2
    expected = 2.0 * WEIGHT[0] * (share * alpha * psi).sum()
    total, mass = lossmith.focal.total(
        LOGITS[:1], LABEL[:1], alpha=alpha, class_weight=WEIGHT, label_smoothing=0.1,
        sample_weight=torch.tensor([2.0]),
    )  # fmt: skip
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(mass, 2.0 * WEIGHT[0])  # alpha is no part of it


def test_binary_focal_on_hard_labels_is_torchvisions_formula():
    z = torch.randn(20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    t = (torch.arange(20) % 2).double()
    p = torch.sigmoid(z)
    ce = F.binary_cross_entropy_with_logits(z, t, reduction="none")
    p_t = p * t + (1 - p) * (1 - t)
    expected = (0.25 * t + 0.75 * (1 - t)) * ce * (1 - p_t) ** 2
    got = lossmith.binary_focal(z, t, alpha=0.25, reduction="none")
    torch.testing.assert_close(got, expected)
