"""Which engine runs a call, and why. One place decides: an engine is one folder and one line."""

from __future__ import annotations

from torch import Tensor

from lossmith.engine import eager
from lossmith.engine.autograd import Road
from lossmith.engine.cpu.engine import CPU
from lossmith.engine.lean.engine import LEAN
from lossmith.engine.plan import Output
from lossmith.engine.protocol import NotHereError, Number, Result
from lossmith.link.link import Call

# The first that takes a call runs it; what none takes is a graph of torch operations.
CALLS = Road(
    engines=(
        CPU,
        LEAN,
    ),
    graph=eager.graph,
)  # fmt: skip


def run(call: Call, output: Output, factor: Number, upstream: Tensor | None = None) -> Result:
    """Sums, gradients and values of a call, outside of autograd."""
    for engine in CALLS.engines:
        if engine.why_not(call, output) is None:
            try:
                return engine.run(call, output, factor, upstream)
            except NotHereError:  # from now on its why_not says so, too
                continue
    return eager.run(call, output, factor, upstream)


def explained(call: Call) -> str:
    """Which engine runs a call, and why none before it does."""
    reasons: dict[str, None] = {}  # in order, each once: engines may share one
    for engine in CALLS.engines:
        why = engine.why_not(call, "total")
        if why is None:
            return f"{engine.name}: {'; '.join(filter(None, (engine.does, *reasons)))}"
        reasons[why] = None
    return f"reference: {'; '.join(reasons)}"
