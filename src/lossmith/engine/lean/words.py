"""The primitives in few torch operations: what torch has fused where it keeps our digits."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lossmith.engine import torch_math
from lossmith.link.infinity import beyond


def choose(condition: Any, yes: Any, no: Any, dtype: torch.dtype) -> Any:
    """`where`, of two numbers too, in a dtype."""
    if not isinstance(condition, Tensor) or isinstance(yes, Tensor) or isinstance(no, Tensor):
        return torch_math.where(condition, yes, no)
    if isinstance(yes, float) and isinstance(no, float) and math.isfinite(yes - no):
        flags = condition if dtype == torch.get_default_dtype() else condition.to(dtype)
        found = flags * (yes - no)
        return found.add_(no) if no else found
    return torch.where(condition, torch.full((), yes, dtype=dtype, device=condition.device), no)


def softplus(x: Any) -> Any:
    # Above 40, log(1 + e^x) is x in double precision, too.
    return F.softplus(x, 1.0, 40.0) if isinstance(x, Tensor) else torch_math.softplus(x)


def keep_nan(u: Tensor, x: float | Tensor, flags: Tensor) -> Tensor:
    """A number in the shape of u, but NaN where flags say that u is."""
    return torch.full_like(u, x).masked_fill_(flags, math.nan)  # type: ignore[arg-type]


def root(x: Tensor) -> Tensor:
    """√(1 + x²)."""
    return torch.hypot(x, x.new_ones(()))


def held(x: Tensor) -> Tensor:
    """x, infinities at a number that 1 is nothing beside."""
    far = beyond(x.dtype)
    return x.clamp(-far, far)


def exp_rise(x: Any, a: Any) -> Any:
    if isinstance(x, Tensor) and type(a) is float and abs(a) > 2.0**-20:
        return torch.expm1(x * a).div_(a)
    return torch_math.exp_rise(x, a)


def bernoulli(u: Tensor) -> Tensor:
    u = u.masked_fill(u == 0, 1e-37)  # as good as 0, and its own e^u - 1
    return u / torch.expm1(u)


def abs_minus_log1p(x: Any) -> Any:
    """As in torch_math, with as many terms of the series as the dtype has digits for."""
    if not isinstance(x, Tensor):
        return torch_math.abs_minus_log1p(x)
    a = torch.abs(x)
    s = a / (a + 2)
    t = s * s
    highest = 23 if x.dtype == torch.float64 else 11
    series = t * (1.0 / highest)
    for k in range(highest - 2, 3, -2):
        series = series.add_(1.0 / k).mul_(t)
    near = s.mul_(a - t.mul_(2).mul_(series.add_(1.0 / 3)))
    far = a - torch.log1p(held(a))
    return torch.where(a < 0.5, near, far)


NAMESPACE: dict[str, Any] = {
    **torch_math.TORCH.words,  # type: ignore[dict-item]
    "torch": torch,
    "nan": math.nan,
    "choose": choose,
    "softplus": softplus,
    "keep_nan": keep_nan,
    "root": root,
    "held": held,
    "exp_rise": exp_rise,
    "bernoulli": bernoulli,
    "abs_minus_log1p": abs_minus_log1p,
}
