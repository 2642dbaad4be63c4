"""A parameter that a loss owns is easily left out of the optimiser; someone has to say so."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

_PATIENCE = 256  # calls; gradients are rarely collected for longer before a step


class Unmoved:
    """Warns, once, of a parameter that has not changed in many training calls.

    Nothing is waited for on a device until the last of these calls, and then once, and only if the
    version says that nothing was written: an optimiser may write past that.
    """

    def __init__(self) -> None:
        self._calls = 0
        self._version = 0
        self._sum: Tensor | float = 0.0

    def call(self, owner: str, name: str, value: Tensor) -> None:
        """One training call in which an optimiser is expected to move the parameter some time."""
        if (
            torch.compiler.is_compiling()  # first: a count that is read would be compiled in
            or self._calls == _PATIENCE
            or not isinstance(value, nn.Parameter)
            or not (value.requires_grad and torch.is_grad_enabled())
            or value.is_meta
            or (value.is_cuda and torch.cuda.is_current_stream_capturing())
        ):
            return
        self._calls += 1
        if self._calls == 1:
            self._version, self._sum = value._version, _sum(value)
            return
        if self._calls < _PATIENCE or value._version != self._version:
            return
        if float(_sum(value)) == float(self._sum):
            warnings.warn(
                f"{owner}: in {_PATIENCE} training calls {name} has never changed. With "
                'update="gradient" it is a Parameter: give parameters() of the loss to the '
                'optimiser beside those of the model, or use update="paper", which needs no '
                "optimiser. To hold it on purpose: requires_grad_(False) on the loss.",
                UserWarning,
                stacklevel=6,  # past forward and torch's two wrappers of it
            )


def _sum(value: Tensor) -> Tensor:
    return value.detach().sum(dtype=torch.float64)
