"""A linear layer followed by any loss over classes, without ever holding all its logits."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lossmith.engine import labels, linear
from lossmith.engine.plan import Call
from lossmith.errors import DtypeError, InputError, LabelError, ParameterError, ShapeError
from lossmith.face import call, checks, modules
from lossmith.face.catalogue import FUNCTIONS
from lossmith.link.links import Linked

_NAME = "linear_loss"
_KINDS = ("softmax", "crammer_singer", "one_vs_rest")
_DEFAULTS: dict[str, Any] = {
    "class_weight": None, "label_smoothing": 0.0, "ignore_index": -100, "reduction": "mean",
}  # fmt: skip
Reduction = Literal["mean", "sum", "none"]


def linear_loss(
    features: Tensor,
    weight: Tensor,
    target: Tensor,
    bias: Tensor | None = None,
    loss: Any = "cross_entropy",
    *,
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
    class_weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    block: int | None = None,
    **parameters: Any,
) -> Tensor:
    """The loss of a linear layer's scores, computed in blocks of rows: large heads in little memory.

    The same number and the same gradients as `loss(features @ weight.T + bias, target, …)`, with
    every option of that loss, at the cost of a few blocks of logits instead of all of them.

    Formula:
        logits = features · weightᵀ + bias;  loss(logits, target), and its gradients for features,
        weight and bias. Those that are frozen are not computed.

    Shapes:
        features: (…, D), at least one dimension before D, such as (N, D) or (batch, length, D).
        weight: (C, D), as in nn.Linear; bias: (C,).
        target: class indices (…), or distributions over classes (…, C).
        Result: a scalar, or with reduction="none" one loss for each row, (…).

    Parameters:
        features: floating tensor. Half precision is computed in float32, logits included, and its
            gradients are returned in its own dtype; autocast changes nothing.
        weight: of the layer. That is why the weight of rows is called sample_weight here.
        target: see Shapes.
        bias (default None): of the layer.
        loss (default "cross_entropy"): a probability loss by name, function or Module, a person's
            own included; or a Module CrammerSinger(…) or OneVsRest(…), which have no smoothing. A
            Module brings its settings along; giving one of them another value here is an error.
        sample_weight (default None): one weight per row; 2 counts twice, 0 drops. In other losses
            this is `weight`.
        mask (default None): one boolean per row, True keeps. Dropped rows enter no product.
        class_weight (default None): one weight per class; a row weighs as its true class.
        label_smoothing (default 0.0): share of the label spread over the allowed classes, in [0, 1).
        ignore_index (default -100): rows with this class index are dropped.
        reduction (default "mean"): "mean" = total / mass over the whole batch, "sum" = total,
            "none" = one loss each; its backward makes the logits a second time.
        block (default None): how many rows at a time; None takes 32 MB of logits, at least 64 rows.
        parameters: those of the loss, for example gamma=3.0 and alpha=(one per class) for "focal".

    Errors:
        InputError (a ValueError) for wrong shapes, dtypes, devices, labels and parameters: what was
        given, what is needed. A batch of mass 0 gives 0 with zero gradients.

    Blocks run on every device, with the kernels of the CPU engine where those run the plain loss.
    All logits are made at once under `torch.compile`, `torch.func` and forward mode, when a
    parameter of the loss or a weight of rows is learned, and in a differentiable backward
    (`create_graph=True`), which is right to any order. `linear_loss.total(…)` is (total, mass).

    Source: the recomputation-free form of Wijmans et al. 2024, "Cut Your Losses in Large-Vocabulary
    Language Models", arXiv:2411.09009.
    """
    head, reduction, lead = _head(
        features, weight, target, bias, loss, sample_weight, mask, class_weight, label_smoothing,
        ignore_index, reduction, block, parameters,
    )  # fmt: skip
    try:
        result = linear.reduce(head, reduction)
    except LabelError as error:
        raise _label_error(head, lead, error) from None
    return result.reshape(lead) if reduction == "none" else result


def _total(
    features: Tensor,
    weight: Tensor,
    target: Tensor,
    bias: Tensor | None = None,
    loss: Any = "cross_entropy",
    *,
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
    class_weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    block: int | None = None,
    **parameters: Any,
) -> tuple[Tensor, Tensor]:
    """(total, mass) of linear_loss: Σ weight·loss and Σ weight. Pairs add."""
    head, _, lead = _head(
        features, weight, target, bias, loss, sample_weight, mask, class_weight, label_smoothing,
        ignore_index, "mean", block, parameters,
    )  # fmt: skip
    try:
        return linear.pair(head)
    except LabelError as error:
        raise _label_error(head, lead, error) from None


_total.__qualname__ = "linear_loss.total"
linear_loss.total = _total  # type: ignore[attr-defined]


def _chosen(loss: Any) -> tuple[Any, dict[str, Any]]:
    """The function of a loss, and the settings that a Module brings along."""
    settings = loss.given() if isinstance(loss, modules.Loss) else {}
    found = FUNCTIONS.get(loss) if isinstance(loss, str) else getattr(loss, "function", loss)
    linked = getattr(found, "loss", None)
    if not isinstance(linked, Linked) or linked.kind not in _KINDS:
        names = ", ".join(n for n, f in FUNCTIONS.items() if f.loss.kind in _KINDS)
        given = f"a {linked.formula.family} loss" if isinstance(linked, Linked) else "no loss of ours"
        raise InputError(
            f"{_NAME}: loss={loss!r} is {given}; it needs a loss over classes. Give one of {names} "
            "(name, function or Module), your own @lossmith.probability, or a Module such as "
            'lossmith.CrammerSinger("hinge").'
        )
    return found, settings


def _merged(given: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Options of the call over those of a Module; two that differ are not ours to choose from."""
    made = dict(_DEFAULTS)
    for name, default in _DEFAULTS.items():
        here, there = given[name], settings.get(name, default)
        plain = here is default if default is None else here == default
        if plain:
            made[name] = there
        elif name not in settings or there is default or here is there:
            made[name] = here
        elif not isinstance(there, Tensor) and (there == default or there == here):
            made[name] = here
        else:
            raise InputError(
                f"{_NAME}: {name} is {_short(here)} here and {_short(there)} in the loss Module. "
                "Give it in one place."
            )
    return made


def _short(value: Any) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)


def _head(
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
) -> tuple[linear.Head, Any, torch.Size]:
    """A checked head, the reduction, and the shape of its losses."""
    checks.reduction(_NAME, reduction)
    function, settings = _chosen(loss)
    linked: Linked = function.loss
    options = _merged(
        {
            "class_weight": class_weight, "label_smoothing": label_smoothing,
            "ignore_index": ignore_index, "reduction": reduction,
        },
        settings,
    )  # fmt: skip
    if linked.kind != "softmax" and options["label_smoothing"]:
        raise ParameterError(
            f"{_NAME}: label_smoothing = {options['label_smoothing']!r}, but {linked.name} has no "
            "smoothing; give a distribution as target instead."
        )
    if block is not None and (not isinstance(block, int) or block < 1):
        raise ParameterError(f"{_NAME}: block = {block!r} must be a whole number of rows, from 1.")
    lead = _shapes(features, weight, target, bias, sample_weight, mask)
    own = {p.name: settings[p.name] for p in linked.formula.parameters if p.name in settings}
    own |= parameters
    balanced = {}
    if linked.formula.balanced and linked.kind == "softmax":
        balanced["alpha"] = own.pop("alpha", settings.get("alpha"))
    tensors = {k: v for k, v in own.items() if isinstance(v, Tensor)}
    bound = linked.formula.bind({k: v for k, v in own.items() if k not in tensors})
    if unknown := tensors.keys() - bound.keys():
        linked.formula.bind(dict.fromkeys(unknown, 0.0))  # its error lists the names
    rows, classes = lead.numel(), weight.shape[0]
    wide = torch.float64 in (features.dtype, weight.dtype)
    dtype = torch.float64 if wide else torch.float32
    stand_in = torch.zeros((), dtype=dtype, device=features.device).expand(rows, classes)
    checked = call.classes(
        linked,
        stand_in,
        target.reshape(rows, classes) if target.is_floating_point() else target.reshape(rows),
        tuple(tensors.get(name, value) for name, value in bound.items()),
        options["class_weight"], options["label_smoothing"], options["ignore_index"],
        None if sample_weight is None else sample_weight.expand(lead).reshape(rows),
        None if mask is None else mask.expand(lead).reshape(rows),
        **balanced,
    )  # fmt: skip
    flat = features.reshape(rows, features.shape[-1])
    return linear.Head(checked, flat, weight, bias, block), options["reduction"], lead


def _shapes(
    features: Any, weight: Any, target: Any, bias: Any, sample_weight: Any, mask: Any
) -> torch.Size:
    """Look at all that shapes, dtypes and devices can tell; the shape of the losses."""
    given = {"features": features, "weight": weight, "target": target}
    given |= {} if bias is None else {"bias": bias}
    for name, value in given.items():
        if not isinstance(value, Tensor):
            raise DtypeError(
                f"{_NAME}: {name} must be a torch.Tensor, got {type(value).__name__}. "
                "The order is linear_loss(features, weight, target, bias)."
            )
        if name != "target" and not value.is_floating_point():
            raise DtypeError(f"{_NAME}: {name} has dtype {value.dtype}; it must be floating.")
        checks.device(_NAME, name, value, features)
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
    if target.dtype == torch.bool or target.is_complex():
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
        if sample_weight.is_complex() or sample_weight.dtype == torch.bool:
            raise DtypeError(
                f"{_NAME}: sample_weight has dtype {sample_weight.dtype}; it must be real numbers. "
                "For booleans there is mask=."
            )
    if mask is not None:
        checks.per_loss(_NAME, "mask", mask, lead, features)
    return lead


def _label_error(head: linear.Head, lead: torch.Size, error: LabelError) -> LabelError:
    """A block tells places within itself; say them as the whole batch has them."""
    flat: Call = head.call
    whole = linear.with_tensors(flat)
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


class LinearLoss(nn.Module):
    """A linear layer and the loss of its scores, in blocks of rows: see `linear_loss`.

    Formula:
        logits = features · weightᵀ + bias;  loss(logits, target), never holding all logits.

    Shapes:
        forward(features, target, sample_weight=None, mask=None): features (…, in_features); target
        (…) class indices or (…, num_classes) distributions. `logits(features)` gives the scores.

    Parameters:
        in_features: D, the size of a row of features.
        num_classes: C, how many classes.
        loss (default "cross_entropy"): a loss over classes, by name, function or Module.
        bias (default True): whether the layer has one.
        class_weight (default None): one weight per class.
        label_smoothing (default 0.0): share of the label spread over the allowed classes.
        ignore_index (default -100): rows with this class index are dropped.
        reduction (default "mean"): "mean" = total / mass, "sum", or "none".
        block (default None): how many rows at a time; None takes 32 MB of logits.
        device (default None), dtype (default None): of weight and bias, which begin as
            nn.Linear's do and carry its names in the state_dict.
        parameters: those of the loss, for example gamma=3.0 for "focal"; one that requires grad is
            learned.

    Errors:
        InputError for a loss that is not over classes, and all that `linear_loss` refuses.
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        loss: Any = "cross_entropy",
        bias: bool = True,
        *,
        class_weight: Tensor | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        block: int | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
        **parameters: Any,
    ) -> None:
        super().__init__()
        for name, size in (("in_features", in_features), ("num_classes", num_classes)):
            if not isinstance(size, int) or size < 1:
                raise ParameterError(f"LinearLoss: {name} = {size!r} must be a whole number, from 1.")
        checks.reduction("LinearLoss", reduction)
        function, _ = _chosen(loss)
        numbers = {k: v for k, v in parameters.items() if not isinstance(v, Tensor)}
        if function.loss.formula.balanced:
            numbers.pop("alpha", None)
        function.loss.formula.bind(numbers)
        self.in_features, self.num_classes, self.loss = in_features, num_classes, loss
        self.label_smoothing, self.ignore_index = label_smoothing, ignore_index
        self.reduction, self.block = reduction, block
        self.weight = nn.Parameter(torch.empty(num_classes, in_features, device=device, dtype=dtype))
        made = torch.empty(num_classes, device=device, dtype=dtype) if bias else None
        self.bias = None if made is None else nn.Parameter(made)
        self.register_buffer("class_weight", class_weight, persistent=False)
        self.parameter_names = tuple(parameters)
        for name, value in parameters.items():
            if isinstance(value, Tensor) and value.requires_grad:
                learned = value if isinstance(value, nn.Parameter) else nn.Parameter(value.detach())
                self.register_parameter(name, learned)
            elif isinstance(value, Tensor):
                self.register_buffer(name, value, persistent=False)
            else:
                setattr(self, name, value)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight and bias anew, drawn as nn.Linear draws them."""
        bound = 1 / math.sqrt(self.in_features)
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def _options(self) -> dict[str, Any]:
        names = ("class_weight", "label_smoothing", "ignore_index", "block", *self.parameter_names)
        return {name: getattr(self, name) for name in names}

    def forward(
        self,
        features: Tensor,
        target: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """The reduced loss of a batch."""
        return linear_loss(
            features, self.weight, target, self.bias, self.loss, sample_weight=sample_weight,
            mask=mask, reduction=self.reduction, **self._options(),
        )  # fmt: skip

    def total(
        self,
        features: Tensor,
        target: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """(total, mass) of a batch: pairs of micro-batches and ranks add up."""
        return _total(
            features, self.weight, target, self.bias, self.loss, sample_weight=sample_weight,
            mask=mask, **self._options(),
        )  # fmt: skip

    def logits(self, features: Tensor) -> Tensor:
        """The scores themselves, all of them, for prediction."""
        return F.linear(features, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The layer's sizes, and the settings."""
        options = {k: v for k, v in self._options().items() if k not in ("class_weight", "block")}
        shown = ", ".join(f"{k}={_short(v)}" for k, v in options.items())
        name = getattr(self.loss, "__name__", self.loss)
        return (
            f"{self.in_features}, {self.num_classes}, loss={name!r}, "
            f"bias={self.bias is not None}, {shown}, reduction={self.reduction!r}"
        )
