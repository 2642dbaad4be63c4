"""Any margin formula over several classes: Crammer & Singer's way, or one against the rest."""

from __future__ import annotations

from functools import cache
from typing import Any

from torch import Tensor

from lossmith.errors import InputError
from lossmith.face import functions, modules
from lossmith.formula.ledger import find
from lossmith.formula.record import Formula
from lossmith.link.links import Kind, link


def _margin_formula(owner: str, loss: Any) -> Formula:
    formula = find(loss) if isinstance(loss, str) else getattr(loss, "formula", None)
    if formula is None:
        linked = getattr(loss, "loss", None)
        formula = getattr(linked, "formula", None)
    if not isinstance(formula, Formula) or formula.family != "margin":
        raise InputError(
            f"{owner} needs a margin loss, got {loss!r}. Give a name such as 'hinge', or a "
            "function such as lossmith.ramp; `lossmith list` shows the margin family."
        )
    return formula


@cache
def _function(formula: Formula, kind: Kind) -> Any:
    function = functions.make(link(formula, kind), "lossmith")
    modules.make(function, "lossmith")
    return function


class _Multiclass(modules.Loss):
    kind: Kind

    def __init__(
        self,
        loss: Any = "hinge",
        *,
        class_weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        **parameters: Any,
    ) -> None:
        formula = _margin_formula(type(self).__name__, loss)
        if isinstance(loss, modules.Loss):  # a Module brings its own settings along
            parameters = {p.name: getattr(loss, p.name) for p in formula.parameters} | parameters
        tensors = {k: v for k, v in parameters.items() if isinstance(v, Tensor)}
        numbers = formula.bind({k: v for k, v in parameters.items() if k not in tensors})
        function = _function(formula, self.kind)
        settings = {k: tensors.get(k, v) for k, v in numbers.items()} | {
            "class_weight": class_weight, "ignore_index": ignore_index, "reduction": reduction,
        }  # fmt: skip
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "settings", tuple(settings))
        super().__init__(**settings)

    def extra_repr(self) -> str:
        """The margin loss, and the settings."""
        return f"{self.loss.formula.name!r}, {super().extra_repr()}"

    def __reduce__(self) -> Any:
        formula = self.loss.formula
        loss = formula.name if formula.builtin else formula.function
        state = {k: v for k, v in self.__dict__.items() if k != "function"}
        return _rebuild, (type(self), loss, self.given()), state


def _rebuild(kind: Any, loss: Any, settings: dict[str, Any]) -> Any:
    return kind(loss, **settings)


class CrammerSinger(_Multiclass):
    """Multi-class margin: the true class against its strongest rival.

    Formula:
        ψ(z_y - max_{j≠y} z_j) for any margin formula ψ (hinge: Crammer & Singer 2001). At a tie of
        rivals the slope goes to one of them. A distribution q over classes gives Σ_k q_k ψ(u_k).

    Shapes:
        logits (N, C) or (N, C, d1, …); target: class indices (N, d1, …) or a distribution.

    Parameters:
        loss (default "hinge"): a margin loss by name, function or Module.
        class_weight (default None): one weight per class.
        ignore_index (default -100): rows with this class index are dropped.
        reduction (default "mean"): "mean" = total / mass, "sum", or "none".
        parameters: those of the margin loss, for example s=-1.0 for "ramp".

    Errors:
        InputError for a loss that is not a margin loss, and for wrong shapes and labels.

    Source: Crammer & Singer 2001, JMLR 2:265, eq. 3.
    """

    kind = "crammer_singer"


class OneVsRest(_Multiclass):
    """Multi-class by one binary problem per class, their losses summed.

    Formula:
        Σ_k ψ(s_k z_k), s_k = +1 for the true class and -1 for the others, for any margin formula
        ψ. A distribution q over classes gives Σ_k [q_k ψ(z_k) + (1 - q_k) ψ(-z_k)].

    Shapes:
        logits (N, C) or (N, C, d1, …); target: class indices (N, d1, …) or a distribution.

    Parameters:
        loss (default "hinge"): a margin loss by name, function or Module.
        class_weight (default None): one weight per class.
        ignore_index (default -100): rows with this class index are dropped.
        reduction (default "mean"): "mean" = total / mass, "sum", or "none".
        parameters: those of the margin loss, for example gamma=2.0 for "binary_focal".

    Errors:
        InputError for a loss that is not a margin loss, and for wrong shapes and labels.

    Source: Rifkin & Klautau 2004, JMLR 5:101.
    """

    kind = "one_vs_rest"
