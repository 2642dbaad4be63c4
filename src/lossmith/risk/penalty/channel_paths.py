"""From a layer's output channels to the layer that reads them: what lies between, by torch.fx."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
LAYERS = (nn.Linear, *CONVS)
BATCHNORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
_ELEMENTWISE = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Tanh, nn.Sigmoid, nn.Softplus, nn.Softsign, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid),
    *(nn.LogSigmoid, nn.Hardshrink, nn.Softshrink, nn.Tanhshrink, nn.Threshold),
)
_ELEMENTWISE_FUNCTIONS = {
    *(F.relu, F.relu6, F.leaky_relu, F.elu, F.selu, F.gelu, F.silu, F.mish, F.tanh, F.sigmoid),
    *(F.softplus, F.hardtanh, F.hardswish, torch.relu, torch.tanh, torch.sigmoid),
}
_ELEMENTWISE_METHODS = {"relu", "tanh", "sigmoid"}
_MAX_POOLS = (
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d),
    *(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
)
_AVG_POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
_POOL_FUNCTIONS = {
    *(F.max_pool1d, F.max_pool2d, F.max_pool3d),
    *(F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d),
    *(F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d),
}


@dataclass
class Path:
    """A layer, the layer that reads its output, and what a constant in a channel becomes between.

    `reason` says why there is no such path; `reader` None without a reason is the model's output.
    """

    name: str
    layer: Any
    reader: Any = None
    reason: str = ""
    norms: list[nn.Module] = field(default_factory=list)
    changes: list[Callable[[Tensor], Tensor]] = field(default_factory=list)
    zero_only: bool = False  # some step keeps a constant constant only where it is 0
    flattened: bool = False


def paths(model: nn.Module, graph: fx.Graph) -> list[Path]:
    """One path for every Linear and convolution, in the order of the computation."""
    modules = dict(model.named_modules())
    calls: dict[int, int] = {}
    for node in graph.nodes:
        if node.op == "call_module":
            key = id(modules[node.target])
            calls[key] = calls.get(key, 0) + 1
    holders: dict[int, int] = {}
    for module in modules.values():
        for parameter in module.parameters(recurse=False):
            holders[id(parameter)] = holders.get(id(parameter), 0) + 1
    found = []
    for node in graph.nodes:
        if node.op == "call_module" and isinstance(modules[node.target], LAYERS):
            path = Path(str(node.target), modules[node.target])
            _follow(path, node, modules)
            for module in (path.layer, path.reader, *path.norms):
                if module is None or path.reason:
                    continue
                shared = any(holders[id(p)] > 1 for p in module.parameters(recurse=False))
                if calls[id(module)] > 1 or shared:
                    path.reason = "it, or what reads it, is used more than once"
            found.append(path)
    return found


def _follow(path: Path, node: fx.Node, modules: dict[str, nn.Module]) -> None:
    layer = path.layer
    if getattr(layer, "groups", 1) != 1:
        path.reason = "it is a grouped convolution"
        return
    spatial = not isinstance(layer, nn.Linear)
    while True:
        users = [u for u in node.users if not _asks_size(u)]
        if len(users) != 1:
            reads = ", ".join(str(u.target) if u.op != "output" else "the output" for u in users)
            path.reason = f"its output goes to several places ({reads or 'nowhere'})"
            return
        before, node = node, users[0]
        if node.op == "output":
            return
        if node.op == "call_module":
            module = modules[str(node.target)]
            if isinstance(module, LAYERS):
                _arrive(path, module, spatial)
                return
            known = _through(path, module, spatial)
        else:
            known = _through_function(path, node, before, spatial)
        if not known:
            what = node.target if node.op != "call_function" else _name(node.target)
            path.reason = f"its output goes through {what}, which may mix channels"
            return
        spatial = spatial and not path.flattened


def _arrive(path: Path, reader: Any, spatial: bool) -> None:
    path.reader = reader
    channels = path.layer.weight.shape[0]
    if any(parametrize.is_parametrized(m) for m in (path.layer, reader)):
        path.reason = "its weight, or its reader's, is computed from other parameters"
    elif getattr(reader, "groups", 1) != 1:
        path.reason = "a grouped convolution reads it"
    elif isinstance(reader, nn.Linear) and spatial:
        path.reason = "a Linear layer reads it along another dimension"
    elif isinstance(path.layer, nn.Linear) != isinstance(reader, nn.Linear) and not path.flattened:
        path.reason = "a convolution reads it along another dimension"
    elif reader.weight.shape[1] != channels and not path.flattened:
        path.reason = "it was flattened together with another dimension"
    elif isinstance(reader, CONVS):
        path.zero_only = path.zero_only or (_padded(reader) and reader.padding_mode == "zeros")


def _padded(conv: Any) -> bool:
    if isinstance(conv.padding, str):
        return conv.padding == "same" and any(size > 1 for size in conv.kernel_size)
    return any(conv.padding)


def _through(path: Path, module: nn.Module, spatial: bool) -> bool:
    """Whether a module keeps channels apart; then what it does to a constant is noted."""
    if isinstance(module, BATCHNORMS):
        if path.flattened or not (module.track_running_stats or module.affine):
            return False
        if module.num_features != path.layer.weight.shape[0]:
            return False  # over another dimension
        if module.running_mean is None:  # it would take the batch's own statistics
            return False
        path.norms.append(module)
        path.changes.append(lambda c: _normalised(module, c))
    elif isinstance(module, _ELEMENTWISE):
        path.changes.append(module.__class__.forward.__get__(module))
    elif isinstance(module, _AVG_POOLS):
        padding = module.padding if isinstance(module.padding, tuple) else (module.padding,)
        path.zero_only = path.zero_only or (module.count_include_pad and any(padding))
        return spatial
    elif isinstance(module, _MAX_POOLS):
        return spatial and not getattr(module, "return_indices", False)
    elif isinstance(module, nn.Flatten):
        path.flattened = spatial
        return module.start_dim == 1 and module.end_dim == -1
    else:
        return isinstance(module, (nn.Identity, *_DROPOUTS))
    return True


def _through_function(path: Path, node: fx.Node, before: fx.Node, spatial: bool) -> bool:
    arguments = node.args[1:]
    if node.args[:1] != (before,):
        return False
    target: Any = node.target
    if node.op == "call_method":
        if target in _ELEMENTWISE_METHODS:
            path.changes.append(getattr(torch, target))
            return True
        whole = arguments in ((1,), (1, -1)) and not node.kwargs
        to_rows = target in ("view", "reshape") and len(arguments) == 2 and arguments[1] == -1
        # The first size must be the batch's own, asked of a tensor.
        if (target == "flatten" and whole) or (to_rows and isinstance(arguments[0], fx.Node)):
            path.flattened = path.flattened or spatial
            return True
        return target == "contiguous"
    if target in _ELEMENTWISE_FUNCTIONS:
        if any(isinstance(a, fx.Node) for a in (*arguments, *node.kwargs.values())):
            return False
        options = {k: v for k, v in node.kwargs.items() if k != "inplace"}
        path.changes.append(lambda c: target(c, *arguments, **options))
        return True
    if target in _POOL_FUNCTIONS:
        return spatial and not node.kwargs.get("return_indices", False)
    if target is torch.flatten:
        given = (*arguments, *node.kwargs.values())
        path.flattened = path.flattened or spatial
        return given in ((1,), (1, -1))
    return target in (F.dropout, F.dropout2d)


def _normalised(norm: Any, c: Tensor) -> Tensor:
    """What BatchNorm makes of a constant in evaluation mode, channel by channel."""
    result = (c - norm.running_mean) / torch.sqrt(norm.running_var + norm.eps)
    return result * norm.weight + norm.bias if norm.affine else result


def _asks_size(node: fx.Node) -> bool:
    if node.op == "call_method":
        return node.target in ("size", "dim")
    return node.op == "call_function" and node.target is getattr and node.args[1:] == ("shape",)


def _name(target: Any) -> str:
    if target in (operator.add, operator.iadd, torch.add):
        return "an addition"
    return str(getattr(target, "__name__", target))
