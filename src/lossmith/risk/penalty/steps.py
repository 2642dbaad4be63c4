"""The step size of an optimiser, weight by weight: what it would move a weight per unit of pull.

A proximal step after the optimiser's own must carry the penalty as far as the optimiser carries
the gradient. Then a point at rest satisfies w = prox(w - τ·g, τ·λ), which is -g ∈ λ·∂ψ(w): the
minimum of loss + λ·penalty, whatever τ is, as long as it is the same τ on both sides.

SGD: τ = lr. With momentum the buffer of a steady gradient g grows to g·(1 - dampening)/(1 - μ), so
lr alone would find the minimum for a λ that is (1 - μ)/(1 - dampening) times too weak. τ = lr·c,
where c follows the same recursion as the buffer: c ← μ·c + (1 - dampening), 1 at first, since the
first buffer is the first gradient; Nesterov moves by 1 + μ·c. On every stretch where no weight
changes its sign, this is momentum on loss + λ·penalty, step for step (ProxSGD, Yang et al. 2020).
Adam, RMSprop, Adagrad: their own diagonal, lr/(√v̂ + eps), of the step that was just taken.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, optim

from lossmith.errors import UnsupportedError

OFFERED = (optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop, optim.Adagrad)
Step = float | Tensor


class Steps:
    """Follows one optimiser; `take()` gives what it has moved since the last time."""

    def __init__(self, optimizer: optim.Optimizer) -> None:
        if type(optimizer) not in OFFERED:
            raise UnsupportedError(
                f"ProximalStep: what {type(optimizer).__name__} moves per unit of gradient is not "
                "known here, and a wrong step size leads to a wrong minimum. Use one of torch's "
                + ", ".join(o.__name__ for o in OFFERED)
                + "."
            )
        self.optimizer = optimizer
        self._carried: dict[Tensor, float] = {}  # c of the momentum, by parameter
        self._pending: dict[Tensor, Step] = {}
        for group, _ in self._all():
            _refuse(group)
        self._taken_up()
        optimizer.register_load_state_dict_post_hook(self._taken_up)
        # Read when the step is taken: a scheduler may change lr before the proximal step comes,
        # and a step that a gradient scaler skips does not come here at all.
        optimizer.register_step_post_hook(self._after)

    def _all(self) -> list[tuple[dict[str, Any], Tensor]]:
        return [(g, p) for g in self.optimizer.param_groups for p in g["params"]]

    def _taken_up(self, *_: Any) -> None:
        """In the middle of a run, with a full buffer: long enough for c to have settled."""
        self._carried, self._pending = {}, {}
        for group, parameter in self._all():
            if self.optimizer.state.get(parameter, {}).get("momentum_buffer") is not None:
                self._carried[parameter] = _kept(group) / (1 - group["momentum"])

    def take(self) -> dict[Tensor, Step]:
        pending, self._pending = self._pending, {}
        return pending

    @torch.no_grad()
    def _after(self, *_: Any) -> None:
        for group, parameter in self._all():
            if parameter.grad is None:
                continue
            step = self._of(group, parameter)
            before = self._pending.get(parameter)
            self._pending[parameter] = step if before is None else before + step

    def _of(self, group: dict[str, Any], parameter: Tensor) -> Step:
        lr, state = float(group["lr"]), self.optimizer.state[parameter]
        if isinstance(self.optimizer, optim.SGD):
            return lr * self._momentum(group, parameter)
        if isinstance(self.optimizer, (optim.Adam, optim.AdamW)):  # torch 2.6 does not derive them
            second = state["max_exp_avg_sq"] if group["amsgrad"] else state["exp_avg_sq"]
            correction = math.sqrt(1 - group["betas"][1] ** float(state["step"]))
            return lr / (second.sqrt() / correction + group["eps"])
        if isinstance(self.optimizer, optim.Adagrad):
            lr /= 1 + (float(state["step"]) - 1) * group["lr_decay"]
            return lr / (state["sum"].sqrt() + group["eps"])
        second = state["square_avg"]
        if group["centered"]:
            second = (second - state["grad_avg"].square()).clamp(min=0.0)
        return lr * self._momentum(group, parameter) / (second.sqrt() + group["eps"])

    def _momentum(self, group: dict[str, Any], parameter: Tensor) -> float:
        if not group["momentum"]:
            return 1.0
        before = self._carried.get(parameter)
        c = 1.0 if before is None else group["momentum"] * before + _kept(group)
        self._carried[parameter] = c
        return 1 + group["momentum"] * c if group.get("nesterov") else c


def _kept(group: dict[str, Any]) -> float:
    return 1 - group.get("dampening", 0.0)


def _refuse(group: dict[str, Any]) -> None:
    if group.get("maximize"):
        raise UnsupportedError(
            "ProximalStep: the optimiser maximises; a penalty is made to be minimised. Minimise "
            "the negative instead."
        )
