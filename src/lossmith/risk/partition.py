"""The partition function of Barron's loss: Z(α) = ∫ exp(-ρ(x, α, 1)) dx, for α in [0, 2].

With b = 2 - α and x = √b·sinh t, ρ(x, α, 1) = (b/α)(cosh(t)^α - 1): the branch points of ρ lie at
t = ±iπ/2 whatever α is, and the integrand falls at least like e^-t. So the trapezoidal rule in t
converges geometrically (Trefethen & Weideman 2014, doi:10.1137/130932132): 160 nodes give twelve
digits over all of [0, 2], where an interpolation in α would have to follow the b·log b of Z at 2.
Only torch operations on smooth functions: derivatives in α of any order are torch's.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_NODES = 160
_DIGITS = 42.0  # nodes go on until the integrand has fallen by e^-42
_NEAREST = 1e-12  # |α - 2| that is still told from 0, for Z is continuous there


def log_partition(alpha: Tensor) -> Tensor:
    """Log Z(α) by element, computed in float64, in α's own dtype."""
    a = alpha.to(torch.float64).unsqueeze(-1)
    b = (2.0 - a).clamp(min=_NEAREST)
    with torch.no_grad():  # where the nodes lie does not change the sum, to the digits kept
        step = _reach(a, b) / _NODES
    t = step * torch.arange(_NODES + 1, dtype=torch.float64, device=alpha.device)
    log_cosh = t + torch.log1p(torch.exp(-2 * t)) - math.log(2.0)
    exponent = log_cosh - b * log_cosh * _exprel(a * log_cosh)
    ends = torch.ones(_NODES + 1, dtype=torch.float64, device=alpha.device)
    ends[0] = 0.5  # the integrand is even: half of it, twice
    whole = torch.logsumexp(exponent + torch.log(2 * step * ends), -1)
    return (0.5 * torch.log(b.squeeze(-1)) + whole).to(alpha.dtype)


def _reach(a: Tensor, b: Tensor) -> Tensor:
    """The t at which exp(log cosh t - (b/α)(cosh(t)^α - 1)) is nothing."""
    s = torch.full_like(a, _DIGITS)
    for _ in range(3):  # solves (b/α)(e^{αs} - 1) = s + 42 + …, from above
        need = (s + _DIGITS) / b
        s = torch.log1p(a * need) / a.clamp(min=1e-30)
        s = torch.where(a * need < 1e-12, need, s)
    return s + math.log(2.0)


def _exprel(y: Tensor) -> Tensor:
    """(e^y - 1)/y for y >= 0, with derivatives that keep their digits near 0."""
    small = y < 1.0
    near = torch.where(small, y, 0.0)
    series = torch.zeros_like(near)
    for k in range(19, 0, -1):  # Σ y^(k-1)/k!
        series = series * near + 1.0 / math.factorial(k)
    far = torch.where(small, 1.0, y)
    return torch.where(small, series, torch.expm1(far) / far)
