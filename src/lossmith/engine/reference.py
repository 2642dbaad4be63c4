"""The reference engine: every loss in plain torch operations around the formula's own ψ.

It is the oracle of the other engines' tests, and what runs wherever they cannot: under
`torch.compile`, `torch.func`, forward mode, on other devices, for learned parameters, and where
single precision leaves its range on the way to a result that does not: on the CPU it computes in
float64, whatever the dtype of the loss.
A dropped element is replaced before the formula sees it, so nothing of it reaches a gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

import torch
from torch import Tensor

from lossmith.engine.looking import constant_to_tracers
from lossmith.engine.plan import FIXABLE, Call
from lossmith.engine.pointwise import _beyond, partials, pointwise, register
from lossmith.link import chain
from lossmith.link.links import FORMULAS, through_margin

Psi = Callable[[Tensor], Tensor]
Fixed = tuple[tuple[str, int], ...]
_CERTAIN = 1e4  # a margin at which every slope has died, small enough for every dtype
_HARMLESS = 1.0  # what dropped elements are replaced with: every ψ is finite there (-1 for log p)


@constant_to_tracers  # SymPy is not for them
def registered(key: str, through: bool = False, fixed: Fixed = ()) -> str:
    """Register ψ of a formula (or ψ through the margin) for `pointwise`, and return its name."""
    formula = FORMULAS[key]
    name = key + (":margin" if through else "") + "".join(f":{n}={v}" for n, v in fixed)
    if name not in _known:
        from lossmith.formula.calculus import base

        expression = through_margin(formula, fixed) if through else base(formula, fixed)
        names = {n for n, _ in fixed}
        register(name, expression, ("u", *(p.name for p in formula.shape if p.name not in names)))
        _known.add(name)
    return name


_known: set[str] = set()


def _psi(call: Call, through: bool = False, label: Tensor | None = None) -> Psi:
    operation = pointwise(registered(call.loss.key, through, _fixed(call)))
    parameters = _by_class(call, label)
    return lambda u: operation.apply(u, *parameters)


def _fixed(call: Call) -> Fixed:
    """Small whole parameters are part of the expression, as in a kernel; tracers keep numbers."""
    if torch.compiler.is_compiling():
        return ()
    return tuple(
        (p.name, int(v))
        for p, v in zip(call.loss.formula.shape, call.shape_parameters, strict=True)
        if not isinstance(v, Tensor) and v in FIXABLE
    )


def _by_class(call: Call, label: Tensor | None) -> tuple[Any, ...]:
    """Shape parameters that are not fixed; one per class: of each row's, or along dimension 1."""
    fixed = {name for name, _ in _fixed(call)}
    shape = call.loss.formula.shape
    loose = [v for p, v in zip(shape, call.shape_parameters, strict=True) if p.name not in fixed]
    if not call.loss.classes:
        return tuple(loose)
    along = (1, -1) + (1,) * (call.prediction.dim() - 2)
    return tuple(
        p
        if not isinstance(p, Tensor) or not p.dim()
        else p.view(along)
        if label is None
        else p[label]
        for p in loose
    )


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def working_dtype(prediction: Tensor) -> torch.dtype:
    """What a loss is computed in: float64 on the CPU, a compiled graph apart.

    Other devices have it at a price, or not at all.
    """
    if prediction.is_cpu and not torch.compiler.is_compiling():
        return torch.float64
    return compute_dtype(prediction.dtype)


def losses(call: Call) -> tuple[Tensor, Tensor | None]:
    """Losses before reduction, weights applied, 0 where dropped; and the weights (None: all 1)."""
    dtype = compute_dtype(call.prediction.dtype)
    raw, weight = wide_losses(call)
    return raw.to(dtype), None if weight is None else weight.to(dtype)


def wide_losses(call: Call) -> tuple[Tensor, Tensor | None]:
    """The same before rounding: sums of these do not overflow before their mean does."""
    dtype = working_dtype(call.prediction)
    call, z = _in(call, dtype), call.prediction.to(dtype)
    rows = z.shape[:1] + z.shape[2:] if call.loss.classes else z.shape
    keep, weight = call.mask, None
    if call.weight is not None:
        weight = call.weight.to(dtype).expand(rows)
        keep = weight != 0 if keep is None else keep & (weight != 0)
    if call.loss.classes:
        target, keep, weight = _class_target(call, dtype, keep, weight)
        if keep is not None:
            z = torch.where(keep.unsqueeze(1), z, 0.0)
        raw = _CLASS_LINKS[call.loss.kind](call, z, target)
    else:
        target = call.target.to(dtype)
        if keep is not None:
            z = torch.where(keep, z, _HARMLESS)
            target = torch.where(keep, target, _HARMLESS)
        raw = (
            _residual(call, z, target) if call.loss.kind == "residual" else _margin(call, z, target)
        )
    if keep is not None:
        raw = torch.where(keep, raw, 0.0)
        ones = torch.ones((), dtype=dtype, device=z.device)
        weight = torch.where(keep, ones if weight is None else weight, 0.0)
        if call.weight is not None or call.class_weight is not None:
            raw = raw * weight
    elif weight is not None:
        raw = raw * weight
    return raw, None if weight is None else weight.expand(rows)


def _in(call: Call, dtype: torch.dtype) -> Call:
    """The call with its parameters in the dtype that it is computed in."""
    if all(p.dtype == dtype for p in call.parameters if isinstance(p, Tensor)):
        return call
    call = copy(call)
    call.parameters = tuple(p.to(dtype) if isinstance(p, Tensor) else p for p in call.parameters)
    return call


def _residual(call: Call, z: Tensor, target: Tensor) -> Tensor:
    scale = call.scale
    if scale is None:
        return _psi(call)(z - target)
    record = call.loss.formula.scale
    power = record.power if record is not None else 0
    value = _psi(call)((z - target) / scale)
    for _ in range(abs(power)):  # one by one: s² may overflow where s²·ψ₀ does not
        value = value * scale if power > 0 else value / scale
    return value


def _margin(call: Call, z: Tensor, target: Tensor) -> Tensor:
    psi = _psi(call)
    if call.signed:
        return _sided(call, psi(target * z), target)
    if not call.target.is_floating_point():
        return _sided(call, psi((2 * target - 1) * z), target)
    positive, negative = _part(psi, z, target), _part(psi, -z, 1 - target)
    if call.alpha is not None:
        positive, negative = call.alpha * positive, (1 - call.alpha) * negative
    return positive + negative


def _sided(call: Call, value: Tensor, target: Tensor) -> Tensor:
    if call.alpha is None:
        return value
    # Not a `where` of the two numbers: that would be a tensor in single precision.
    return torch.where(target > 0, call.alpha * value, (1 - call.alpha) * value)


def _part(psi: Psi, u: Tensor, share: Tensor, harmless: float = _HARMLESS) -> Tensor:
    """share · ψ(u), where a share of 0 is nothing at all, also beside an infinite ψ."""
    some = share != 0
    stay = some | torch.isnan(u)  # a NaN score counts whatever its share
    return torch.where(
        stay, torch.where(some, share, 1.0) * psi(torch.where(stay, u, harmless)), 0.0
    )


def _class_target(
    call: Call, dtype: torch.dtype, keep: Tensor | None, weight: Tensor | None
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Targets as they are used, with ignored rows dropped and the class weights folded in."""
    if call.hard:
        target = call.target.long()
        counted = target != call.ignore_index
        keep = counted if keep is None else keep & counted
        target = torch.where(keep, target, 0)
        if call.class_weight is not None:
            own = call.class_weight.to(dtype)[target]
            weight = own if weight is None else weight * own
            keep = keep & (own != 0)
        return target, keep, weight
    target = call.target.to(dtype)
    if keep is not None:
        target = torch.where(keep.unsqueeze(1), target, 1.0 / target.shape[1])
    if call.class_weight is not None:
        shape = (1, -1) + (1,) * (target.dim() - 2)
        own = (target * call.class_weight.to(dtype).view(shape)).sum(1)
        weight = own if weight is None else weight * own
        keep = own != 0 if keep is None else keep & (own != 0)
    return target, keep, weight


def _onehot(target: Tensor, like: Tensor) -> Tensor:
    classes = torch.arange(like.shape[1], device=like.device)
    return target.unsqueeze(1) == classes.view((1, -1) + (1,) * (like.dim() - 2))


class _Held(torch.autograd.Function):
    """Scores with their infinities above held at a number that no exponential tells from one.

    Its slope is 1 there as well, which no clamp of torch's has: the limit of a gradient is wanted.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor) -> Tensor:
        several = (z == torch.inf).sum(1, keepdim=True) > 1  # their difference has no limit
        return torch.where(several, torch.nan, z).clamp(max=_beyond(z.dtype))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None: ...

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        return upstream

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        return tangent.clone()


def _held_scores(z: Tensor) -> Tensor:
    return z if torch.compiler.is_compiling() else _Held.apply(z)


def _let_go(value: Tensor, held: Tensor) -> Tensor:
    """Infinite again where it is only so large because a score was held; its slope stays."""
    far = held & (torch.abs(value) > _beyond(value.dtype) / 2**40)
    return value + torch.where(far, torch.copysign(value.new_full((), torch.inf), value), 0.0)


def log_softmax(z: Tensor) -> Tensor:
    """log p over dimension 1; a single score of +∞ is certain."""
    if torch.compiler.is_compiling():
        return torch.log_softmax(z, 1)
    found = torch.log_softmax(_held_scores(z), 1)
    return _let_go(found, (z == torch.inf).any(1, keepdim=True))


def _softmax(call: Call, z: Tensor, target: Tensor) -> Tensor:
    value = _softmax_finite(call, _held_scores(z), target)
    if torch.compiler.is_compiling():
        return value
    return _let_go(value, (z == torch.inf).any(1))


def _softmax_finite(call: Call, z: Tensor, target: Tensor) -> Tensor:
    if call.hard and not call.label_smoothing:
        own = torch.gather(z, 1, target.unsqueeze(1)).squeeze(1)
        value = _psi(call, True, target)(_class_margin(own, z, _onehot(target, z)))
        return value if call.alpha is None else value * call.alpha.to(z.dtype)[target]
    share = _portion(call, z, target)
    # One class at most has a p that may round to 1, where ψ'' need not exist: it goes by its
    # margin, like an index; for the others p ≤ 1/2 and log p is as good.
    best = z.detach().argmax(1, keepdim=True)
    first = _onehot(best.squeeze(1), z)
    margin = _class_margin(torch.gather(z, 1, best).squeeze(1), z, first)
    label = best.squeeze(1)
    top = _part(_psi(call, True, label), margin, torch.gather(share, 1, best).squeeze(1), 0.0)
    u = torch.log_softmax(z, 1)
    return top + _part(_psi(call), u, torch.where(first, 0.0, share), -1.0).sum(1)


def _class_margin(own: Tensor, z: Tensor, hot: Tensor) -> Tensor:
    """z_y - logsumexp(others): log p_y = log σ of it."""
    others = torch.where(hot, -torch.inf, z)
    alone = others.detach().amax(1) == -torch.inf  # every other class is forbidden
    rest = torch.logsumexp(torch.where(alone.unsqueeze(1), 0.0, others), 1)
    return torch.where(alone & (own > -torch.inf), _CERTAIN, own - rest)


def _share(call: Call, z: Tensor, target: Tensor) -> Tensor:
    """q_k: the label as a distribution over the allowed classes, smoothed if asked for."""
    share = _onehot(target, z).to(z.dtype) if call.hard else target
    if call.label_smoothing:
        allowed = z.detach() > -torch.inf
        spread = call.label_smoothing / allowed.sum(1, keepdim=True).to(z.dtype)
        share = (1 - call.label_smoothing) * share + torch.where(allowed, spread, 0.0)
    return share


def _portion(call: Call, z: Tensor, target: Tensor) -> Tensor:
    """The share times alpha_k, what ψ(log p_k) counts."""
    share = _share(call, z, target)
    if call.alpha is None:
        return share
    return share * call.alpha.to(z.dtype).view((1, -1) + (1,) * (z.dim() - 2))


def softmax_derivatives(call: Call) -> tuple[Tensor, Tensor]:
    """Gradient and Hessian diagonal of the unreduced loss, by link/chain.py."""
    narrow, wide = compute_dtype(call.prediction.dtype), working_dtype(call.prediction)
    call, z = _in(call, wide), _held_scores(call.prediction.to(wide))
    rows = z.shape[:1] + z.shape[2:]
    keep, weight = call.mask, None
    if call.weight is not None:
        weight = call.weight.to(z.dtype).expand(rows)
        keep = weight != 0 if keep is None else keep & (weight != 0)
    target, keep, weight = _class_target(call, z.dtype, keep, weight)
    if keep is not None:
        z = torch.where(keep.unsqueeze(1), z, 0.0)
    share = _portion(call, z, target)
    u = torch.log_softmax(z, 1)
    plain = call.hard and not call.label_smoothing  # by its own margin, as its loss goes
    best = target.unsqueeze(1) if plain else z.argmax(1, keepdim=True)
    first = _onehot(best.squeeze(1), z)
    rest = torch.where(first, 0.0, share)
    log_p = torch.where(rest != 0, u, -1.0)
    margin = _class_margin(torch.gather(z, 1, best).squeeze(1), z, first).unsqueeze(1)
    whole = torch.gather(share, 1, best)

    def derivative(key: str, u: Tensor, order: int, label: Tensor | None = None) -> Tensor:
        return partials(key, order)(u, *_by_class(call, label))[0]

    fixed = _fixed(call)
    key, through = (registered(call.loss.key, by_margin, fixed) for by_margin in (False, True))
    slope, curvature = (rest * derivative(key, log_p, order) for order in (1, 2))
    gradient = chain.softmax_gradient(slope, u.exp())
    hessian = chain.softmax_hessian_diagonal(slope, curvature, u.exp())
    a, b = (whole * derivative(through, margin, order, best) for order in (1, 2))
    added = chain.class_margin_derivatives(a, b, z, first)
    gradient, hessian = gradient + added[0], hessian + added[1]
    if weight is not None:
        gradient, hessian = gradient * weight.unsqueeze(1), hessian * weight.unsqueeze(1)
    if keep is not None:
        gradient = torch.where(keep.unsqueeze(1), gradient, 0.0)
        hessian = torch.where(keep.unsqueeze(1), hessian, 0.0)
    return gradient.to(narrow), hessian.to(narrow)


def _crammer_singer(call: Call, z: Tensor, target: Tensor) -> Tensor:
    psi = _psi(call, label=target if call.hard else None)
    if call.hard:
        hot = _onehot(target, z)
        own = torch.gather(z, 1, target.unsqueeze(1)).squeeze(1)
        return psi(_ahead(own, torch.where(hot, -torch.inf, z).max(1).values))
    first = z.max(1, keepdim=True)
    own = _onehot(first.indices.squeeze(1), z)
    second = torch.where(own, -torch.inf, z).max(1, keepdim=True).values
    ahead = _ahead(z, torch.where(own, second, first.values))
    return _part(psi, ahead, target).sum(1)


def _ahead(own: Tensor, rival: Tensor) -> Tensor:
    """own - rival, and certain without a rival: not infinite, where a derivative may be NaN."""
    return torch.where((rival == -torch.inf) & (own > -torch.inf), _CERTAIN, own - rival)


def _one_vs_rest(call: Call, z: Tensor, target: Tensor) -> Tensor:
    psi = _psi(call)
    z = torch.where(z == -torch.inf, -_CERTAIN, z)  # forbidden: surely not this class
    if call.hard:
        return psi(torch.where(_onehot(target, z), z, -z)).sum(1)
    return (_part(psi, z, target) + _part(psi, -z, 1 - target)).sum(1)


_CLASS_LINKS = {
    "softmax": _softmax,
    "crammer_singer": _crammer_singer,
    "one_vs_rest": _one_vs_rest,
}
