"""What lies between a layer and its reader, one operation at a time: what it makes of a constant.

A channel without weights is its bias everywhere. An operation may keep it a constant, the same or
another, or do so for 0 alone (at a border that is filled with zeros); of everything else nothing is
known here, and the channel stays. Types are compared exactly: a subclass may do anything.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

# By how many dimensions come after the channels: pooling and BatchNorm of another number would
# read a batch as one example, and channels as space.
CONVS: dict[type[nn.Module], int] = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}
LAYERS: tuple[type[nn.Module], ...] = (nn.Linear, *CONVS)
BATCHNORMS: dict[type[nn.Module], int] = {
    nn.BatchNorm1d: 1,
    nn.BatchNorm2d: 2,
    nn.BatchNorm3d: 3,
}
_AS_THEY_ARE = (
    *(nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout),
)
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
_AVG_POOLS: dict[type[nn.Module], int] = {nn.AvgPool1d: 1, nn.AvgPool2d: 2, nn.AvgPool3d: 3}
_MAX_POOLS: dict[type[nn.Module], int] = {nn.MaxPool1d: 1, nn.MaxPool2d: 2, nn.MaxPool3d: 3}
_ADAPTIVE_POOLS: dict[type[nn.Module], int] = {
    **{nn.AdaptiveMaxPool1d: 1, nn.AdaptiveMaxPool2d: 2, nn.AdaptiveMaxPool3d: 3},
    **{nn.AdaptiveAvgPool1d: 1, nn.AdaptiveAvgPool2d: 2, nn.AdaptiveAvgPool3d: 3},
}
_MAX_FUNCTIONS: dict[Any, int] = {F.max_pool1d: 1, F.max_pool2d: 2, F.max_pool3d: 3}
_ADAPTIVE_FUNCTIONS: dict[Any, int] = {
    **{F.adaptive_avg_pool1d: 1, F.adaptive_avg_pool2d: 2, F.adaptive_avg_pool3d: 3},
    **{F.adaptive_max_pool1d: 1, F.adaptive_max_pool2d: 2, F.adaptive_max_pool3d: 3},
}

Change = Callable[[Tensor], Tensor]


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
    changes: list[Change | None] = field(default_factory=list)  # None: only 0 stays a constant
    spatial: int = 0  # how many dimensions come after the channels, where the walk is
    flattened: bool = False
    walked: list[fx.Node] = field(default_factory=list)

    def constants(self, c: Tensor) -> tuple[Tensor, Tensor]:
        """What a constant is when it comes to the reader, and whether it is one there."""
        sure = torch.ones_like(c, dtype=torch.bool)
        for change in self.changes:
            if change is None:
                sure = sure & (c == 0)
            else:
                c = change(c.clone())
        return c, sure & c.isfinite()


def through(path: Path, node: fx.Node, before: fx.Node, modules: dict[str, nn.Module]) -> bool:
    """Whether a node keeps channels apart and constants constant; its effect is noted."""
    if node.op == "call_module":
        return _module(path, modules[str(node.target)])
    if node.args[:1] != (before,):
        return False
    if node.op == "call_method":
        return _method(path, node)
    return node.op == "call_function" and _function(path, node)


def _module(path: Path, module: Any) -> bool:
    kind = type(module)
    if kind in BATCHNORMS:
        # After a Linear layer, a batch of rows; running_mean None: it would take the batch's own
        # statistics.
        if path.flattened or (path.spatial or 1) != BATCHNORMS[kind]:
            return False
        if module.num_features != path.layer.weight.shape[0] or module.running_mean is None:
            return False
        path.norms.append(module)
        path.changes.append(lambda c: _normalised(module, c))
    elif kind in _ELEMENTWISE:
        path.changes.append(kind.forward.__get__(module))
    elif kind in _AVG_POOLS:
        padded = module.count_include_pad and any(_each(module.padding))
        if padded or getattr(module, "divisor_override", None) is not None:
            path.changes.append(None)
        return path.spatial == _AVG_POOLS[kind]
    elif kind in _MAX_POOLS:
        if module.return_indices or _gaps(module.padding, module.dilation):
            return False
        return path.spatial == _MAX_POOLS[kind]
    elif kind in _ADAPTIVE_POOLS:
        return path.spatial == _ADAPTIVE_POOLS[kind] and not getattr(
            module, "return_indices", False
        )
    elif kind is nn.Flatten:
        _flatten(path)
        return bool(module.start_dim == 1 and module.end_dim == -1)
    else:
        return kind in _AS_THEY_ARE
    return True


def _method(path: Path, node: fx.Node) -> bool:
    arguments, target = node.args[1:], str(node.target)
    if target in _ELEMENTWISE_METHODS:
        path.changes.append(getattr(torch, target))
        return not arguments
    if target == "flatten":
        _flatten(path)
        return _from_first(node)
    if target in ("view", "reshape"):
        _flatten(path)
        return bool(arguments[1:] == (-1,)) and _batch_size(path, arguments[0])
    return target == "contiguous"


def _function(path: Path, node: fx.Node) -> bool:
    target: Any = node.target
    arguments, options = node.args[1:], dict(node.kwargs)
    if target in _ELEMENTWISE_FUNCTIONS:
        if any(isinstance(a, fx.Node) for a in (*arguments, *options.values())):
            return False
        options.pop("inplace", None)
        path.changes.append(lambda c: target(c, *arguments, **options))
        return True
    if target in _MAX_FUNCTIONS:
        if options.get("return_indices") or _gaps(options.get("padding"), options.get("dilation")):
            return False
        return path.spatial == _MAX_FUNCTIONS[target] and len(arguments) <= 2
    if target in _ADAPTIVE_FUNCTIONS:
        known = len(arguments) <= 1 and not options.get("return_indices")
        return path.spatial == _ADAPTIVE_FUNCTIONS[target] and known
    if target is torch.flatten:
        _flatten(path)
        return _from_first(node)
    if target in (F.dropout, F.dropout2d):
        if options.get("training", True) is not False:  # always at work, and 0 alone is left alone
            path.changes.append(None)
        return len(arguments) <= 1
    return False


def _flatten(path: Path) -> None:
    path.flattened = path.flattened or path.spatial > 0
    path.spatial = 0


def _from_first(node: fx.Node) -> bool:
    """Whether a call of flatten begins after the batch, and goes to the end."""
    given = dict(zip(("start_dim", "end_dim"), node.args[1:], strict=False)) | dict(node.kwargs)
    return bool(given.get("start_dim", 0) == 1 and given.get("end_dim", -1) == -1)


def _batch_size(path: Path, size: Any) -> bool:
    """Whether this is the size of dimension 0, asked of a tensor on this path.

    Another tensor's may be the number of videos where this one's is that of their frames.
    """
    if not isinstance(size, fx.Node):
        return False
    if size.target == "size" and size.op == "call_method":
        return size.args[1:] == (0,) and size.args[0] in path.walked
    if size.target is not operator.getitem or not isinstance(size.args[0], fx.Node):
        return False
    whole = size.args[0]
    return bool(size.args[1] == 0) and _asks_shape(whole) and whole.args[0] in path.walked


def asks_size(node: fx.Node, spatial: int) -> bool:
    """Whether a node asks for a size that stays when channels go."""
    harmless = {0, *range(2, spatial + 2)}
    if node.op == "call_method" and node.target == "dim":
        return True
    if node.op == "call_method" and node.target == "size" and len(node.args) == 2:
        return node.args[1] in harmless
    return _asks_shape(node) and all(
        u.op == "call_function" and u.target is operator.getitem and u.args[1] in harmless
        for u in node.users
    )


def _asks_shape(node: fx.Node) -> bool:
    if node.op == "call_method":
        return node.target == "size" and len(node.args) == 1 and not node.kwargs
    return node.op == "call_function" and node.target is getattr and node.args[1:] == ("shape",)


def _normalised(norm: Any, c: Tensor) -> Tensor:
    """What BatchNorm makes of a constant in evaluation mode, channel by channel."""
    result = (c - norm.running_mean) / torch.sqrt(norm.running_var + norm.eps)
    return result * norm.weight + norm.bias if norm.affine else result


def _each(size: Any) -> tuple[Any, ...]:
    return tuple(size) if isinstance(size, tuple | list) else (size,)


def _gaps(padding: Any, dilation: Any) -> bool:
    """Whether a window may lie in the padding with all that it looks at."""
    return any(_each(padding or 0)) and any(d != 1 for d in _each(dilation or 1))
