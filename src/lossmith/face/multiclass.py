"""Any margin formula over several classes: Crammer & Singer's way, or one against the rest."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lossmith.errors import InputError, UnsupportedError
from lossmith.face import inner
from lossmith.face.relinked import Relinked
from lossmith.formula.record import Formula


class _Multiclass(Relinked):
    examples = ("hinge", "ramp")

    def __init__(
        self,
        loss: Any = "hinge",
        *,
        class_weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        **parameters: Any,
    ) -> None:
        settings = {
            "class_weight": class_weight, "ignore_index": ignore_index, "reduction": reduction
        }  # fmt: skip
        self._make(loss, settings, parameters)

    def _refuse(
        self, owner: str, formula: Formula, given: dict[str, Any], brought: dict[str, Any]
    ) -> None:
        # Options of two classes that have no meaning among several: never dropped without a word.
        alpha = given.get("alpha", brought.get("alpha")) if formula.balanced else None
        if alpha is not None:
            raise UnsupportedError(
                f"{owner}: alpha = {inner.short(alpha)} weighs the positive class of "
                f"{formula.name}, which this link does not take. For one binary problem per class "
                f"use lossmith.{formula.name}(logits, one_hot, alpha=…), one_hot = "
                "torch.nn.functional.one_hot(target, classes).to(logits); for weights of the "
                "classes, class_weight=."
            )
        if brought.get("labels", "binary") != "binary":
            raise InputError(
                f"{owner}: the loss Module has labels={brought['labels']!r}, which says what a "
                "binary target holds; here the target is a class index. Leave it out."
            )


class CrammerSinger(_Multiclass):
    """Multi-class margin: the true class against its strongest rival.

    Formula:
        ψ(z_y - max_{j≠y} z_j) for any margin formula ψ (hinge: Crammer & Singer 2001). At a tie of
        rivals the slope goes to one of them. A distribution q over classes gives Σ_k q_k ψ(u_k).

    Shapes:
        logits (N, C) or (N, C, d1, …); target: class indices (N, d1, …) or a distribution.

    Parameters:
        loss (default "hinge"): a margin loss by name, function or Module. A Module brings its
            settings along; giving one of them another value here is an error.
        class_weight (default None): one weight per class.
        ignore_index (default -100): rows with this class index are dropped.
        reduction (default "mean"): "mean" = total / mass, "sum", or "none".
        parameters: those of the margin loss, for example s=-1.0 for "ramp".

    Errors:
        InputError for a loss that is not a margin loss, and for wrong shapes and labels.

    Source: Crammer & Singer 2001, JMLR 2:265, eq. 3.
    """

    link = "crammer_singer"


class OneVsRest(_Multiclass):
    """Multi-class by one binary problem per class, their losses summed.

    Formula:
        Σ_k ψ(s_k z_k), s_k = +1 for the true class and -1 for the others, for any margin formula
        ψ. A distribution q over classes gives Σ_k [q_k ψ(z_k) + (1 - q_k) ψ(-z_k)].

    Shapes:
        logits (N, C) or (N, C, d1, …); target: class indices (N, d1, …) or a distribution.

    Parameters:
        loss (default "hinge"): a margin loss by name, function or Module. A Module brings its
            settings along; giving one of them another value here is an error.
        class_weight (default None): one weight per class.
        ignore_index (default -100): rows with this class index are dropped.
        reduction (default "mean"): "mean" = total / mass, "sum", or "none".
        parameters: those of the margin loss, for example gamma=2.0 for "binary_focal".

    Errors:
        InputError for a loss that is not a margin loss, and for wrong shapes and labels.

    Source: Rifkin & Klautau 2004, JMLR 5:101.
    """

    link = "one_vs_rest"
