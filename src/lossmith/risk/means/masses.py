"""What a mean divides by, known before any model runs: from labels and weights, over all ranks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Never, overload

import torch
from torch import Tensor, nn

from lossmith.engine.looking import readable
from lossmith.errors import DtypeError, InputError, LabelError, ShapeError, UnsupportedError
from lossmith.face import checks, heads, names, settings, values
from lossmith.face.catalogue import FUNCTIONS
from lossmith.face.linear import LinearLoss, linear_loss
from lossmith.face.modules import Loss
from lossmith.formula import ledger
from lossmith.formula.domain import as_number
from lossmith.link import shapes
from lossmith.link.counting import Labels, count, tolerance
from lossmith.link.dtypes import TARGETS
from lossmith.link.link import Linked
from lossmith.risk.adaptive import AdaptiveLoss
from lossmith.risk.centers import CenterLoss
from lossmith.risk.classes import arguments
from lossmith.risk.classes.parallel import ClassParallelLoss
from lossmith.risk.ranks import Group

_MODULES = (Loss, LinearLoss, CenterLoss, AdaptiveLoss, ClassParallelLoss)


@names.listed
def mass_of(
    loss: Any,
    target: Tensor,
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
    *,
    class_weight: Tensor | None = None,
    ignore_index: int | None = None,
    **unknown: Never,
) -> Tensor:
    """The mass of a batch without its predictions: what `loss.total(…)` will return second.

    With the masses of all micro-batches and ranks known before the first forward pass, every
    micro-batch divides by the same, right number: see `global_masses` and `share_of_mean`.

    Formula:
        mass = Σ sample_weight · class_weight[target] over the rows that are kept; without weights,
        the number of losses. A distribution weighs Σ_k q_k · class_weight_k.

    Shapes:
        target, sample_weight, mask: those of the loss. A floating target of a loss over classes is
        a distribution, (N, C, d1, …), for a linear loss (…, C); of a divergence, its target_probs
        or target_logits. Result: a scalar, in float64 where the device has it; it waits for no
        device.

    Parameters:
        loss: a loss by name, function or Module; a divergence, a linear loss, a
            CenterLoss, an AdaptiveLoss, or a ClassParallelLoss.
        target: as the loss takes it.
        sample_weight (default None): as the loss takes it.
        mask (default None): as the loss takes it.
        class_weight (default None): for a function over classes; a Module brings its own.
        ignore_index (default None): for a function over classes, where None means -100; a Module
            brings its own.

    Errors:
        InputError (a ValueError) for what is no loss of ours, and for shapes, dtypes and labels as
        the loss refuses them.
    """
    if unknown:
        names.refuse("mass_of", unknown, mass_of)
    rule = _rule(loss, class_weight, ignore_index)
    if not isinstance(target, Tensor):
        order = " The order is mass_of(loss, target, sample_weight, mask)."
        settings.no_tensor("mass_of", "target", target, order)
    settings.dense(rule.name, "target", target)
    if target.dtype not in TARGETS:
        raise DtypeError(
            f"mass_of: {rule.name}: the target has dtype {target.dtype}; it must be real."
        )
    soft = rule.classes and target.is_floating_point()
    if rule.classes and not soft:
        if target.dtype not in settings.INTEGERS:
            raise DtypeError(
                f"mass_of: {rule.name}: target has dtype {target.dtype}; give class indices "
                "(int64)."
            )
        target = shapes.indices(rule.name, target)
    if rule.soft is False and soft:
        raise DtypeError(
            f"mass_of: {rule.name} takes class indices (int64); the target has {target.dtype}."
        )
    if soft and target.dim() < 2:
        raise ShapeError(
            f"mass_of: {rule.name} takes a floating target as distributions over classes, with at "
            f"least 2 dimensions; got shape {tuple(target.shape)}. For class indices use "
            "target.long()."
        )
    dtype = torch.float32 if target.device.type == "mps" else torch.float64
    rows = list(target.shape)
    if soft or not rule.classes:
        rows = _without(rows, rule.dim)
    if sample_weight is not None:
        checks.per_loss(rule.name, "sample_weight", sample_weight, rows, target)
    if mask is not None:
        checks.per_loss(rule.name, "mask", mask, rows, target)
    labels = None
    if rule.classes:
        settings.index_beside(rule.name, rule.ignore_index, soft)
        labels = Labels(rule.ignore_index, _class_weight(rule, target, soft))
    weight = None if sample_weight is None else sample_weight.detach()
    plain = Labels(rule.ignore_index) if labels is not None else None
    first = count(target.detach(), rows, dtype, mask, weight, labels=plain, axis=rule.dim)
    if soft and rule.distribution:
        _refuse_no_distribution(rule, first.target, target.dtype)
    if rule.class_weight is None:
        counted = first
    else:
        if not soft:
            _refuse_no_class(rule, first.target)
        counted = count(target.detach(), rows, dtype, mask, weight, labels=labels, axis=rule.dim)
    mass = counted.mass(dtype)
    if mass is None:
        return torch.full((), float(math.prod(rows)), dtype=dtype, device=target.device)
    return mass.sum()


def _without(rows: list[int], dim: int | None) -> list[int]:
    if dim is None:
        return rows
    dim %= len(rows)
    return rows[:dim] + rows[dim + 1 :]


@dataclass
class _Rule:
    """How one loss counts its rows."""

    name: str
    classes: bool  # whether its target says a class
    dim: int | None = 1  # the dimension that one loss sees whole: the classes of a distribution
    soft: bool = True  # whether it may be a distribution
    distribution: bool = True  # whether a floating target is one for sure
    class_weight: Tensor | None = None
    ignore_index: int = -100


def _rule(loss: Any, class_weight: Tensor | None, ignore_index: int | None) -> _Rule:
    if isinstance(loss, str):
        loss = FUNCTIONS.get(ledger.named(loss) or "", loss)
    own = class_weight is not None or ignore_index is not None
    if own and isinstance(loss, _MODULES):
        raise InputError(
            f"mass_of: {type(loss).__name__} is a Module and brings its own class_weight and "
            "ignore_index; leave them out here."
        )
    if isinstance(loss, CenterLoss):
        return _Rule("CenterLoss", True, soft=False, ignore_index=loss.ignore_index)
    if isinstance(loss, AdaptiveLoss):
        return _Rule("AdaptiveLoss", False, None)
    if isinstance(loss, ClassParallelLoss):
        return _split_over_ranks(loss)
    if isinstance(loss, LinearLoss):
        brought: Any = loss.class_weight
        return _with(_Rule("LinearLoss", True, -1), loss.loss, brought, loss.ignore_index)
    if loss is linear_loss:
        return _with(_Rule("linear_loss", True, -1), None, class_weight, ignore_index)
    linked = getattr(loss, "loss", None)
    if isinstance(loss, type) or not isinstance(linked, Linked):
        raise InputError(
            f"mass_of: {_shown(loss)} is no loss of ours. Give a name such as 'huber', a function "
            "such as lossmith.huber, or a Module such as lossmith.Huber(delta=1.0); for your own "
            "loss, add up its weights yourself. Of an objective: objective.masses(batches); of a "
            "penalty: the number of calls."
        )
    rule = _Rule(linked.name, linked.classes, linked.link.axis)
    if linked.link.labelled:
        if isinstance(loss, Loss):
            class_weight, ignore_index = loss.given()["class_weight"], loss.given()["ignore_index"]
        return _with(rule, None, class_weight, ignore_index)
    if own:
        raise InputError(f"mass_of: {rule.name} has neither class_weight nor ignore_index.")
    rule.distribution = False  # of a divergence: probabilities, or the scores of some
    return rule


def _split_over_ranks(loss: ClassParallelLoss) -> _Rule:
    """Rows count once for all ranks that share their classes; each of these finds the same."""
    if loss.per_class == "shard" and loss.class_weight is not None:
        raise UnsupportedError(
            'mass_of: ClassParallelLoss with per_class="shard" has the class weights of one rank '
            'only. Give it all of them (per_class="whole"), or take the mass of its total(…).'
        )
    _, linked, brought = arguments.chosen(loss.loss)
    weight: Any = loss.class_weight
    rule = _Rule(f"ClassParallelLoss of {linked.name}", True)
    # A distribution is only this rank's part of it, unless there is one rank.
    rule.distribution = False
    rule.class_weight = brought.get("class_weight") if weight is None else weight
    rule.ignore_index = settings.index(rule.name, loss.ignore_index)
    if rule.ignore_index == settings.NO_INDEX:
        rule.ignore_index = brought.get("ignore_index", settings.NO_INDEX)
    return rule


def _shown(loss: Any) -> str:
    return type(loss).__name__ if isinstance(loss, nn.Module) else repr(loss)


def _with(rule: _Rule, inside: Any, class_weight: Tensor | None, ignore_index: Any) -> _Rule:
    """The rule with its settings; those of an inner Module where the outer one has none."""
    brought = {} if inside is None else heads.chosen(inside).settings
    if class_weight is None:
        class_weight = brought.get("class_weight")
    ignore_index = settings.NO_INDEX if ignore_index is None else ignore_index
    rule.ignore_index = settings.index(rule.name, ignore_index)
    if rule.ignore_index == settings.NO_INDEX:
        rule.ignore_index = brought.get("ignore_index", settings.NO_INDEX)
    rule.class_weight = class_weight
    return rule


def _refuse_no_distribution(rule: _Rule, target: Tensor, dtype: torch.dtype) -> None:
    """Rows that are negative or do not sum to 1, where that can be seen."""
    if rule.dim is not None and target.shape[rule.dim] and readable(target):
        wide = target.double()
        off = (wide.sum(rule.dim) - 1).abs()
        bad = ~((wide.amin(rule.dim) >= 0) & (off <= tolerance(dtype)))
        if bad.any():
            place = tuple(bad.nonzero()[0].tolist())
            row = wide.movedim(rule.dim, -1)[place]
            raise LabelError(
                f"mass_of: {rule.name}: the target at row {list(place)} is no distribution: it "
                f"sums to {row.sum().item():g}, its least share is {row.min().item():g}; shares "
                "are not negative and sum to 1. For class indices use target.long()."
            )


def _class_weight(rule: _Rule, target: Tensor, soft: bool) -> Tensor | None:
    """The class weights of a rule, checked."""
    if rule.class_weight is None:
        return None
    given = settings.one_per_class(rule.name, "class_weight", rule.class_weight)
    if given.dim() != 1:
        raise ShapeError(f"mass_of: {rule.name}: class_weight must be a tensor, one per class.")
    shapes.device(rule.name, "class_weight", given, target)
    values.non_negative(rule.name, "class_weight", given)
    if soft and rule.dim is not None and target.shape[rule.dim] != len(given):
        raise ShapeError(
            f"mass_of: {rule.name}: the target has {target.shape[rule.dim]} classes on "
            f"dimension {rule.dim}, class_weight has {len(given)}."
        )
    return given.detach()


def _refuse_no_class(rule: _Rule, index: Tensor) -> None:
    """Labels that have no class weight, where that can be seen; those of dropped rows are 0."""
    if rule.class_weight is None or not readable(index) or not index.numel():
        return
    classes = len(rule.class_weight)
    low, high = index.min().item(), index.max().item()
    if low < 0 or high >= classes:
        raise LabelError(
            f"mass_of: {rule.name}: {low if low < 0 else high} is no class: class_weight has "
            f"{classes}, so classes are 0 to {classes - 1}. Rows to leave out carry "
            f"ignore_index ({rule.ignore_index}) or a mask."
        )


@overload
def global_masses(masses: Mapping[str, Tensor | float], group: Any = None) -> dict[str, Tensor]: ...
@overload
def global_masses(masses: Tensor | float, group: Any = None) -> Tensor: ...
def global_masses(
    masses: Mapping[str, Tensor | float] | Tensor | float, group: Any = None
) -> dict[str, Tensor] | Tensor:
    """The masses of this rank's micro-batches, added over all ranks in one single all-reduce.

    Call it once for each step of the optimiser, on every rank, before the forward passes:
    masses = global_masses({"ce": sum(mass_of(ce, y) for _, y in batches)}).

    Formula:
        global mass = Σ over ranks of the mass given.

    Shapes:
        masses: scalars. Result: one scalar tensor, or a dict of them under the same names.

    Parameters:
        masses: one mass, or a mapping of names to masses (the same names on every rank, in any
            order); tensors without grad, or numbers, such as 0 for a rank without rows.
        group (default None, the default group): the process group whose ranks learn together.

    Without torch.distributed the masses are returned as they are. Nothing waits for a device.

    Errors:
        InputError (a ValueError) for what is not a mass.
    """
    if not isinstance(masses, Mapping):
        return global_masses({"mass": masses}, group)["mass"]
    if not masses:
        raise InputError("global_masses: the mapping is empty; name a mass for each loss.")
    ranks = Group(group)
    tensors = {name: value for name, value in masses.items() if isinstance(value, Tensor)}
    first = next(iter(tensors.values()), None)
    device = ranks.device() if first is None else first.device
    dtype = torch.float32 if device.type == "mps" else torch.float64
    flat = [_scalar(name, masses[name], device, dtype) for name in sorted(masses)]
    sums = torch.stack(flat)
    if ranks.several():
        ranks.add(sums)
    found = dict(zip(sorted(masses), sums.unbind(), strict=True))
    return {name: found[name] for name in masses}


def _scalar(name: str, value: Any, device: torch.device, dtype: torch.dtype) -> Tensor:
    if isinstance(value, Tensor):
        if value.numel() != 1:
            raise ShapeError(
                f"global_masses: {name!r} has shape {tuple(value.shape)}; a mass is one number. "
                "Add up those of the micro-batches: sum(masses)."
            )
        return value.detach().to(device, dtype).reshape(())
    number = as_number(value)
    if number is None or not 0 <= number < math.inf:
        raise InputError(
            f"global_masses: {name!r} is {value!r}; a mass is a scalar tensor or a finite number, "
            "at least 0: see lossmith.mass_of."
        )
    return torch.full((), number, dtype=dtype, device=device)
