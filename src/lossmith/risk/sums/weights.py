"""The weight of a term in a sum: a schedule over steps, or learned from the term's size."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lossmith.errors import DtypeError, InputError, ParameterError
from lossmith.formula.domain import as_number


class Weight(nn.Module):
    """What all weights that are more than a number share."""

    def forward(self, component: Tensor, share: Tensor | None = None) -> Tensor:
        """The contribution of a component to the sum.

        `share` is the part of the mass of a whole step that this component stands for: what does
        not scale with the component counts that often, so that micro-batches add up to one.
        """
        raise NotImplementedError

    def factor(self) -> Tensor:
        """By how much the component is multiplied now, detached."""
        raise NotImplementedError

    def shift(self) -> Tensor | None:
        """What is added to the sum besides, detached; None for nothing."""
        return None

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Weight:
        """Follow `.to()` to a device, but keep the digits: a weight is one number."""
        before = {n: t.dtype for n, t in [*self.named_parameters(), *self.named_buffers()]}

        def careful(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            if moved.dtype == tensor.dtype or moved.dtype.itemsize >= tensor.dtype.itemsize:
                return moved
            try:
                return tensor.to(moved.device)
            except TypeError:  # a device without float64
                return moved

        if before:
            super()._apply(careful, recurse)
        return self


class Scheduled(Weight):
    """A weight that is a function of the step.

    The step is counted here, in a buffer of the state_dict, and the weight of the step is kept
    beside it as a tensor. `advance` computes it anew, outside of the graph: so the function may be
    any Python, a compiled objective is not compiled again at every step, and no device is waited
    for.
    """

    step: Tensor
    value: Tensor

    def __init__(self, schedule: Callable[[int], float]) -> None:
        super().__init__()
        self.schedule = schedule
        self._at = 0
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self.register_buffer("value", torch.zeros((), dtype=torch.float64), persistent=False)
        self.set_step(0)
        self.register_load_state_dict_post_hook(_resumed)

    def forward(self, component: Tensor, share: Tensor | None = None) -> Tensor:
        return component * self.value.to(component.dtype)

    def factor(self) -> Tensor:
        return self.value.detach().clone()

    def advance(self, steps: int = 1) -> None:
        """Go on by so many steps."""
        self.set_step(self._at + steps)

    @torch.no_grad()
    def set_step(self, step: int) -> None:
        """Go to this step."""
        if not isinstance(step, numbers.Integral) or isinstance(step, bool) or step < 0:
            raise ParameterError(f"Objective: step = {step!r}; it must be a whole number from 0.")
        value = self.schedule(int(step))
        number = as_number(value)
        if number is None or not math.isfinite(number):
            raise ParameterError(
                f"Objective: the schedule {self.schedule!r} gives {value!r} at step {step}; a "
                "weight is a finite number. A schedule is a function of the step, a whole number."
            )
        self._at = int(step)
        self.step.fill_(self._at)
        self.value.fill_(number)

    def extra_repr(self) -> str:
        return f"{self.schedule!r}, step={self._at}"


def _resumed(module: Any, keys: Any) -> None:
    """Go on where the saved run stopped; the only place where the step is read."""
    if module.step.device.type != "meta":
        module.set_step(int(module.step))


class Uncertainty(Weight):
    """A weight that is learned: the inverse of the variance that a task's loss shows.

    `Uncertainty() * CrossEntropy() + Uncertainty("regression") * L2()` balances tasks whose losses
    have different units. At the optimum each term contributes a weight times its loss of 1/2,
    whatever the loss was multiplied by before. The log-variance s is a parameter: give it to the
    optimiser (`objective.parameters()`), and leave weight decay off it, for that pulls s to 0.

    Formula:
        contribution = c·exp(-s)·L + s/2, s = log σ²
        "classification": c = 1, L a mean negative log-likelihood at temperature 1 (cross-entropy)
        "regression": c = 1/2, L = mean of u² (l2), for -log N(y; f, σ²) = u²/(2σ²) + ½ log σ² + …
        Best at exp(-s) = 1/(2cL), where c·exp(-s)·L = 1/2. The two forms differ by log 2 in s.

    Shapes:
        L and the contribution are scalars.

    Parameters:
        form (default "classification"): which c, see Formula. A loss that already has its half,
            such as ½u², is of the form "classification".
        log_variance (default 0.0): s at first. Begin near the log of the loss that you expect
            (for a regression the log-variance of the target): where exp(-s)·L begins in the
            thousands, Adam remembers those gradients for long, and s lags behind.

    L must stay above 0: the weight of a loss that reaches 0 grows without bound. So a term that
    can be fitted to the last digit needs a number as its weight.

    Errors:
        InputError for an unknown form, ParameterError for a log_variance that is not finite.

    Source: Kendall, Gal & Cipolla 2018, arXiv:1705.07115, eq. 7 and 10.
    """

    log_variance: nn.Parameter
    form: str

    def __init__(self, form: str = "classification", log_variance: float = 0.0) -> None:
        super().__init__()
        if not isinstance(form, str) or form not in ("classification", "regression"):
            raise InputError(
                f'Uncertainty: form={form!r} is not known. Use "classification", exp(-s)·L + s/2, '
                'or "regression", exp(-s)·L/2 + s/2 with L the mean squared error.'
            )
        number = as_number(log_variance)
        if number is None or not math.isfinite(number):
            raise ParameterError(
                f"Uncertainty: log_variance = {log_variance!r}; it must be a finite number, the "
                "log of the variance at which learning begins."
            )
        self.form = form
        self.log_variance = nn.Parameter(torch.full((), number, dtype=torch.float32))

    def forward(self, component: Tensor, share: Tensor | None = None) -> Tensor:
        s = self.log_variance.to(component.dtype)
        half = s / 2 if share is None else s / 2 * share.to(s.dtype)
        return self._c * torch.exp(-s) * component + half

    @property
    def _c(self) -> float:
        return 0.5 if self.form == "regression" else 1.0

    def factor(self) -> Tensor:
        """c·exp(-s) as it is now."""
        return self._c * torch.exp(-self.log_variance.detach())

    def shift(self) -> Tensor:
        """s/2 as it is now."""
        return self.log_variance.detach() / 2

    def extra_repr(self) -> str:
        return f"{self.form!r}"


class Constant(Weight):
    """A weight kept as a tensor: it can be changed in place without compiling anew."""

    value: Tensor

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        if value.dim() or value.is_complex() or value.dtype == torch.bool:
            raise DtypeError(
                f"Objective: a weight of shape {tuple(value.shape)} and {value.dtype}; it must be "
                "one real number."
            )
        if value.requires_grad:
            raise InputError(
                "Objective: a weight that requires grad would run to -∞ with its loss above 0. "
                "Use lossmith.Uncertainty() for a learned weight, or weight.detach()."
            )
        self.register_buffer("value", value, persistent=False)

    def forward(self, component: Tensor, share: Tensor | None = None) -> Tensor:
        return component * self.value.to(component.dtype)

    def factor(self) -> Tensor:
        return self.value.detach().clone()


def weight(given: Any) -> float | Weight:
    """A weight in any of the ways in which people give one."""
    if isinstance(given, Weight):
        return given
    if isinstance(given, Tensor):
        return Constant(given)
    number = as_number(given)
    if number is not None:
        if not math.isfinite(number):
            raise ParameterError(f"Objective: a weight of {given!r}; it must be a finite number.")
        return number
    if callable(given) and not isinstance(given, nn.Module):
        return Scheduled(given)
    raise InputError(
        f"Objective: a term cannot be multiplied by {type(given).__name__}. A weight is a number, "
        "a schedule (a function of the step, such as lossmith.LinearRamp(0, 1, steps=1000)) or "
        "lossmith.Uncertainty(). Losses are added; there is no product of two losses."
    )
