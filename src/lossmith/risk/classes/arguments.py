"""Arguments of a split call, checked and made into a `Split`, so that no rank raises alone."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from lossmith.engine import looking
from lossmith.errors import DtypeError, InputError, ParameterError, ShapeError, UnsupportedError
from lossmith.face import checks, inner, values
from lossmith.face import settings as settings_of
from lossmith.face.catalogue import FUNCTIONS
from lossmith.face.meant import Meant, meant
from lossmith.link import shapes
from lossmith.link.dtypes import compute_dtype
from lossmith.link.link import Call, Linked
from lossmith.link.options import CLASS_ALPHA
from lossmith.risk.classes import agreement, mesh
from lossmith.risk.classes.shard import Split

NAME = "class_parallel_loss"
_PER_CLASS = ("whole", "shard")


def chosen(loss: Any) -> Meant:
    """A loss whose classes may lie on several ranks."""
    found = meant(loss)
    if found is None or not found.loss.link.split:
        names = ", ".join(n for n, f in FUNCTIONS.items() if f.loss.link.split)
        raise InputError(
            f"{NAME}: loss={loss!r} is no probability loss. Give one of {names} (name, function or "
            "Module), or your own @lossmith.probability."
        )
    return found


def split(
    logits: Any,
    target: Any,
    loss: Any,
    options: dict[str, Any],
    sample_weight: Any,
    mask: Any,
    extent: Any,
    shard_sizes: Any,
    process_group: Any,
    parameters: dict[str, Any],
) -> tuple[Split, str]:
    """The checked call and its reduction; whatever is wrong on one rank is an error on all."""
    if looking.recorded() or looking.transformed():
        raise UnsupportedError(
            f"{NAME} speaks to other processes and runs eagerly, not under torch.compile, "
            "torch.jit.trace or torch.func. Call it outside the compiled or transformed function; "
            "for gradients of gradients use torch.autograd.grad(…, create_graph=True)."
        )
    group, dim = mesh.group(NAME, logits, process_group)

    def prepare() -> tuple[Split, str]:
        _, linked, settings = chosen(loss)
        merged = inner.options(NAME, linked, options, settings)
        bound, alpha = bind(linked, settings, parameters)
        whole = per_class(extent) == "whole"
        local = partial(mesh.local, NAME, dim=dim, whole=whole)
        called = Call(
            linked, local("logits", logits), local("target", target),
            tuple(local(n, v) for n, v in bound.items()),
            local("sample_weight", sample_weight), local("mask", mask), alpha=local("alpha", alpha),
            class_weight=local("class_weight", merged["class_weight"]),
            label_smoothing=merged["label_smoothing"], ignore_index=merged["ignore_index"],
        )  # fmt: skip
        made = Split(called, group, 0, 0, whole, False)
        _check(made)
        made.look = looking.readable(made.call.prediction.detach(), made.call.target)
        return made, merged["reduction"]

    sizes = shard_sizes
    if sizes is None:
        made, reduction, sizes = agreement.agreed(NAME, group, prepare)
    else:
        made, reduction = prepare()
        sizes = agreement.given(NAME, sizes, made)
    made.first, made.classes = sum(sizes[: group.rank()]), sum(sizes)
    if not made.classes:
        raise ShapeError(f"{NAME}: no rank has a class; the logits need at least one in all.")
    for argument, value in made.per_class():
        if made.whole and tuple(value.shape) != (made.classes,):
            hint = ""
            if value.shape == made.call.prediction.shape[1:2]:
                hint = ' For the numbers of this rank\'s classes alone use per_class="shard".'
            raise ShapeError(
                f"{NAME}: {argument} has shape {tuple(value.shape)}, but the ranks have "
                f"{made.classes} classes together: give one number for each, shape "
                f"({made.classes},).{hint}"
            )
    return made, reduction


def per_class(value: Any) -> str:
    """Whose classes the numbers by class are."""
    if not isinstance(value, str) or value not in _PER_CLASS:
        raise InputError(
            f'{NAME}: per_class={settings_of.shown(value)} is not known. Use "whole" if '
            'class_weight and alpha have all classes, "shard" if each rank gives those of its own.'
        )
    return value


def bind(
    linked: Linked, settings: dict[str, Any], parameters: dict[str, Any]
) -> tuple[dict[str, Any], Any]:
    """The formula's parameters in order, by name, and alpha."""
    bound, alpha = inner.parameters(NAME, linked, parameters, settings)
    for name, value in bound.items():
        if not isinstance(value, Tensor):
            continue
        settings_of.dense(NAME, name, value)
        if value.dim() > 1 or not value.is_floating_point():
            raise ParameterError(
                f"{NAME}: {name} is a tensor of shape {tuple(value.shape)} and {value.dtype}; it "
                "must be a number, a floating tensor of one number, shape (), or of one for each "
                "class, the same on each rank or, as per_class says, its shard."
            )
    return bound, alpha


def _check(made: Split) -> None:
    """What shapes, dtypes and devices of this rank can tell."""
    logits, target = made.call.prediction, made.call.target
    shapes.tensors(NAME, logits, target)
    settings_of.dense(NAME, "logits", logits)
    settings_of.dense(NAME, "target", target)
    shapes.data(NAME, target)
    if logits.dim() < 2 or logits.shape[1]:
        shapes.of_classes(NAME, logits, target)
    else:  # a rank may be without classes
        rows = logits.shape[:1] + logits.shape[2:]
        if target.dtype == torch.bool:
            raise DtypeError(f"{NAME}: the target is boolean; give class indices (int64).")
        if target.shape != (logits.shape if target.is_floating_point() else rows):
            raise ShapeError(
                f"{NAME}: logits of shape {tuple(logits.shape)} need class indices of shape "
                f"{tuple(rows)} or a distribution of the logits' shape as target, got "
                f"{tuple(target.shape)}."
            )
    rows = logits.shape[:1] + logits.shape[2:]
    for argument, value in (("sample_weight", made.call.weight), ("mask", made.call.mask)):
        if value is not None:
            checks.per_loss(NAME, argument, value, rows, logits)
    if made.call.alpha is not None:
        settings_of.by_class(NAME, CLASS_ALPHA, made.call.alpha)
    for argument, value in made.per_class():
        if made.whole and isinstance(value, Tensor) and value.dim() == 1:
            # Its length waits until the number of classes is known.
            checks.one_per_class(NAME, argument, value, logits.new_empty((1, value.shape[0])))
        else:
            checks.one_per_class(NAME, argument, value, logits)
        if argument in ("class_weight", "alpha"):
            values.non_negative(NAME, argument, value)
    for spec, value in zip(made.call.loss.formula.parameters, made.call.parameters, strict=True):
        settings_of.parameter(NAME, spec, value)
    made.call.label_smoothing = settings_of.smoothing(NAME, made.call.label_smoothing)
    made.call.ignore_index = settings_of.index(NAME, made.call.ignore_index)
    settings_of.index_beside(NAME, made.call.ignore_index, not made.call.hard)
    if made.call.hard:
        made.call.target = shapes.indices(NAME, target)
    wide = compute_dtype(logits.dtype)
    made.call.parameters = tuple(
        p.to(wide) if isinstance(p, Tensor) else p for p in made.call.parameters
    )
