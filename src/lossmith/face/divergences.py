"""KL and Jensen-Shannon divergences between the prediction and a target distribution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Never, ParamSpec, Protocol, cast

import torch
from torch import Tensor

from lossmith.engine import divergence
from lossmith.engine.divergence import Pair
from lossmith.errors import DtypeError, InputError, ShapeError
from lossmith.face import checks, names, settings, values
from lossmith.face.modules import Loss
from lossmith.formula.ledger import DIVERGENCES
from lossmith.formula.record import Formula
from lossmith.link.links import Linked, link

Reduction = Literal["mean", "sum", "none"]
Direction = Literal["forward", "reverse"]
P = ParamSpec("P")
_KL, _JS = link(DIVERGENCES["kl_divergence"]), link(DIVERGENCES["js_divergence"])


class Function(Protocol[P]):
    """A divergence as a function, with the pair (total, mass) and the record beside it."""

    total: Callable[..., tuple[Tensor, Tensor]]
    formula: Formula
    loss: Linked
    Module: type[Loss]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        """The reduced divergence."""


def _face(loss: Linked, total: Callable[..., Any]) -> Callable[[Callable[P, Tensor]], Function[P]]:
    def dress(function: Callable[P, Tensor]) -> Function[P]:
        face = cast(Any, function)
        face.total, face.loss, face.formula = total, loss, loss.formula
        total.__qualname__ = f"{loss.name}.total"
        return face

    return dress


def _pair(
    loss: Linked,
    logits: Any,
    target_probs: Any,
    target_logits: Any,
    sample_weight: Any,
    mask: Any,
    direction: str = "forward",
) -> Pair:
    """Everything that shapes, dtypes and options can tell, said before anything is computed."""
    name = loss.name
    _direction(name, direction)
    if (target_probs is None) == (target_logits is None):
        got = "neither" if target_probs is None else "both"
        raise InputError(
            f"{name}: got {got} of target_probs and target_logits; give exactly one: "
            "target_probs= for probabilities that sum to 1 over dimension 1, target_logits= for "
            "scores before the softmax."
        )
    argument = "target_logits" if target_probs is None else "target_probs"
    target = target_logits if target_probs is None else target_probs
    _check_tensor(name, "logits", logits)
    _check_tensor(name, argument, target)
    checks.device(name, argument, target, logits)
    shape = tuple(logits.shape)
    if logits.dim() < 2 or shape[1] == 0:
        raise ShapeError(
            f"{name}: logits have shape {shape}; they need (N, C) or (N, C, d1, …), classes on "
            "dimension 1. For a single example use logits.unsqueeze(0)."
        )
    if tuple(target.shape) != shape:
        raise ShapeError(
            f"{name}: logits have shape {shape} and {argument} {tuple(target.shape)}; they must "
            "be equal, nothing is broadcast."
        )
    if target_probs is not None and target_probs.requires_grad:
        raise InputError(
            f"{name}: target_probs requires a gradient, but probabilities are data here. Use "
            "target_probs.detach(), or target_logits= to learn both sides."
        )
    rows = (*shape[:1], *shape[2:])
    for option, value in (("sample_weight", sample_weight), ("mask", mask)):
        if value is not None:
            checks.per_loss(name, option, value, rows, logits)
    values.expect_logits(name, loss.key, logits)
    return Pair(
        loss, logits, target_probs, target_logits, direction == "reverse", sample_weight, mask
    )


def _direction(name: str, value: Any) -> Any:
    if not isinstance(value, str) or value not in ("forward", "reverse"):
        raise InputError(
            f'{name}: direction={settings.shown(value)} is not known. Use "forward", '
            'KL(target‖prediction), or "reverse", KL(prediction‖target).'
        )
    return value


def _check_tensor(name: str, argument: str, value: Any) -> None:
    if not isinstance(value, Tensor):
        settings.no_tensor(name, argument, value)
    settings.dense(name, argument, value)
    if value.dtype not in settings.FLOATS:
        hint = ""
        if argument != "logits" and value.dtype == torch.int64:
            hint = " For class indices use lossmith.cross_entropy."
        raise DtypeError(
            f"{name}: {argument} has dtype {value.dtype}; it must be real floating numbers.{hint}"
        )


@names.listed
def _kl_total(
    logits: Tensor,
    target_probs: Tensor | None = None,
    *,
    target_logits: Tensor | None = None,
    direction: Direction = "forward",
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
    **unknown: Never,
) -> tuple[Tensor, Tensor]:
    """(total, mass) of kl_divergence: Σ weight·loss and Σ weight. Pairs add."""
    if unknown:
        names.refuse("kl_divergence.total", unknown, _kl_total)
    return divergence.total(
        _pair(_KL, logits, target_probs, target_logits, sample_weight, mask, direction)
    )


@_face(_KL, _kl_total)
@names.listed
def kl_divergence(
    logits: Tensor,
    target_probs: Tensor | None = None,
    *,
    target_logits: Tensor | None = None,
    direction: Direction = "forward",
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
    reduction: Reduction = "mean",
    **unknown: Never,
) -> Tensor:
    """Kullback-Leibler divergence between softmax(logits), q, and a target distribution p.

    Formula:
        forward: KL(p‖q) = Σ_k p_k (log p_k - log q_k) = cross-entropy - entropy of p
        reverse: KL(q‖p) = Σ_k q_k (log q_k - log p_k)
        Computed as Σ_k a_k ψ(log b_k - log a_k) with ψ(u) = e^u - 1 - u, the same where both sum
        to 1: no term is negative, so near agreement keeps its digits. 0·log 0 = 0; infinite where
        b_k = 0 < a_k.

    Shapes:
        logits: (N, C) or (N, C, d1, …), classes on dimension 1.
        target_probs, target_logits: the logits' shape.
        Result: a scalar, or with reduction="none" one divergence for each row (N, d1, …).

    Parameters:
        logits: floating tensor; half precision is computed in float32.
        target_probs (default None): p, at least 0 and of sum 1 over dimension 1; zeros are exact.
        target_logits (default None): instead of target_probs, scores with p = softmax of them;
            -inf is p = 0. They are differentiated too if they require it.
        direction (default "forward"): "forward" averages over the target, "reverse" over the
            prediction.
        sample_weight (default None): one weight per row; 2 counts twice, 0 drops. Mass: their sum.
        mask (default None): True keeps; dropped before the formula, so NaN there goes nowhere.
        reduction (default "mean"): "mean" = total / mass over rows (torch's kl_div divides by
            rows × classes, and by rows of dimension 0 for "batchmean"), "sum" = total, "none".

    Errors:
        InputError (a ValueError) for both targets or neither, wrong shapes, dtypes and options; on
        the CPU LabelError for target_probs that are negative or do not sum to 1.

    Source: Kullback & Leibler 1951, doi:10.1214/aoms/1177729694.
    """
    if unknown:
        names.refuse("kl_divergence", unknown, kl_divergence)
    checks.reduction("kl_divergence", reduction)
    pair = _pair(_KL, logits, target_probs, target_logits, sample_weight, mask, direction)
    return divergence.reduce(pair, reduction)


@names.listed
def _js_total(
    logits: Tensor,
    target_probs: Tensor | None = None,
    *,
    target_logits: Tensor | None = None,
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
    **unknown: Never,
) -> tuple[Tensor, Tensor]:
    """(total, mass) of js_divergence: Σ weight·loss and Σ weight. Pairs add."""
    if unknown:
        names.refuse("js_divergence.total", unknown, _js_total)
    return divergence.total(_pair(_JS, logits, target_probs, target_logits, sample_weight, mask))


@_face(_JS, _js_total)
@names.listed
def js_divergence(
    logits: Tensor,
    target_probs: Tensor | None = None,
    *,
    target_logits: Tensor | None = None,
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
    reduction: Reduction = "mean",
    **unknown: Never,
) -> Tensor:
    """Jensen-Shannon divergence between softmax(logits), q, and a target distribution p.

    Formula:
        JS = ½ KL(p‖m) + ½ KL(q‖m), m = (p + q) / 2, in nats: symmetric, 0 … log 2.
        Computed as Σ_k m_k h(x_k) with x = (log q - log p) / 2 and h(x) = x·tanh x - log cosh x.
        A class that one side excludes gives ½ log 2 times the other's probability.

    Shapes:
        logits: (N, C) or (N, C, d1, …), classes on dimension 1.
        target_probs, target_logits: the logits' shape.
        Result: a scalar, or with reduction="none" one divergence for each row (N, d1, …).

    Parameters:
        logits: floating tensor; half precision is computed in float32.
        target_probs (default None): p, at least 0 and of sum 1 over dimension 1; zeros are exact.
        target_logits (default None): instead of target_probs, scores with p = softmax of them;
            -inf is p = 0. They are differentiated too if they require it.
        sample_weight (default None): one weight per row; 2 counts twice, 0 drops. Mass: their sum.
        mask (default None): True keeps; dropped before the formula, so NaN there goes nowhere.
        reduction (default "mean"): "mean" = total / mass over rows, "sum" = total, "none".

    Errors:
        InputError (a ValueError) for both targets or neither, wrong shapes, dtypes and options; on
        the CPU LabelError for target_probs that are negative or do not sum to 1.

    Source: Lin 1991, doi:10.1109/18.61115, with equal weights.
    """
    if unknown:
        names.refuse("js_divergence", unknown, js_divergence)
    checks.reduction("js_divergence", reduction)
    pair = _pair(_JS, logits, target_probs, target_logits, sample_weight, mask)
    return divergence.reduce(pair, reduction)


class _Divergence(Loss):
    @names.listed
    def forward(  # type: ignore[override]  # one of two targets
        self,
        logits: Tensor,
        target_probs: Tensor | None = None,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
        *,
        target_logits: Tensor | None = None,
        **unknown: Never,
    ) -> Tensor:
        """The reduced divergence of a batch."""
        if unknown:
            names.refuse(type(self).__name__, unknown, self.forward, self.settings)
        data = {"target_logits": target_logits, "sample_weight": sample_weight, "mask": mask}
        return self.function(logits, target_probs, **data, **self.given())

    @names.listed
    def total(  # type: ignore[override]
        self,
        logits: Tensor,
        target_probs: Tensor | None = None,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
        *,
        target_logits: Tensor | None = None,
        **unknown: Never,
    ) -> tuple[Tensor, Tensor]:
        """(total, mass) of a batch: pairs of micro-batches and ranks add up."""
        if unknown:
            names.refuse(type(self).__name__, unknown, self.total, self.settings)
        data = {"target_logits": target_logits, "sample_weight": sample_weight, "mask": mask}
        given = {k: v for k, v in self.given().items() if k != "reduction"}
        return self.function.total(logits, target_probs, **data, **given)


class KLDivergence(_Divergence):
    """Kullback-Leibler divergence between softmax(logits) and a target distribution, as a Module.

    Formula:
        forward: KL(p‖q) = Σ_k p_k (log p_k - log q_k); reverse: KL(q‖p). See kl_divergence.

    Shapes:
        forward(logits, target_probs=None, sample_weight=None, mask=None, *, target_logits=None):
        logits and target (N, C) or (N, C, d1, …), classes on dimension 1; exactly one target.

    Parameters:
        direction (default "forward"): "forward" averages over the target, "reverse" over the
            prediction.
        reduction (default "mean"): "mean" = total / mass over rows, "sum" = total, "none".
    """

    function = staticmethod(kl_divergence)
    settings = ("direction", "reduction")

    def __init__(self, *, direction: Direction = "forward", reduction: Reduction = "mean") -> None:
        super().__init__(direction=_direction(_KL.name, direction), reduction=reduction)


class JSDivergence(_Divergence):
    """Jensen-Shannon divergence between softmax(logits) and a target distribution, as a Module.

    Formula:
        JS = ½ KL(p‖m) + ½ KL(q‖m), m = (p + q) / 2. See js_divergence.

    Shapes:
        forward(logits, target_probs=None, sample_weight=None, mask=None, *, target_logits=None):
        logits and target (N, C) or (N, C, d1, …), classes on dimension 1; exactly one target.

    Parameters:
        reduction (default "mean"): "mean" = total / mass over rows, "sum" = total, "none".
    """

    function = staticmethod(js_divergence)
    settings = ("reduction",)

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction=reduction)


kl_divergence.Module, js_divergence.Module = KLDivergence, JSDivergence
