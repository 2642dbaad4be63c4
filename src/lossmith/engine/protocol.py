"""What an engine owes: a reason why it does not take a call, and else sums, gradients and values.

One engine is one folder (or file) and one line in choose.py. What autograd wants of it is written
once, in autograd.py: nothing there reads a number back, so sums may be tensors of the device that
the call lies on, and the factor of a gradient may be one, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from torch import Tensor

from lossmith.engine.plan import Output
from lossmith.errors import UnsupportedError

Number = float | Tensor  # on the CPU a number; elsewhere a tensor without dimensions: no wait
LEARNED = "a parameter is a tensor: it may be learned or vary by element"  # for who takes numbers
C = TypeVar("C", contravariant=True)


class NotHereError(UnsupportedError):
    """An engine finds out while it runs that it cannot: the next one takes the call.

    From then on its `why_not` says so, too.
    """


@dataclass(slots=True)  # the quickest to make
class Result:
    """The sums of a call, and what was written besides."""

    total: Number  # Σ weight · loss; of the output "mean" divided by the mass
    mass: Number  # Σ weight
    gradients: tuple[Tensor | None, ...] = ()  # one for each of the call's `inputs`
    values: Tensor | None = None  # weight · loss, one of each loss, times the factor


class Engine(Protocol[C]):
    """Something that runs calls. `C` is what it takes: a Call, or a linear head's."""

    name: str
    does: str  # in words, for `engine_for`

    def why_not(self, call: C, output: Output) -> str | None:
        """None if it runs this call; else the reason, as a person reads it in `engine_for`."""

    def run(
        self, call: C, output: Output, factor: Number = 1.0, upstream: Tensor | None = None
    ) -> Result:
        """What `output` names, of a call that `why_not` let in; outside of autograd.

        `factor` multiplies gradients and values, not the sums. `upstream`, one number for each
        loss, multiplies gradients alone. Labels that are not allowed raise, where that can be seen
        without a wait. The call's tensors are only read; what is returned is nobody else's.
        """

    def ahead(self, call: C, mean: bool) -> Number | None:
        """What a gradient made in the pass of the value is multiplied by: 1 / mass, or 1 of a sum.

        A number may be a guess: what the mass then turns out to be is made up for afterwards. A
        tensor is the share itself. None: no gradient is made with the value, it waits for the
        upstream gradient (rounded to half precision before a loss scale reaches it, it would lose
        what the scale is there to save; or it is as cheap to make then).
        """

    def divides(self, call: C) -> bool:
        """Whether it divides by the mass itself, if asked for a "mean" instead of a "total"."""

    def scale(self, gradient: Tensor, step: Number) -> Any:
        """gradient *= step in place: a buffer of this engine's own, that nobody has seen yet."""
