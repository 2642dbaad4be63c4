"""Take zeroed channels out of a model: smaller layers, the same output."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lossmith.errors import DtypeError, UnsupportedError
from lossmith.risk.penalty.channel_paths import paths
from lossmith.risk.penalty.channel_steps import Path


@dataclass(frozen=True)
class ChannelRemoval:
    """What `remove_zero_channels` did.

    Attributes:
        model: the smaller copy, for a new optimiser.
        removed: how many output channels each layer lost, by the layer's name.
        kept: layers that keep channels which are zero, and why.
    """

    model: nn.Module
    removed: dict[str, int]
    kept: dict[str, str]


@torch.no_grad()
def remove_zero_channels(model: nn.Module, strict: bool = True) -> ChannelRemoval:
    """A smaller copy of a model without the channels that are zero, and with the same output.

    An output channel of a Linear layer or convolution goes where all its weights are 0, or where
    the layer that reads it gives it only weights of 0. What its bias still sends on (through
    BatchNorm and activations) is added to the next layer's bias. The output in evaluation mode is
    the same up to rounding.

    Shapes:
        inputs and outputs of the model stay as they are: channels of layers whose output is the
        model's are never removed, nor is the last channel of a layer. Dimension 0 is the batch,
        and where BatchNorm1d follows a Linear layer, dimension 1 its outputs.

    Parameters:
        model: Linear and Conv1d-3d layers one after the other (Sequential, or a forward that
            torch.fx can trace), with BatchNorm, elementwise activations, dropout, pooling and
            flattening between them. It is left as it is.
        strict (default True): zero channels of a layer whose output goes elsewhere (an addition,
            a concatenation, LayerNorm, …) are an error; False keeps them.

    A channel is kept, strict or not, where its bias reaches a convolution or an average padded
    with zeros, or an average with a divisor of its own: what comes of it is not the constant that
    could be added to a bias.

    Errors:
        UnsupportedError naming the layer and the reason, or that the model cannot be traced.
    """
    if not isinstance(model, nn.Module):
        raise DtypeError(f"remove_zero_channels: got {type(model).__name__}; give an nn.Module.")
    try:
        smaller = copy.deepcopy(model)
    except RuntimeError as err:
        raise UnsupportedError(
            f"remove_zero_channels: {type(model).__name__} cannot be copied ({err}). Make computed "
            "weights permanent first, for example with torch.nn.utils.prune.remove."
        ) from err
    try:
        found = paths(smaller)
    except Exception as err:
        raise UnsupportedError(
            f"remove_zero_channels: torch.fx cannot trace {type(model).__name__} ({err}). Call it "
            "on the parts that are plain chains of layers."
        ) from err
    removed: dict[str, int] = {}
    kept: dict[str, str] = {}
    # From the end: once a reader has lost rows, more of its columns are zero.
    for path in reversed(found):
        zero = _zero_rows(path.layer)
        if path.reason:
            if bool(zero.any()):
                kept[path.name] = path.reason
        elif path.reader is not None:
            count, why = _shrink(path, zero)
            if count:
                removed[path.name] = count
            if why:
                kept[path.name] = why
    refused = {n: why for n, why in kept.items() if why not in _HARMLESS}
    if strict and refused:
        listed = "; ".join(f"{name}: {why}" for name, why in refused.items())
        raise UnsupportedError(
            f"remove_zero_channels: cannot remove the zero channels of {listed}. With "
            "strict=False they are kept, and those of other layers removed."
        )
    return ChannelRemoval(smaller, dict(reversed(removed.items())), kept)


_PADDED = "its bias reaches a layer that keeps no constant but 0, as one that pads with zeros"
_LAST = "no layer is left without channels"
_HARMLESS = (_PADDED, _LAST)


def _zero_rows(layer: Any) -> Tensor:
    return (layer.weight == 0).flatten(1).all(1)


def _shrink(path: Path, zero: Tensor) -> tuple[int, str]:
    """Remove what can be removed between a layer and its reader; how many, and why not all."""
    layer: Any = path.layer
    reader: Any = path.reader
    channels = len(zero)
    width = reader.weight.shape[1] // channels
    columns = reader.weight.unflatten(1, (channels, width))
    unread = (columns == 0).movedim(1, 0).flatten(1).all(1)
    bias = layer.weight.new_zeros(channels) if layer.bias is None else layer.bias
    constant, sure = path.constants(bias)
    gone, why = unread | (zero & sure), ""
    if bool((zero & ~gone).any()):
        why = _PADDED
    if bool(gone.all()):
        gone, why = gone.clone(), _LAST
        gone[0] = False
    if not bool(gone.any()):
        return 0, why
    pushed = torch.where(gone & ~unread, constant, 0.0)
    if bool((pushed != 0).any()):
        _fold(reader, columns, pushed)
    keep = ~gone
    _take(layer, "weight", keep, 0)
    if layer.bias is not None:
        _take(layer, "bias", keep, 0)
    norms: list[Any] = list(path.norms)
    for norm in norms:
        for name in ("weight", "bias", "running_mean", "running_var"):
            if getattr(norm, name) is not None:
                _take(norm, name, keep, 0)
        norm.num_features = int(keep.sum())
    _take(reader, "weight", keep.repeat_interleave(width), 1)
    _rename(layer, reader)
    return int(gone.sum()), why


def _fold(reader: Any, columns: Tensor, pushed: Tensor) -> None:
    """Add what removed channels sent to the reader's bias, made if there is none."""
    shape = (1, -1) + (1,) * (columns.dim() - 2)
    wide = columns.double() * pushed.double().view(shape)
    total = wide.flatten(1).sum(1)
    if reader.bias is None:
        reader.bias = nn.Parameter(total.to(reader.weight.dtype))
    else:
        reader.bias.copy_(reader.bias.double() + total)


def _take(module: Any, name: str, keep: Tensor, dimension: int) -> None:
    """Keep some entries of a parameter or buffer."""
    old = getattr(module, name)
    new = old.detach().index_select(dimension, keep.nonzero().flatten())
    if isinstance(old, nn.Parameter):
        new = nn.Parameter(new, requires_grad=old.requires_grad)
    setattr(module, name, new)


def _rename(layer: Any, reader: Any) -> None:
    """The sizes that layers state of themselves."""
    for module in (layer, reader):
        out, into = ("out_features", "in_features")
        if not isinstance(module, nn.Linear):
            out, into = ("out_channels", "in_channels")
        setattr(module, out, module.weight.shape[0])
        setattr(module, into, module.weight.shape[1])
