"""From a layer's output channels to the layer that reads them: the walk, by torch.fx."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx, nn
from torch.nn.utils import parametrize

from lossmith.risk.penalty.channel_steps import CONVS, LAYERS, Path, asks_size, through


def paths(model: nn.Module) -> list[Path]:
    """One path for every Linear and convolution, in the order of the computation.

    They are those of evaluation, where the output is to stay; a channel that training uses in
    another way stays too.
    """
    found = _paths(model, _traced(model, training=False))
    try:
        others = {p.name: p for p in _paths(model, _traced(model, training=True))}
    except Exception:  # what cannot be traced in training is told from evaluation alone
        return found
    for path in found:
        other = others.get(path.name)
        if path.reason or path.reader is None:
            continue
        if other is None or other.reader is not path.reader or other.norms != path.norms:
            path.reason = (other.reason if other else "") or "in training its output goes elsewhere"
    return found


def _traced(model: nn.Module, training: bool) -> fx.Graph:
    """The graph of one mode; the flags are left as they were."""
    flags = {module: module.training for module in model.modules()}
    try:
        for module in flags:
            module.training = training
        return fx.symbolic_trace(model).graph
    finally:
        for module, flag in flags.items():
            module.training = flag


def _paths(model: nn.Module, graph: fx.Graph) -> list[Path]:
    modules = dict(model.named_modules())
    calls, holders = _uses(model, graph, modules)
    found = []
    for node in graph.nodes:
        if node.op == "call_module" and _is_layer(modules[node.target]):
            path = Path(str(node.target), modules[node.target])
            _follow(path, node, modules)
            for module in (path.layer, path.reader, *path.norms):
                if module is None or path.reason:
                    continue
                shared = any(holders[id(p)] > 1 for p in module.parameters(recurse=False))
                if calls[id(module)] > 1 or shared:
                    path.reason = "it, or what reads it, is used more than once"
                elif parametrize.is_parametrized(module):
                    path.reason = "its weight, or its reader's, is computed from other parameters"
            found.append(path)
    return found


def _uses(
    model: nn.Module, graph: fx.Graph, modules: dict[str, nn.Module]
) -> tuple[dict[int, int], dict[int, int]]:
    """How often each module is called, and in how many places each parameter is used."""
    calls: dict[int, int] = {}
    holders: dict[int, int] = {}
    for module in modules.values():
        for parameter in module.parameters(recurse=False):
            holders[id(parameter)] = holders.get(id(parameter), 0) + 1
    for node in graph.nodes:
        if node.op == "call_module":
            for module in modules[node.target].modules():  # those inside torch's own blocks too
                calls[id(module)] = calls.get(id(module), 0) + 1
        elif node.op == "get_attr":  # a forward that takes a weight by itself
            held: Any = model
            for part in str(node.target).split("."):
                held = getattr(held, part)
            holders[id(held)] = holders.get(id(held), 0) + 1
    return calls, holders


def _follow(path: Path, node: fx.Node, modules: dict[str, nn.Module]) -> None:
    layer = path.layer
    if getattr(layer, "groups", 1) != 1:
        path.reason = "it is a grouped convolution"
        return
    path.spatial = _dimensions(layer)
    path.walked = [n for n in node.args if isinstance(n, fx.Node)]
    called = layer
    while True:
        if called is not None and _hooked(called):
            path.reason = f"a hook of {node.target} may change what is sent on"
            return
        path.walked.append(node)
        users = [u for u in node.users if not asks_size(u, path.spatial)]
        if len(users) != 1:
            reads = ", ".join(str(u.target) if u.op != "output" else "the output" for u in users)
            path.reason = f"its output goes to several places ({reads or 'nowhere'})"
            return
        before, node = node, users[0]
        if node.op == "output":
            return
        called = modules[str(node.target)] if node.op == "call_module" else None
        if called is not None and _is_layer(called) and not _hooked(called):
            _arrive(path, called)
            return
        if not through(path, node, before, modules):
            what = node.target if node.op != "call_function" else _name(node.target)
            path.reason = f"its output goes through {what}, which may mix channels"
            return


def _arrive(path: Path, reader: Any) -> None:
    path.reader = reader
    channels, columns = path.layer.weight.shape[0], reader.weight.shape[1]
    if getattr(reader, "groups", 1) != 1:
        path.reason = "a grouped convolution reads it"
    elif isinstance(reader, nn.Linear) and path.spatial:
        path.reason = "a Linear layer reads it along another dimension"
    elif _dimensions(reader) != path.spatial or (_dimensions(reader) and path.flattened):
        path.reason = "a convolution reads it along another dimension"
    elif columns % channels if path.flattened else columns != channels:
        path.reason = "it was flattened together with another dimension"
    elif _dimensions(reader) and _padded(reader) and reader.padding_mode == "zeros":
        path.changes.append(None)


def _is_layer(module: nn.Module) -> bool:
    """A parametrisation makes a class of its own, which is refused under its own name later."""
    return type(module) in LAYERS or (
        parametrize.is_parametrized(module) and isinstance(module, LAYERS)
    )


def _dimensions(layer: nn.Module) -> int:
    return next((n for kind, n in CONVS.items() if isinstance(layer, kind)), 0)


def _padded(conv: Any) -> bool:
    if isinstance(conv.padding, str):
        return conv.padding == "same" and any(size > 1 for size in conv.kernel_size)
    return any(conv.padding)


def _hooked(module: Any) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _name(target: Any) -> str:
    if target in (operator.add, operator.iadd, torch.add):
        return "an addition"
    return str(getattr(target, "__name__", target))
