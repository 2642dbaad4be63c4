"""Distributions as labels, one class all but certain: what is left of 1 - p still counts."""

import mpmath as mp
import pytest
import torch

import lossmith
from engine import cases

PSI = {  # of u = log p, as the papers have them
    "cross_entropy": lambda u: -u,
    "focal": lambda u: -((-mp.expm1(u)) ** 2) * u,
    "generalized_cross_entropy": lambda u: -mp.expm1(mp.mpf("0.7") * u) / mp.mpf("0.7"),
    "poly1": lambda u: -u - mp.expm1(u),
}
EXACT = {torch.float32: 5e-6, torch.float64: 1e-13}
CLASSES = 5


def truth(name, row, share):
    """Value and gradient of a row of scores, at 60 digits."""
    with mp.workdps(60):
        scores = [mp.mpf(s) for s in row]
        whole = mp.fsum(mp.exp(s) for s in scores)
        u = [s - mp.log(whole) for s in scores]
        value = mp.fsum(q * PSI[name](x) for q, x in zip(share, u, strict=True))
        a = [q * mp.diff(PSI[name], x) for q, x in zip(share, u, strict=True)]
        pull = mp.fsum(a)
        slope = [b - mp.exp(x) * pull for b, x in zip(a, u, strict=True)]
        return float(value), [float(s) for s in slope]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("dtype", EXACT, ids=str)
@pytest.mark.parametrize("name", PSI)
def test_value_and_gradient_keep_their_digits(name, dtype, smoothing):
    g = torch.Generator().manual_seed(4)
    z = 3 * torch.randn(16, CLASSES, generator=g, dtype=torch.float64)
    z[:, 1] += torch.linspace(0, 40, 16, dtype=torch.float64)  # p from usual to 1 - 1e-16
    z = z.to(dtype)
    target = torch.zeros(16, CLASSES, dtype=dtype)
    target[:, 1] = 1.0
    share = [mp.mpf(smoothing) / CLASSES + (k == 1) * (1 - mp.mpf(smoothing)) for k in range(5)]
    wanted = [truth(name, row, share) for row in z.tolist()]
    score = z.clone().requires_grad_()
    loss = getattr(lossmith, name)
    value = loss(score, target, label_smoothing=smoothing, reduction="none")
    slope = cases.gradient(value, score, torch.ones_like(value))
    losses = value.tolist()
    for row, (v, s) in enumerate(wanted):
        assert abs(losses[row] - v) <= EXACT[dtype] * abs(v) + torch.finfo(dtype).tiny
        far = (slope[row].double() - torch.tensor(s, dtype=torch.float64)).abs().max()
        assert float(far) <= EXACT[dtype] * max(abs(x) for x in s) + torch.finfo(dtype).tiny
    # Reduced, the same numbers come from another kernel.
    total = loss(score, target, label_smoothing=smoothing, reduction="sum")
    assert total.item() == pytest.approx(sum(v for v, _ in wanted), rel=EXACT[dtype])
    again = cases.gradient(total, score, torch.ones_like(total))
    torch.testing.assert_close(again, slope, rtol=EXACT[dtype], atol=0)
