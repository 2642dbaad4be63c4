"""Every ψ once more, from the papers, as anyone would type it in float64 torch.

The other side of `lossmith matrix`, `lossmith support` and `lossmith fuzz`: nothing of the
library is imported here. Parameters are numbers or tensors, their defaults those of the library.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Shape(NamedTuple):
    """ψ(u, **parameters), and where it has a kink or a step, by the same parameters."""

    psi: Callable[..., Tensor]
    kinks: Callable[..., tuple[float, ...]] = lambda **_: ()


def _at(*places: float) -> Callable[..., tuple[float, ...]]:
    return lambda **_: places


def _huber(r: Tensor, delta: Any = 1.0) -> Tensor:
    return torch.where(r.abs() <= delta, r**2 / 2, delta * (r.abs() - delta / 2))


def _smooth_l1(r: Tensor, beta: Any = 1.0) -> Tensor:
    return torch.where(r.abs() < beta, r**2 / (2 * beta), r.abs() - beta / 2)


def _tukey(r: Tensor, c: Any = 4.685) -> Tensor:
    inside = c**2 / 6 * (1 - (1 - (r / c) ** 2) ** 3)
    return torch.where(r.abs() <= c, inside, c**2 / 6)


def _root(r: Tensor, delta: Any = 1.0) -> Tensor:
    x = (r / delta) ** 2
    return delta**2 * x / (1 + torch.sqrt(1 + x))


def _log_cosh(r: Tensor) -> Tensor:
    return r.abs() + torch.log1p(torch.exp(-2 * r.abs())) - torch.log(torch.tensor(2.0).double())


def _cauchy(r: Tensor, c: Any = 2.385) -> Tensor:
    return c**2 / 2 * torch.log1p((r / c) ** 2)


def _welsch(r: Tensor, c: Any = 2.985) -> Tensor:
    return -(c**2) / 2 * torch.expm1(-((r / c) ** 2))


def _geman_mcclure(r: Tensor, c: Any = 1.0) -> Tensor:
    return r**2 / 2 / (1 + (r / c) ** 2)


def _fair(r: Tensor, c: Any = 1.4) -> Tensor:
    return c**2 * (r.abs() / c - torch.log1p(r.abs() / c))


def _pinball(r: Tensor, tau: Any = 0.5) -> Tensor:
    return torch.where(r <= 0, -tau * r, (1 - tau) * r)


def _expectile(r: Tensor, tau: Any = 0.5) -> Tensor:
    return torch.where(r <= 0, tau * r**2, (1 - tau) * r**2)


def _tube(r: Tensor, epsilon: Any = 0.1) -> Tensor:
    return (r.abs() - epsilon).clamp(min=0)


def _barron(r: Tensor, alpha: Any = 1.0, c: Any = 1.0) -> Tensor:
    square = (r / c) ** 2
    if not isinstance(alpha, Tensor) and alpha == 2:
        return square / 2
    b = abs(alpha - 2)
    log = torch.log1p(square / b)
    if not isinstance(alpha, Tensor) and alpha == 0:
        return b / 2 * log
    return b / alpha * torch.expm1(alpha / 2 * log)


RESIDUAL: dict[str, Shape] = {
    "l1": Shape(lambda r: r.abs(), _at(0.0)),
    "l2": Shape(lambda r: r**2),
    "huber": Shape(_huber, lambda delta=1.0: (-delta, delta)),
    "smooth_l1": Shape(_smooth_l1, lambda beta=1.0: (-beta, beta)),
    "tukey_biweight": Shape(_tukey, lambda c=4.685: (-c, c)),
    "pseudo_huber": Shape(_root),
    "log_cosh": Shape(_log_cosh),
    "cauchy": Shape(_cauchy),
    "welsch": Shape(_welsch),
    "geman_mcclure": Shape(_geman_mcclure),
    "fair": Shape(_fair, _at(0.0)),  # smooth there; of these lines, autograd's curvature is not
    "pinball": Shape(_pinball, _at(0.0)),
    "expectile": Shape(_expectile, _at(0.0)),
    "epsilon_insensitive": Shape(_tube, lambda epsilon=0.1: (-epsilon, epsilon, 0.0)),
    "squared_epsilon_insensitive": Shape(
        lambda r, epsilon=0.1: _tube(r, epsilon) ** 2,
        lambda epsilon=0.1: (-epsilon, epsilon, 0.0),
    ),
    "barron": Shape(_barron),
}


def _sigmoid(u: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-u))


def _log_loss(u: Tensor) -> Tensor:
    return torch.logaddexp(torch.zeros_like(u), -u)


def _smoothed_hinge(u: Tensor, gamma: Any = 1.0) -> Tensor:
    low = (1 - gamma - u).clamp(min=0)
    return ((1 - u).clamp(min=0) ** 2 - low**2) / (2 * gamma)


MARGIN: dict[str, Shape] = {
    "zero_one": Shape(lambda u: (u <= 0).to(u.dtype) + 0 * u, _at(0.0)),
    "hinge": Shape(lambda u: (1 - u).clamp(min=0), _at(1.0)),
    "squared_hinge": Shape(lambda u: (1 - u).clamp(min=0) ** 2, _at(1.0)),
    "smoothed_hinge": Shape(_smoothed_hinge, lambda gamma=1.0: (1.0 - gamma, 1.0)),
    "ramp": Shape(
        lambda u, s=-1.0: torch.minimum((1 - u).clamp(min=0), 1 - s + torch.zeros_like(u)),
        lambda s=-1.0: (s, 1.0),
    ),
    "perceptron": Shape(lambda u: (-u).clamp(min=0), _at(0.0)),
    "logistic": Shape(_log_loss),
    "exponential": Shape(lambda u: torch.exp(-u)),
    "modified_huber": Shape(
        lambda u: (1 - u).clamp(min=0) ** 2 - (-1 - u).clamp(min=0) ** 2, _at(-1.0, 1.0)
    ),
    "savage": Shape(lambda u: _sigmoid(-2 * u) ** 2),
    "sigmoid_loss": Shape(lambda u: _sigmoid(-u)),
    "brier": Shape(lambda u: _sigmoid(-u) ** 2),
    "binary_focal": Shape(lambda u, gamma=2.0: _sigmoid(-u) ** gamma * _log_loss(u)),
    "binary_cross_entropy": Shape(_log_loss),
}

# Of u = log p and rest = 1 - p, which loses its digits where it is made from p.
PROBABILITY: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": lambda u, rest: -u,
    "focal": lambda u, rest, gamma=2.0: -u * rest**gamma,
    "generalized_cross_entropy": lambda u, rest, q=0.7: -torch.expm1(q * u) / q,
    "poly1": lambda u, rest, epsilon=1.0: -u + epsilon * rest,
}
