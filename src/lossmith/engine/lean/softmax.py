"""Log-probabilities of classes: one row of scores for each loss.

By the margin m = z_b - logsumexp(others) of one class b, and r, the softmax of the others:

    log p_b = log σ(m)    1 - p_b = σ(-m)    p_k = σ(-m)·r_k    ∂m/∂z = e_b - r

b is the label where that is one index, and else the likeliest class, the only one whose p may
round to 1. So no digit of 1 - p is lost, and one exponential of the row serves value and slope.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lossmith.engine.lean.elementwise import Pair, each, times
from lossmith.engine.lean.programs import Form, of_call
from lossmith.engine.lean.words import softplus
from lossmith.engine.protocol import Number
from lossmith.link.forms import MARGIN
from lossmith.link.infinity import beyond
from lossmith.link.link import Call
from lossmith.link.softmax import CERTAIN, portion


def softmax(call: Call, z: Tensor, target: Tensor, orders: tuple[int, ...], factor: Number) -> Pair:
    """Losses, and their gradients times factor (a number, or one for each loss)."""
    if call.hard and not call.label_smoothing:
        return _index(call, z, target.unsqueeze(1), orders, factor)
    return _shares(call, z, target, orders, factor)


def _held(others: Tensor) -> Tensor:
    """One score of +∞ takes all of a row; where every one is -∞, what they get comes to nothing."""
    far = beyond(others.dtype)
    return others.clamp_(-far, far)


def _by_margin(found: Form, own: Tensor, rest: Tensor) -> Tensor:
    """What a form in the margin own - rest takes: infinite without a rival."""
    if found.turned:
        n = rest - own
        return n if found.certain else n.clamp_(min=-CERTAIN)
    m = own - rest
    return m if found.certain else m.clamp_(max=CERTAIN)


def _index(call: Call, z: Tensor, column: Tensor, orders: tuple[int, ...], factor: Number) -> Pair:
    found, run = of_call(call, orders, z.dtype, form_of=MARGIN, label=column)
    others = z.scatter(1, column, -torch.inf)
    m = _by_margin(found, z.gather(1, column), torch.logsumexp(others, 1, keepdim=True))
    value = gradient = None
    alpha = None if call.alpha is None else call.alpha.to(z.dtype)[column]
    for order, x, c in zip(orders, run(m), found.factors, strict=True):
        x = x if alpha is None else x.mul_(alpha)
        if order == 0:
            value = times(x, c).squeeze(1)
        else:
            by = each(x, factor, -c)
            r = torch.softmax(_held(others), 1)
            del others
            gradient = r.scatter_(1, column, -1.0).mul_(by)
    return value, gradient


class _Dense:
    """q_k for every class of a row: a distribution, times what else a class counts."""

    def __init__(self, q: Tensor) -> None:
        self.q, self.nothing = q, q == 0

    def of(self, best: Tensor) -> Tensor:
        """q of one class of each row."""
        return self.q.gather(1, best)

    def times(self, x: Tensor, best: Tensor) -> Tensor:
        """q_k·x_k in place: 0 for the class that goes by its margin, and where q_k is 0."""
        return x.masked_fill_(self.nothing, 0.0).scatter_(1, best, 0.0).mul_(self.q)


class _Smoothed:
    """An index whose row shares a part among its allowed classes: two numbers instead of a row."""

    def __init__(self, z: Tensor, column: Tensor, smoothing: float) -> None:
        self.column, self.nothing = column, z == -torch.inf
        barred = self.nothing.sum(1, keepdim=True, dtype=z.dtype)
        self.each = torch.rsub(barred, z.shape[1]).reciprocal_().mul_(smoothing)
        self.own = self.each + (1 - smoothing)

    def of(self, best: Tensor) -> Tensor:
        return torch.where(best == self.column, self.own, self.each)

    def times(self, x: Tensor, best: Tensor) -> Tensor:
        x = x.masked_fill_(self.nothing, 0.0).scatter_(1, best, 0.0)
        own = x.gather(1, self.column).mul_(self.own)
        return x.mul_(self.each).scatter_(1, self.column, own)


def _shares(call: Call, z: Tensor, target: Tensor, orders: tuple[int, ...], factor: Number) -> Pair:
    best = z.argmax(1, keepdim=True)
    label: _Dense | _Smoothed
    if call.hard and call.alpha is None:
        label = _Smoothed(z, target.unsqueeze(1), call.label_smoothing)
    else:
        as_given = not call.label_smoothing and call.alpha is None
        label = _Dense(target if as_given else portion(call, z, target))
    found, run = of_call(call, orders, z.dtype, form_of=MARGIN, label=best)
    own, others = z.gather(1, best), z.scatter(1, best, -torch.inf)
    rest = torch.logsumexp(others, 1, keepdim=True)
    m = own - rest
    top = dict(zip(orders, run(_by_margin(found, own, rest)), strict=True))
    factors = dict(zip(orders, found.factors, strict=True))
    r = torch.log_softmax(_held(others), 1)
    del others
    u = r - softplus(m)
    q = label.of(best)
    value = gradient = None
    if 0 in top:
        plain, run = of_call(call, (0,), z.dtype)
        (v,) = run(-u if plain.turned else u.clone() if 1 in top else u)
        whole = label.times(v, best).sum(1, keepdim=True)
        del v
        value = times(
            torch.addcmul(whole, q, top[0], value=factors[0] / plain.factors[0]), plain.factors[0]
        ).squeeze(1)
    if 1 in top:
        plain, run = of_call(call, (1,), z.dtype)
        c = plain.factors[0]
        (slope,) = run(u.neg_() if plain.turned else u)
        del u
        slope = label.times(slope, best)
        whole = slope.sum(1, keepdim=True)
        a = q.mul_(top[1])
        # -r_k·(σ(-m)·Σ + a) for each of the others, and a - σ(m)·Σ for the best
        by = torch.mul(torch.sigmoid(-m), whole).add_(a, alpha=factors[1] / c)
        at = torch.mul(torch.sigmoid(m), whole).neg_().add_(a, alpha=factors[1] / c)
        gradient = slope.addcmul_(r.exp_(), by, value=-1).scatter_(1, best, at)
        gradient = each(gradient, factor, c)
    return value, gradient
