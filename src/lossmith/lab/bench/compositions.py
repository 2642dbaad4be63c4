"""What each loss is counted against: torch's own, or a careful composition of torch's operations.

Careful: whoever writes one for a model by hand keeps it from overflowing, and launches no more than
that takes. Margins have labels of ±1; those of a probability have float labels between 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

import lossmith
from lossmith.formula.ledger import LEDGER
from lossmith.lab.bench import rivals

Loss = Callable[[Tensor, Tensor], Tensor]
ELEMENTS, BATCH, CLASSES = 1 << 20, 8192, 1000


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    name: str
    ours: Loss
    theirs: Loss
    twin: bool  # theirs is torch's own loss
    prediction: Tensor
    target: Tensor


def _log_cosh(r: Tensor) -> Tensor:
    a = r.abs()
    return a + F.softplus(-2 * a) - math.log(2)


def _cross_entropy_of(z: Tensor, q: Tensor) -> Tensor:
    return -(q * torch.log_softmax(z, 1)).sum(1).mean()


def _focal_of(z: Tensor, q: Tensor, gamma: float = 2.0) -> Tensor:
    u = torch.log_softmax(z, 1)
    return -(q * (1 - u.exp()) ** gamma * u).sum(1).mean()


def _smoothed_focal(z: Tensor, target: Tensor, epsilon: float = 0.1) -> Tensor:
    q = torch.full_like(z, epsilon / z.shape[1])
    q.scatter_(1, target.unsqueeze(1), 1 - epsilon + epsilon / z.shape[1])
    return _focal_of(z, q)


def _binary_focal_alpha(z: Tensor, t: Tensor, alpha: float = 0.25) -> Tensor:
    return ((alpha * t + (1 - alpha) * (1 - t)) * rivals.binary_focal(z, t)).mean()


def _binary_cross_entropy(z: Tensor, t: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(z, t)


def _kl(z: Tensor, q: Tensor) -> Tensor:
    return F.kl_div(torch.log_softmax(z, 1), q, reduction="batchmean")


def _js(z: Tensor, q: Tensor) -> Tensor:
    p = torch.softmax(z, 1)
    m = (p + q) / 2
    both = torch.special.xlogy(p, p / m) + torch.special.xlogy(q, q / m)
    return both.sum(1).mean() / 2


def _crammer_singer_hinge(z: Tensor, target: Tensor) -> Tensor:
    column = target.unsqueeze(1)
    rival = z.scatter(1, column, -torch.inf).amax(1)
    return F.relu(1 - z.gather(1, column).squeeze(1) + rival).mean()


def _one_vs_rest_logistic(z: Tensor, target: Tensor) -> Tensor:
    sign = torch.full_like(z, 1.0).scatter_(1, target.unsqueeze(1), -1.0)
    return F.softplus(sign * z).sum(1).mean()


def _weighted(theirs: Loss, weight: Tensor) -> Loss:
    return lambda z, t: (weight * theirs(z, t)).sum() / weight.sum()


def _of_margin(name: str) -> Loss:
    of_margin = rivals.OF_MARGIN[name]
    return lambda z, t: of_margin(t * z).mean()


def _of_residual(name: str) -> Loss:
    of_residual = _log_cosh if name == "log_cosh" else rivals.OF_RESIDUAL[name]
    return lambda z, t: of_residual(z - t).mean()


def _meta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def cases() -> Iterator[Case]:
    """Every loss as it stands, then the options that have a road of their own."""
    z, t = _meta(ELEMENTS), _meta(ELEMENTS)
    scores, index = _meta(BATCH, CLASSES), _meta(BATCH, dtype=torch.int64)
    shares = _meta(BATCH, CLASSES)
    for name, record in LEDGER.items():
        ours, twin = getattr(lossmith, name), rivals.TWINS.get(name)
        if record.family == "residual":
            yield Case(name, ours, twin or _of_residual(name), twin is not None, z, t)
        elif name in rivals.OF_MARGIN:
            ours = partial(ours, labels="signed")
            yield Case(f"{name}, labels ±1", ours, twin or _of_margin(name), twin is not None, z, t)
        elif record.family == "margin":
            theirs = twin or rivals.composition(name)
            yield Case(name, ours, theirs, twin is not None, z, t)
        elif record.family == "probability":
            theirs = twin or rivals.composition(name)
            yield Case(name, ours, theirs, twin is not None, scores, index)
    weight, rows = _meta(ELEMENTS), _meta(BATCH)
    none = "none"
    options: tuple[tuple[str, Loss, Loss, bool, Tensor, Tensor], ...] = (
        ("binary_focal, alpha", partial(lossmith.binary_focal, alpha=0.25), _binary_focal_alpha,
         False, z, t),
        ("l2, weighted", partial(lossmith.l2, sample_weight=weight),
         _weighted(partial(F.mse_loss, reduction=none), weight), True, z, t),
        ("binary_cross_entropy, weighted",
         partial(lossmith.binary_cross_entropy, sample_weight=weight),
         _weighted(partial(F.binary_cross_entropy_with_logits, reduction=none), weight),
         True, z, t),
        ("cross_entropy, weighted", partial(lossmith.cross_entropy, sample_weight=rows),
         _weighted(partial(F.cross_entropy, reduction=none), rows), True, scores, index),
        ("cross_entropy, soft labels", lossmith.cross_entropy, F.cross_entropy,
         True, scores, shares),
        ("cross_entropy, smoothed", partial(lossmith.cross_entropy, label_smoothing=0.1),
         partial(F.cross_entropy, label_smoothing=0.1), True, scores, index),
        ("focal, soft labels", lossmith.focal, _focal_of, False, scores, shares),
        ("focal, smoothed", partial(lossmith.focal, label_smoothing=0.1), _smoothed_focal,
         False, scores, index),
        ("kl_divergence", _divergence("kl_divergence"), _kl, True, scores, shares),
        ("js_divergence", _divergence("js_divergence"), _js, False, scores, shares),
        ("CrammerSinger('hinge')", lossmith.CrammerSinger("hinge").function,
         _crammer_singer_hinge, False, scores, index),
        ("OneVsRest('logistic')", lossmith.OneVsRest("logistic").function,
         _one_vs_rest_logistic, False, scores, index),
    )  # fmt: skip
    for option in options:
        yield Case(*option)


def _divergence(name: str) -> Loss:
    loss = getattr(lossmith, name)
    return lambda z, q: loss(z, target_probs=q)
