"""What people use today: torch's own losses, and each loss as a plain composition of torch's.

The compositions are written from the papers, not from Lossmith's formulas. In float32 they are
the eager rivals; in float64 they are the truth that every result is held against.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from lossmith.errors import UnsupportedError

Loss = Callable[[Tensor, Tensor], Tensor]


def tukey_biweight(r: Tensor, c: float = 4.685) -> Tensor:
    inside = c**2 / 6 * (1 - (1 - (r / c) ** 2) ** 3)
    return torch.where(r.abs() <= c, inside, c**2 / 6)


def huber(r: Tensor, delta: float = 1.0) -> Tensor:
    return torch.where(r.abs() <= delta, r**2 / 2, delta * (r.abs() - delta / 2))


def smooth_l1(r: Tensor, beta: float = 1.0) -> Tensor:
    return torch.where(r.abs() < beta, r**2 / (2 * beta), r.abs() - beta / 2)


def pseudo_huber(r: Tensor, delta: float = 1.0) -> Tensor:
    return delta**2 * (torch.sqrt(1 + (r / delta) ** 2) - 1)


def cauchy(r: Tensor, c: float = 2.385) -> Tensor:
    return c**2 / 2 * torch.log1p((r / c) ** 2)


def welsch(r: Tensor, c: float = 2.985) -> Tensor:
    return c**2 / 2 * (1 - torch.exp(-((r / c) ** 2)))


def geman_mcclure(r: Tensor, c: float = 1.0) -> Tensor:
    x = (r / c) ** 2
    return c**2 / 2 * x / (1 + x)


def fair(r: Tensor, c: float = 1.4) -> Tensor:
    x = r.abs() / c
    return c**2 * (x - torch.log1p(x))


def pinball(r: Tensor, tau: float = 0.5) -> Tensor:
    return torch.where(r <= 0, -tau * r, (1 - tau) * r)


def expectile(r: Tensor, tau: float = 0.5) -> Tensor:
    return torch.where(r <= 0, tau, 1 - tau) * r**2


def barron(r: Tensor, alpha: float = 1.0, c: float = 1.0) -> Tensor:
    b = abs(alpha - 2)
    return b / alpha * (((r / c) ** 2 / b + 1) ** (alpha / 2) - 1)


def smoothed_hinge(m: Tensor, gamma: float = 1.0) -> Tensor:
    rounded = F.relu(1 - m) ** 2 / (2 * gamma)
    return torch.where(m < 1 - gamma, 1 - m - gamma / 2, rounded)


def binary_focal(scores: Tensor, target: Tensor, gamma: float = 2.0) -> Tensor:
    """As torchvision.ops.sigmoid_focal_loss has it, without alpha."""
    p = torch.sigmoid(scores)
    p_target = p * target + (1 - p) * (1 - target)
    losses = F.binary_cross_entropy_with_logits(scores, target, reduction="none")
    return losses * (1 - p_target) ** gamma


def log_p(logits: Tensor, target: Tensor) -> Tensor:
    return torch.log_softmax(logits, 1).gather(1, target.unsqueeze(1)).squeeze(1)


def focal(logits: Tensor, target: Tensor, gamma: float = 2.0) -> Tensor:
    u = log_p(logits, target)
    return -((1 - u.exp()) ** gamma) * u


def generalized_cross_entropy(logits: Tensor, target: Tensor, q: float = 0.7) -> Tensor:
    return (1 - log_p(logits, target).exp() ** q) / q


def poly1(logits: Tensor, target: Tensor, epsilon: float = 1.0) -> Tensor:
    u = log_p(logits, target)
    return -u + epsilon * (1 - u.exp())


# Of the residual r = prediction - target.
OF_RESIDUAL: dict[str, Callable[[Tensor], Tensor]] = {
    "l1": lambda r: r.abs(),
    "l2": lambda r: r**2,
    "huber": huber,
    "smooth_l1": smooth_l1,
    "tukey_biweight": tukey_biweight,
    "pseudo_huber": pseudo_huber,
    "log_cosh": lambda r: torch.log(torch.cosh(r)),
    "cauchy": cauchy,
    "welsch": welsch,
    "geman_mcclure": geman_mcclure,
    "fair": fair,
    "pinball": pinball,
    "expectile": expectile,
    "epsilon_insensitive": lambda r: F.relu(r.abs() - 0.1),
    "squared_epsilon_insensitive": lambda r: F.relu(r.abs() - 0.1) ** 2,
    "barron": barron,
}
# Of the margin m = ±score.
OF_MARGIN: dict[str, Callable[[Tensor], Tensor]] = {
    "zero_one": lambda m: torch.where(m <= 0, 1.0, 0.0) + 0 * m,  # 0·m: a graph to go back through
    "hinge": lambda m: F.relu(1 - m),
    "squared_hinge": lambda m: F.relu(1 - m) ** 2,
    "smoothed_hinge": smoothed_hinge,
    "ramp": lambda m: torch.clamp(1 - m, 0, 2),
    "perceptron": lambda m: F.relu(-m),
    "logistic": lambda m: F.softplus(-m),
    "exponential": lambda m: torch.exp(-m),
    "modified_huber": lambda m: torch.where(m < -1, -4 * m, F.relu(1 - m) ** 2),
    "savage": lambda m: torch.sigmoid(-2 * m) ** 2,
    "sigmoid_loss": lambda m: torch.sigmoid(-m),
    "brier": lambda m: (1 - torch.sigmoid(m)) ** 2,
}
# Of prediction and target.
OF_BOTH: dict[str, Loss] = {
    "binary_focal": binary_focal,
    "binary_cross_entropy": lambda z, t: -t * F.logsigmoid(z) - (1 - t) * F.logsigmoid(-z),
    "cross_entropy": lambda z, t: -log_p(z, t),
    "focal": focal,
    "generalized_cross_entropy": generalized_cross_entropy,
    "poly1": poly1,
}
# torch's own function of the same loss, mean over the elements (rows).
TWINS: dict[str, Loss] = {
    "l1": F.l1_loss,
    "l2": F.mse_loss,
    "huber": F.huber_loss,
    "smooth_l1": F.smooth_l1_loss,
    "logistic": F.soft_margin_loss,
    "binary_cross_entropy": F.binary_cross_entropy_with_logits,
    "cross_entropy": F.cross_entropy,
}
SIGNED = frozenset({"logistic"})  # whose twin takes labels of ±1


def composition(name: str) -> Loss:
    """The plain composition of a loss, mean over the elements (rows); labels are 0 and 1."""
    if name in OF_RESIDUAL:
        of_residual = OF_RESIDUAL[name]
        return lambda prediction, target: of_residual(prediction - target).mean()
    if name in OF_MARGIN:
        of_margin = OF_MARGIN[name]
        return lambda scores, target: of_margin((2 * target - 1) * scores).mean()
    if name in OF_BOTH:
        of_both = OF_BOTH[name]
        return lambda prediction, target: of_both(prediction, target).mean()
    raise UnsupportedError(
        f"{name}: no composition of it is written in lossmith/lab/bench/rivals.py."
    )
