"""Arguments of a linear head, checked and made into a `Head`."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lossmith.engine import labels
from lossmith.engine.heads import Head, with_tensors
from lossmith.errors import DtypeError, InputError, LabelError, ParameterError, ShapeError
from lossmith.face import call, checks, inner
from lossmith.face import settings as settings_of
from lossmith.face.catalogue import FUNCTIONS
from lossmith.face.meant import Meant, meant
from lossmith.link import shapes
from lossmith.link.link import Call
from lossmith.link.options import LABEL_SMOOTHING

_NAME = "linear_loss"


def chosen(loss: Any) -> Meant:
    """A loss over classes."""
    found = meant(loss)
    if found is None or not found.loss.link.labelled:
        names = ", ".join(n for n, f in FUNCTIONS.items() if f.loss.link.labelled)
        given = "no loss of ours" if found is None else f"a {found.loss.formula.family} loss"
        raise InputError(
            f"{_NAME}: loss={loss!r} is {given}; it needs a loss over classes. Give one of {names} "
            "(name, function or Module), your own @lossmith.probability, or a Module such as "
            'lossmith.CrammerSinger("hinge").'
        )
    return found


def head(
    features: Any,
    weight: Any,
    target: Any,
    bias: Any,
    loss: Any,
    sample_weight: Any,
    mask: Any,
    class_weight: Any,
    label_smoothing: Any,
    ignore_index: Any,
    reduction: Any,
    block: Any,
    parameters: dict[str, Any],
) -> tuple[Head, Any, torch.Size]:
    """A checked head, the reduction, and the shape of its losses."""
    checks.reduction(_NAME, reduction)
    _, linked, settings = chosen(loss)
    options = inner.options(
        _NAME,
        linked,
        {
            "class_weight": class_weight, "label_smoothing": label_smoothing,
            "ignore_index": ignore_index, "reduction": reduction,
        },
        settings,
    )  # fmt: skip
    if options["label_smoothing"] and not linked.takes(LABEL_SMOOTHING):
        raise ParameterError(
            f"{_NAME}: label_smoothing = {options['label_smoothing']!r}, but {linked.name} has no "
            "smoothing; give a distribution as target instead."
        )
    block = None if block is None else settings_of.count(_NAME, "block", block)
    lead = _shapes(features, weight, target, bias, sample_weight, mask)
    bound, alpha = inner.parameters(_NAME, linked, parameters, settings)
    settled: dict[str, Any] = options | {"alpha": alpha}
    rows, classes = math.prod(lead), weight.shape[0]  # numel() is a constant to tracers
    wide = torch.float64 in (features.dtype, weight.dtype)
    dtype = torch.float64 if wide else torch.float32
    stand_in = torch.zeros((), dtype=dtype, device=features.device).expand(rows, classes)
    checked = call.checked(
        linked,
        stand_in,
        target.reshape(rows, classes) if target.is_floating_point() else target.reshape(rows),
        tuple(bound.values()),
        None if sample_weight is None else sample_weight.expand(lead).reshape(rows),
        None if mask is None else mask.expand(lead).reshape(rows),
        tuple(settled[option.name] for option in linked.options),
    )
    flat = features.reshape(rows, features.shape[-1])
    return Head(checked, flat, weight, bias, block), options["reduction"], lead


def _shapes(
    features: Any, weight: Any, target: Any, bias: Any, sample_weight: Any, mask: Any
) -> torch.Size:
    """Look at all that shapes, dtypes and devices can tell; the shape of the losses."""
    given = {"features": features, "weight": weight, "target": target}
    given |= {} if bias is None else {"bias": bias}
    for name, value in given.items():
        if not isinstance(value, Tensor):
            order = " The order is linear_loss(features, weight, target, bias)."
            settings_of.no_tensor(_NAME, name, value, order)
        settings_of.dense(_NAME, name, value)
        if name != "target" and value.dtype not in settings_of.FLOATS:
            raise DtypeError(
                f"{_NAME}: {name} has dtype {value.dtype}; it must be floating. Use {name}.float()."
            )
        shapes.device(_NAME, name, value, features)
    if features.dim() < 2:
        raise ShapeError(
            f"{_NAME}: features have shape {tuple(features.shape)}; they need (…, D) with at least "
            "one dimension before D. For a single row use features.unsqueeze(0)."
        )
    lead, width = features.shape[:-1], features.shape[-1]
    if weight.dim() != 2 or weight.shape[1] != width:
        turned = weight.dim() == 2 and weight.shape[0] == width
        raise ShapeError(
            f"{_NAME}: features of shape {tuple(features.shape)} need a weight of shape "
            f"(classes, {width}), as nn.Linear has it; got {tuple(weight.shape)}."
            + (" Use weight.t()." if turned else "")
        )
    classes = weight.shape[0]
    if bias is not None and tuple(bias.shape) != (classes,):
        raise ShapeError(
            f"{_NAME}: bias has shape {tuple(bias.shape)}, but the weight has {classes} classes: "
            f"it must be ({classes},)."
        )
    if target.dtype not in (*settings_of.FLOATS, *settings_of.INTEGERS):
        raise DtypeError(f"{_NAME}: target has dtype {target.dtype}; give class indices (int64).")
    needed = (*lead, classes) if target.is_floating_point() else tuple(lead)
    if tuple(target.shape) != needed:
        what = "distributions" if target.is_floating_point() else "class indices"
        raise ShapeError(
            f"{_NAME}: features of shape {tuple(features.shape)} and {classes} classes need {what} "
            f"of shape {needed} as target, got {tuple(target.shape)}."
        )
    if sample_weight is not None:
        checks.per_loss(_NAME, "sample_weight", sample_weight, lead, features)
    if mask is not None:
        checks.per_loss(_NAME, "mask", mask, lead, features)
    return lead


def label_error(head: Head, lead: torch.Size, error: LabelError) -> LabelError:
    """A block tells places within itself; say them as the whole batch has them."""
    flat: Call = head.call
    whole = with_tensors(flat)
    if not flat.hard:
        whole.target = flat.target.reshape(*lead, -1).movedim(-1, 1)
    else:
        whole.target = flat.target.reshape(lead)
    classes = head.weight.shape[0]
    # Only a bias can forbid a class in all rows; what features forbid, the block's error tells.
    scores = flat.prediction.new_zeros(classes) if head.bias is None else head.bias.detach()
    whole.prediction = scores.view(1, -1, *(1 for _ in lead[1:])).expand(
        lead[0], classes, *lead[1:]
    )
    whole.mask = None if flat.mask is None else flat.mask.reshape(lead)
    whole.weight = None if flat.weight is None else flat.weight.reshape(lead)
    bad = labels.refused(whole)
    if bad is None or not bool(bad.any()):
        return error
    return LabelError(labels.describe(whole, int(bad.sum())))
