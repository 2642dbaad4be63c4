"""A linear layer followed by any loss over classes, without ever holding all its logits."""

from __future__ import annotations

import math
from typing import Any, Literal, Never

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lossmith.engine.linear import HEADS
from lossmith.errors import LabelError
from lossmith.face import heads, inner, names, settings
from lossmith.face.modules import hold
from lossmith.face.summand import Summand

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
    """The loss of a linear layer's scores, in blocks of rows: large heads in little memory.

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
        sample_weight (default None): one weight per row; 2 counts twice, 0 drops.
        mask (default None): one boolean per row, True keeps. Dropped rows enter no product.
        class_weight (default None): one weight per class; a row weighs as its true class.
        label_smoothing (default 0.0): share of the label spread evenly over the classes, in [0, 1).
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

    Source: blocks whose gradient is made in the forward pass, as in Hsu et al. 2024, "Liger
    Kernel", arXiv:2410.10989, there for cross-entropy on a GPU.
    """
    head, reduction, lead = heads.head(
        features, weight, target, bias, loss, sample_weight, mask, class_weight, label_smoothing,
        ignore_index, reduction, block, parameters,
    )  # fmt: skip
    try:
        result = HEADS.reduce(head, reduction)
    except LabelError as error:
        raise heads.label_error(head, lead, error) from None
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
    head, _, lead = heads.head(
        features, weight, target, bias, loss, sample_weight, mask, class_weight, label_smoothing,
        ignore_index, "mean", block, parameters,
    )  # fmt: skip
    try:
        return HEADS.pair(head)
    except LabelError as error:
        raise heads.label_error(head, lead, error) from None


_total.__qualname__ = "linear_loss.total"
linear_loss.total = _total  # type: ignore[attr-defined]


class LinearLoss(Summand, nn.Module):
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
        in_features = settings.count("LinearLoss", "in_features", in_features)
        num_classes = settings.count("LinearLoss", "num_classes", num_classes)
        _, linked, brought = heads.chosen(loss)
        options = {
            "class_weight": class_weight, "label_smoothing": label_smoothing,
            "ignore_index": ignore_index, "reduction": reduction,
        }  # fmt: skip
        inner.parameters("LinearLoss", linked, parameters, brought)
        inner.options("LinearLoss", linked, options, brought)
        for name, value in parameters.items():
            settings.check(linked, "LinearLoss", name, value)
        block = None if block is None else settings.count("LinearLoss", "block", block)
        self.in_features, self.num_classes, self.loss = in_features, num_classes, loss
        self.label_smoothing, self.ignore_index = label_smoothing, ignore_index
        self.reduction, self.block = reduction, block
        self.weight = nn.Parameter(
            torch.empty(num_classes, in_features, device=device, dtype=dtype)
        )
        made = torch.empty(num_classes, device=device, dtype=dtype) if bias else None
        self.bias = None if made is None else nn.Parameter(made)
        self.register_buffer("class_weight", class_weight, persistent=False)
        self.parameter_names = tuple(parameters)
        for name, value in parameters.items():
            hold(self, name, value)
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

    @names.listed
    def forward(
        self,
        features: Tensor,
        target: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
        **unknown: Never,
    ) -> Tensor:
        """The reduced loss of a batch."""
        if unknown:
            names.refuse("LinearLoss", unknown, self.forward)
        return linear_loss(
            features, self.weight, target, self.bias, self.loss, sample_weight=sample_weight,
            mask=mask, reduction=self.reduction, **self._options(),
        )  # fmt: skip

    @names.listed
    def total(
        self,
        features: Tensor,
        target: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
        **unknown: Never,
    ) -> tuple[Tensor, Tensor]:
        """(total, mass) of a batch: pairs of micro-batches and ranks add up."""
        if unknown:
            names.refuse("LinearLoss", unknown, self.total)
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
        shown = ", ".join(f"{k}={inner.short(v)}" for k, v in options.items())
        name = getattr(self.loss, "__name__", self.loss)
        return (
            f"{self.in_features}, {self.num_classes}, loss={name!r}, "
            f"bias={self.bias is not None}, {shown}, reduction={self.reduction!r}"
        )
