"""The losses once more, one row at a time, as anyone would type them in float64 torch.

This is the other side of `lossmith support`: derivatives are torch's own, of these lines, and
nothing of the library is imported. Margins and probabilities are those of `lossmith matrix`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lossmith.lab.definition.psi import MARGIN, PROBABILITY, RESIDUAL

Each = Callable[[Tensor, Tensor], Tensor]  # (prediction, target) → one loss for each row


def residual(name: str) -> Each:
    """ψ(prediction - target)."""
    psi = RESIDUAL[name].psi
    return lambda z, t: psi(z - t)


def radial(name: str) -> Each:
    """ψ of the distance between two points."""
    psi = RESIDUAL[name].psi
    return lambda z, t: psi(((z - t) ** 2).sum(-1).sqrt())


def margin(name: str) -> Each:
    """ψ(±score), labels 0 and 1."""
    psi = MARGIN[name].psi
    return lambda z, t: psi((2 * t - 1) * z)


def _hot(z: Tensor, t: Tensor) -> Tensor:
    return t.unsqueeze(1) == torch.arange(z.shape[1])


def softmax(name: str) -> Each:
    """ψ(log p, 1 - p) of the label's probability."""

    def each(z: Tensor, t: Tensor) -> Tensor:
        p = (z.exp() / z.exp().sum(1, keepdim=True) * _hot(z, t)).sum(1)
        return PROBABILITY[name](p.log(), 1 - p)

    return each


def crammer_singer(name: str) -> Each:
    """ψ of the label's score less the best other."""

    def each(z: Tensor, t: Tensor) -> Tensor:
        hot = _hot(z, t)
        return MARGIN[name].psi((z * hot).sum(1) - (z - 1e9 * hot).amax(1))

    return each


def one_vs_rest(name: str) -> Each:
    """Σ ψ(±score)."""
    return lambda z, t: MARGIN[name].psi(z * (2.0 * _hot(z, t) - 1)).sum(1)


def kl(z: Tensor, t: Tensor) -> Tensor:
    """Σ t·log(t/q)."""
    return (t * (t.log() - z.log_softmax(1))).sum(1)


def js(z: Tensor, t: Tensor) -> Tensor:
    """Half the divergences of both from their middle."""
    q = z.softmax(1)
    m = (q + t) / 2
    return ((t * (t / m).log()).sum(1) + (q * (q / m).log()).sum(1)) / 2


def center(centers: Tensor) -> Each:
    """½‖x - c_y‖²."""
    return lambda x, t: ((x - centers[t]) ** 2).sum(1) / 2


def linear(weight: Tensor, bias: Tensor) -> Each:
    """Cross-entropy of a linear layer."""
    return lambda x, t: softmax("cross_entropy")(x @ weight.T + bias, t)


def adaptive(u: Tensor, t: Tensor) -> Tensor:
    """Barron's likelihood at alpha = 1 and c = 1, where Z = 2e·K₁(1)."""
    return RESIDUAL["barron"].psi(u - t) + math.log(2 * math.e * 0.6019072301972346)
