"""What DistributedDataParallel has put aside as unused must not get a gradient after all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, distributed, nn

from lossmith.errors import InputError

_SINK = "_DDPSinkBackward"  # through which outputs pass where unused parameters are looked for
_NEAR = 8  # operations between the model's output and the input of an objective


def refuse_unused(caller: str, value: Tensor, inputs: Iterable[Any]) -> None:
    """Say what torch would call "marked as ready only once", before the backward and in words.

    With find_unused_parameters, a parameter that the model's outputs do not depend on is ready
    when the backward begins; a penalty of it, from outside of the forward, makes it ready again.
    """
    if torch.compiler.is_compiling():
        return
    if not (distributed.is_available() and distributed.is_initialized()) or value.grad_fn is None:
        return
    for sink in {s for given in inputs if (s := _sink(given)) is not None}:
        model = sink.ddp_weakref()
        # A forward in no_sync looks for nothing, and a static graph learns from the backward.
        if model is None or model.static_graph or not model.require_forward_param_sync:
            continue
        used = set(_reached([node for node, _ in sink.next_functions]))
        late = set(_reached([value.grad_fn])) - used
        names = [n for n, p in model.module.named_parameters() if p in late]
        if names:
            raise InputError(
                f"{caller}: {', '.join(names[:5])} took no part in the model's forward, so "
                "DistributedDataParallel with find_unused_parameters=True has put it aside, and a "
                "term outside of the forward (a penalty) gives it a gradient all the same. Wrap "
                "one module that holds model and objective and whose forward returns the value; "
                "or use static_graph=True, where every step uses the same parameters; or leave it "
                "out of the penalty with skip=."
            )


def _sink(given: Any) -> Any:
    """The node by which a tensor left a model that looks for unused parameters."""
    node: Any = given.grad_fn if isinstance(given, Tensor) else None
    for _ in range(_NEAR):
        if node is None:
            return None
        if type(node).__name__ == _SINK:
            return node if hasattr(node, "ddp_weakref") else None
        node = node.next_functions[0][0] if node.next_functions else None
    return None


def _reached(nodes: list[Any]) -> Iterator[nn.Parameter]:
    """The parameters below, but for those of a model's forward."""
    seen: set[Any] = set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen or type(node).__name__ == _SINK:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            yield node.variable
        nodes += [following for following, _ in node.next_functions]
