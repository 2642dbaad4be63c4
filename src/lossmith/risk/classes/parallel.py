"""Probability losses of logits whose classes lie on several ranks; no logits travel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Never

from torch import Tensor, nn

from lossmith.engine.reduction import reduced, summed
from lossmith.face import inner, names, settings
from lossmith.face.modules import hold
from lossmith.face.summand import Summand
from lossmith.risk.classes import arguments
from lossmith.risk.classes.split import losses
from lossmith.risk.ranks import Group

Reduction = Literal["mean", "sum", "none"]
PerClass = Literal["whole", "shard"]


def class_parallel_loss(
    logits: Tensor,
    target: Tensor,
    loss: Any = "cross_entropy",
    *,
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
    class_weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    per_class: PerClass = "whole",
    shard_sizes: Sequence[int] | None = None,
    process_group: Any = None,
    **parameters: Any,
) -> Tensor:
    """A probability loss of logits whose classes (the vocabulary) are split over ranks.

    The same number on every rank, the one of `loss(all_logits, target, …)`, and on each rank the
    gradient of its own logits, without any rank ever having all of them.

    Formula:
        m = z_y - logsumexp_{k≠y} z_k over all ranks;  loss = g(m) = ψ(log σ(m)).
        Smoothed labels and distributions: Σ_k q_k ψ(log p_k), the best class by its margin.

    Shapes:
        logits: (N, C_r) or (N, C_r, d1, …), this rank's classes, in the order of the ranks. The
            C_r may differ, and be 0. Or a DTensor with Shard(1) on one dimension of its mesh and
            Replicate on the others: its mesh then says which ranks share the classes.
        target: class indices (N, d1, …) among all classes, the same on each rank; or this rank's
            part of a distribution, of the logits' shape.
        sample_weight, mask: (N, d1, …), or a size of 1 where they repeat; the same on each rank.
        Result: a scalar, or with reduction="none" one loss for each row, (N, d1, …), on each rank.

    Parameters:
        logits, target: see Shapes. Half precision is computed in float32, float64 in float64.
        loss (default "cross_entropy"): a probability loss by name, function or Module, a person's
            own included. A Module brings its settings along; what it sets is not given here again.
        sample_weight (default None): one weight per row; 2 counts twice, 0 drops.
        mask (default None): one boolean per row, True keeps.
        class_weight (default None): one weight per class; a row weighs as its true class.
        label_smoothing (default 0.0): share of the label spread evenly over the allowed classes of
            all ranks, in [0, 1).
        ignore_index (default -100): rows with this class index are dropped.
        reduction (default "mean"): "mean" = total / mass, "sum" = total, "none" = one loss each.
        per_class (default "whole"): whether class_weight, alpha and parameters that are given for
            each class have all classes ("whole", the same on each rank) or those of this rank
            ("shard"). Never guessed from a length.
        shard_sizes (default None, ask): the C_r of all ranks. Asking takes one small gather, in
            which the ranks also compare their arguments, so that what only one refuses is an error
            on all. With sizes given nothing is compared and no rank hears of another's error.
        process_group (default None, the default group): the ranks that share the classes.
        parameters: those of the loss, for example gamma=3.0 and alpha=(one per class) for "focal";
            numbers, or tensors of one number or of one per class. What is learned gets its whole
            gradient on every rank, or with per_class="shard" each rank that of its classes.

    Communication, whatever the number of classes: an index as target takes one maximum and one sum
    of two numbers per row in the forward pass, and nothing in the backward pass. Distributions and
    smoothing take a gather of two numbers per row and rank, and two sums; one sum in the backward.
    Only what is given for all classes and learned may travel itself, in the backward pass.

    Each rank calls backward for itself, on the same loss: gradients are those of the one loss, not
    summed or averaged over the ranks. Features that all ranks share get one part of their gradient
    from each, and summing these is the business of the layer that made the logits. A differentiable
    backward (`create_graph=True`) is right to any order. A row whose logit is -inf forbids that
    class, as without ranks. `class_parallel_loss.total(…)` is (total, mass).

    Errors:
        InputError (a ValueError) for wrong shapes, dtypes, labels and parameters, on all ranks if
        on one. Values are looked at on the CPU only; elsewhere a label that is no class gives NaN.
        UnsupportedError under torch.compile and torch.func, and for other placements of a DTensor.

    Source: Shoeybi et al. 2019, "Megatron-LM", arXiv:1909.08053, section 3, there for
    cross-entropy; the conjugate pair of collectives is its f and g.
    """
    options = {
        "class_weight": class_weight, "label_smoothing": label_smoothing,
        "ignore_index": ignore_index, "reduction": reduction,
    }  # fmt: skip
    split, asked = arguments.split(
        logits, target, loss, options, sample_weight, mask, per_class, shard_sizes, process_group,
        parameters,
    )  # fmt: skip
    return reduced(*losses(split), asked)


def _total(
    logits: Tensor,
    target: Tensor,
    loss: Any = "cross_entropy",
    *,
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
    class_weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    per_class: PerClass = "whole",
    shard_sizes: Sequence[int] | None = None,
    process_group: Any = None,
    **parameters: Any,
) -> tuple[Tensor, Tensor]:
    """(total, mass) of class_parallel_loss, alike on all ranks. Pairs of micro-batches add."""
    options = {
        "class_weight": class_weight, "label_smoothing": label_smoothing,
        "ignore_index": ignore_index, "reduction": "mean",
    }  # fmt: skip
    split, _ = arguments.split(
        logits, target, loss, options, sample_weight, mask, per_class, shard_sizes, process_group,
        parameters,
    )  # fmt: skip
    return summed(*losses(split))


_total.__qualname__ = "class_parallel_loss.total"
class_parallel_loss.total = _total  # type: ignore[attr-defined]


class ClassParallelLoss(Summand, nn.Module):
    """A probability loss of logits whose classes are split over ranks: see `class_parallel_loss`.

    Formula:
        m = z_y - logsumexp_{k≠y} z_k over all ranks;  loss = ψ(log σ(m)).

    Shapes:
        forward(logits, target, sample_weight=None, mask=None): logits (N, C_r, …) of this rank's
        classes, or a DTensor; target (N, …) class indices among all classes, or this rank's part
        of a distribution. The result is the same on all ranks.

    Parameters:
        loss (default "cross_entropy"): a probability loss by name, function or Module.
        class_weight (default None): one weight per class.
        label_smoothing (default 0.0): share of the label spread over the allowed classes.
        ignore_index (default -100): rows with this class index are dropped.
        reduction (default "mean"): "mean" = total / mass, "sum", or "none".
        per_class (default "whole"): whether class_weight, alpha and parameters by class have all
            classes ("whole") or those of this rank ("shard").
        shard_sizes (default None, ask): the number of classes of each rank.
        process_group (default None, the default group): the ranks that share the classes.
        parameters: those of the loss, for example gamma=3.0 for "focal"; one that requires grad is
            learned.

    Errors:
        InputError for a loss that is not a probability loss, and all that `class_parallel_loss`
        refuses.
    """

    def __init__(
        self,
        loss: Any = "cross_entropy",
        *,
        class_weight: Tensor | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        per_class: PerClass = "whole",
        shard_sizes: Sequence[int] | None = None,
        process_group: Any = None,
        **parameters: Any,
    ) -> None:
        super().__init__()
        name, (_, linked, brought) = type(self).__name__, arguments.chosen(loss)
        arguments.bind(linked, brought, parameters)
        options = {
            "class_weight": class_weight, "label_smoothing": label_smoothing,
            "ignore_index": ignore_index, "reduction": reduction,
        }  # fmt: skip
        inner.options(name, linked, options, brought)
        for argument, value in parameters.items():
            settings.check(linked, name, argument, value)
        arguments.per_class(per_class)
        self.loss, self._group = loss, Group(process_group)
        self.label_smoothing, self.ignore_index = label_smoothing, ignore_index
        self.reduction, self.per_class, self.shard_sizes = reduction, per_class, shard_sizes
        self.register_buffer("class_weight", class_weight, persistent=False)
        self.parameter_names = tuple(parameters)
        for name, value in parameters.items():
            hold(self, name, value)

    def _options(self) -> dict[str, Any]:
        names = ("class_weight", "label_smoothing", "ignore_index", "per_class", "shard_sizes")
        return {name: getattr(self, name) for name in (*names, *self.parameter_names)}

    @names.listed
    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
        **unknown: Never,
    ) -> Tensor:
        """The reduced loss of a batch, the same on all ranks."""
        if unknown:
            names.refuse(type(self).__name__, unknown, self.forward)
        return class_parallel_loss(
            logits, target, self.loss, sample_weight=sample_weight, mask=mask,
            reduction=self.reduction, process_group=self._group.process_group, **self._options(),
        )  # fmt: skip

    @names.listed
    def total(
        self,
        logits: Tensor,
        target: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
        **unknown: Never,
    ) -> tuple[Tensor, Tensor]:
        """(total, mass) of a batch, the same on all ranks: pairs of micro-batches add up."""
        if unknown:
            names.refuse(type(self).__name__, unknown, self.total)
        return _total(
            logits, target, self.loss, sample_weight=sample_weight, mask=mask,
            process_group=self._group.process_group, **self._options(),
        )  # fmt: skip

    def extra_repr(self) -> str:
        """The settings."""
        name = getattr(self.loss, "__name__", self.loss)
        plain = {k: v for k, v in self._options().items() if not isinstance(v, Tensor)}
        shown = ", ".join(f"{k}={v!r}" for k, v in plain.items() if v is not None)
        return f"loss={name!r}, {shown}, reduction={self.reduction!r}"
