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

c lies in the optimiser's state beside the buffer whose growth it follows: so it is saved, loaded,
copied and thrown away with it.
"""

from __future__ import annotations

import math
import warnings
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import Tensor, optim

from lossmith.errors import UnsupportedError

OFFERED = (optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop, optim.Adagrad)
Step = float | Tensor

_CARRIED = "proximal_momentum"  # c, in the state of a parameter
_PATIENCE = 64  # calls in a row; a gradient scaler that begins at 2¹⁶ skips fewer


class Steps:
    """Follows one optimiser; `pending` is what it has moved each parameter since the last time."""

    def __init__(self, optimizer: optim.Optimizer) -> None:
        if type(optimizer) not in OFFERED:
            raise UnsupportedError(
                f"ProximalStep: what {type(optimizer).__name__} moves per unit of gradient is not "
                "known here, and a wrong step size leads to a wrong minimum. Use one of torch's "
                + ", ".join(o.__name__ for o in OFFERED)
                + "."
            )
        for group in optimizer.param_groups:
            _refuse(group)
        self.optimizer = optimizer
        self.ignored: set[Tensor] = set()  # parameters of the optimiser that nobody asks about
        self.pending: dict[Tensor, Step] = {}
        self._follow()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copied or loaded optimiser has lost its hooks."""
        self.__dict__.update(state)
        self._follow()

    def _follow(self) -> None:
        self._idle = 0
        record = _RECORDS.get(self.optimizer)
        if record is None:
            record = _RECORDS[self.optimizer] = _Record(self.optimizer)
        record.listeners.add(self)

    def add(self, parameter: Tensor, step: Step) -> None:
        before = self.pending.get(parameter)
        self.pending[parameter] = step if before is None else before + step
        self._idle = _PATIENCE

    def expect(self) -> None:
        """Someone asks what has moved: if that is never anything, the wrong optimiser is followed.

        No call is wrong by itself, for a gradient scaler may skip steps.
        """
        if self._idle == _PATIENCE:
            return
        self._idle += 1
        if self._idle == _PATIENCE:
            warnings.warn(
                f"ProximalStep: in {_PATIENCE} calls the optimiser that it follows took no step, "
                "so nothing was shrunk. Was one of the two copied or loaded alone? Copy them "
                "together, copy.deepcopy((model, optimizer, proximal)), or make a new ProximalStep "
                "for this optimiser.",
                UserWarning,
                stacklevel=4,  # past ProximalStep.step and torch's wrapper of it
            )


class _Record:
    """The hooks of one optimiser, whose steps it tells to all that follow it.

    One for each optimiser, so that c goes on once in each step; the optimiser owns it, and not the
    other way round.
    """

    def __init__(self, optimizer: optim.Optimizer) -> None:
        self.listeners: WeakSet[Steps] = WeakSet()
        _settled(optimizer)
        optimizer.register_load_state_dict_post_hook(self._loaded)
        # Read when the step is taken: a scheduler may change lr before the proximal step comes.
        optimizer.register_step_post_hook(self._after)

    def _loaded(self, optimizer: optim.Optimizer) -> None:
        _settled(optimizer)
        for group in optimizer.param_groups:
            _refuse(group)
        for steps in self.listeners:
            steps.pending.clear()

    @torch.no_grad()
    def _after(self, optimizer: optim.Optimizer, *_: Any) -> None:
        # A gradient scaler does not call an optimiser whose step it skips, unless that is fused:
        # then the kernel looks at this number, and leaves weights and buffers alone.
        skipped = getattr(optimizer, "found_inf", None)
        if skipped is not None and bool(skipped):
            return
        listeners = list(self.listeners)
        for group in optimizer.param_groups:
            _refuse(group)
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                growth = _momentum(optimizer, group, parameter)
                asking = [s for s in listeners if parameter not in s.ignored]
                if asking:
                    step = _size(optimizer, group, parameter) * growth
                    for steps in asking:
                        steps.add(parameter, step)


# Found by the optimiser itself; nothing is lost with it, since copies make their own.
_RECORDS: WeakKeyDictionary[optim.Optimizer, _Record] = WeakKeyDictionary()


def _settled(optimizer: optim.Optimizer) -> None:
    """In the middle of a run that nobody followed: long enough for c to have settled."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state.get(parameter, {})
            if state.get("momentum_buffer") is not None and _CARRIED not in state:
                state[_CARRIED] = _kept(group) / (1 - float(group["momentum"]))


def _size(optimizer: optim.Optimizer, group: dict[str, Any], parameter: Tensor) -> Step:
    """What a weight moves per unit of the buffer."""
    lr, state = float(group["lr"]), optimizer.state[parameter]
    if isinstance(optimizer, optim.SGD):
        return lr
    if isinstance(optimizer, (optim.Adam, optim.AdamW)):  # torch 2.6 does not derive them
        second = state["max_exp_avg_sq"] if group["amsgrad"] else state["exp_avg_sq"]
        correction = math.sqrt(1 - float(group["betas"][1]) ** float(state["step"]))
        return lr / (second.sqrt() / correction + group["eps"])
    if isinstance(optimizer, optim.Adagrad):
        lr /= 1 + (float(state["step"]) - 1) * group["lr_decay"]
        return lr / (state["sum"].sqrt() + group["eps"])
    second = state["square_avg"]
    if group["centered"]:
        second = (second - state["grad_avg"].square()).clamp(min=0.0)
    return lr / (second.sqrt() + group["eps"])


def _momentum(optimizer: optim.Optimizer, group: dict[str, Any], parameter: Tensor) -> float:
    """How far the buffer of a steady gradient has grown, which this step moves on."""
    momentum = float(group.get("momentum", 0.0))
    if not momentum:
        return 1.0
    state = optimizer.state[parameter]
    before = state.get(_CARRIED)
    c = 1.0 if before is None else momentum * before + _kept(group)
    state[_CARRIED] = c
    return 1 + momentum * c if group.get("nesterov") else c


def _kept(group: dict[str, Any]) -> float:
    return 1 - float(group.get("dampening", 0.0))


def _refuse(group: dict[str, Any]) -> None:
    if group.get("maximize"):
        raise UnsupportedError(
            "ProximalStep: the optimiser maximises; a penalty is made to be minimised. Minimise "
            "the negative instead."
        )
    if group.get("differentiable"):
        raise UnsupportedError(
            "ProximalStep: the optimiser's steps are to be differentiated, and a proximal step is "
            "not recorded; the derivative would be that of a run without it. Use "
            "differentiable=False."
        )
