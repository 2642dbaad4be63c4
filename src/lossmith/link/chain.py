"""The chain rule, both second-order terms included: from ψ', ψ'' at u back to the prediction.

Writing a = ∂loss/∂u and b = ∂²loss/∂u² (weights of soft targets included), with ∂u/∂z of the link:

    residual  u = z - t       gradient  a                    curvature  b
    margin    u = s·z         gradient  s·a                  curvature  s²·b
    softmax   u_k = log p_k   gradient  a - p·A,  A = Σ a
              ∂u_k/∂z_j = δ_kj - p_j, and p depends on z too, so the product rule has two terms:
              diagonal  b(1 - 2p) + p² Σb - p(1 - p)·A
    class margin m = z_y - logsumexp(others), r = softmax of the others, e = 1 at y:
              gradient  a·(e - r)                            curvature  b·(e - r)² - a·(r - r²)
    one row of scores that picks two entries (Crammer-Singer): +a at the class, -a at its rival

A scale s of the residual, ψ(r) = s^power ψ₀(r/s), multiplies ψ₀' by s^(power-1) and ψ₀'' by
s^(power-2).
"""

from __future__ import annotations

import torch
from torch import Tensor


def softmax_gradient(a: Tensor, p: Tensor, dim: int = 1) -> Tensor:
    """a - p Σ a."""
    return a - p * a.sum(dim, keepdim=True)


def softmax_hessian_diagonal(a: Tensor, b: Tensor, p: Tensor, dim: int = 1) -> Tensor:
    """The diagonal of the Hessian of Σ_k q_k ψ(log p_k): b(1 - 2p) + p² Σb - p(1 - p) Σa."""
    whole_a, whole_b = a.sum(dim, keepdim=True), b.sum(dim, keepdim=True)
    return b * (1 - 2 * p) + p * p * whole_b - p * (1 - p) * whole_a


def class_margin_derivatives(
    a: Tensor, b: Tensor, z: Tensor, own: Tensor, dim: int = 1
) -> tuple[Tensor, Tensor]:
    """Gradient and Hessian diagonal of g(m), m = z_y - logsumexp(others); `own` marks y."""
    others = torch.where(own, -torch.inf, z)
    alone = others.amax(dim, keepdim=True) == -torch.inf
    r = torch.softmax(torch.where(alone, 0.0, others), dim)
    direction = torch.where(own, 1.0, -torch.where(own | alone, 0.0, r))
    r = torch.where(own, 0.0, r)
    return a * direction, b * direction**2 - a * (r - r * r)
