"""What is sure of a sum of losses as a function of all its inputs together."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from lossmith.face import heads
from lossmith.face.linear import LinearLoss
from lossmith.face.modules import Loss
from lossmith.formula import phrases
from lossmith.formula.ledger import DIVERGENCES
from lossmith.formula.record import Formula
from lossmith.formula.traits import Known
from lossmith.risk.centers import CenterLoss
from lossmith.risk.penalty.base import Penalty
from lossmith.risk.sums.terms import Term

if TYPE_CHECKING:
    from lossmith.formula.properties import Properties


@dataclass(frozen=True)
class JointProperties:
    """Properties of an objective as a function of its inputs together, targets held fixed.

    They hold for every batch of positive mass with weights of rows that are not negative, at the
    objective's weights and the learned parameters as they were when asked. None means unknown:
    what is not known of one term is not known of the sum.

    Attributes:
        convex: in all predictions (logits, features, parameters …) jointly, what a term itself
            learns (centres, the weight of a LinearLoss) held fixed. A sum of convex terms
            is, whichever inputs each of them takes.
        lipschitz: K with |value - value'| ≤ K · the largest change of any entry of any prediction
            (the sup norm over all inputs), the same for every batch size; ∞ if there is none.
        lowest: a number that the value never falls below; -∞ if unbounded.
        highest: a number that it never exceeds; ∞ if unbounded.
        curves: for each group of terms that look at the same u of the same inputs, the properties
            of their weighted sum Σ λ_i·ψ_i(u).
    """

    convex: Known
    lipschitz: float | None
    lowest: float | None
    highest: float | None
    curves: dict[tuple[str, ...], Properties] = field(default_factory=dict)

    @property
    def bounded(self) -> Known:
        """Whether the value stays between two numbers."""
        if self.lowest is None or self.highest is None:
            return None
        return math.isfinite(self.lowest) and math.isfinite(self.highest)

    def rows(self) -> list[tuple[str, str]]:
        """Name and answer of every property, for printing."""
        return [
            ("convex", phrases.said(self.convex)),
            ("Lipschitz (sup norm)", phrases.constant(self.lipschitz)),
            ("bounded", phrases.bounds(self.lowest, self.highest)),
        ]


_UNKNOWN = JointProperties(None, None, None, None)


def of(terms: Iterable[Term]) -> JointProperties:
    """The properties of the sum of these terms."""
    groups: dict[Any, list[tuple[Term, Properties, float]]] = {}
    parts: list[JointProperties] = []
    for t in terms:
        scale = t.factor * (1.0 if t.weight is None else float(t.weight.factor()))
        curve = _curve(t.module)
        if curve is not None:
            groups.setdefault(_same(t), []).append((t, curve, scale))
        else:
            parts.append(_scaled(_own(t.module), scale))
        shift = None if t.weight is None else t.weight.shift()
        if shift is not None:
            moved = t.factor * float(shift)
            parts.append(JointProperties(True, 0.0, moved, moved))
    curves: dict[tuple[str, ...], Properties] = {}
    for group in groups.values():
        together = group[0][1].scaled_by(group[0][2])
        for _, curve, scale in group[1:]:
            together = together.plus(curve.scaled_by(scale))
        curves[tuple(t.name for t, _, _ in group)] = together
        parts.append(_through(*_link(group[0][0].module), together))
    sums = parts[0]
    for part in parts[1:]:
        sums = _plus(sums, part)
    return JointProperties(sums.convex, sums.lipschitz, sums.lowest, sums.highest, curves)


def _curve(module: nn.Module) -> Properties | None:
    """The properties of ψ at a Module's settings, where the loss is a plain mean of ψ(u)."""
    if not isinstance(module, Loss) or module.loss.formula.name in DIVERGENCES:
        return None
    return _at(module.loss.formula, module.given())


def _at(formula: Formula, given: dict[str, Any]) -> Properties | None:
    found: dict[str, float] = {}
    for parameter in formula.parameters:
        value = given.get(parameter.name, parameter.default)
        if isinstance(value, Tensor):
            if value.numel() != 1 or value.device.type == "meta":
                return None  # one ψ for each element
            value = float(value.detach())
        found[parameter.name] = value
    from lossmith.formula import properties  # SymPy, half a second that a loss does not need

    return properties.of(formula, **found)


def _same(t: Term) -> Any:
    """Terms of one key look at the same u with the same mass, so that their ψ can be added."""
    if not isinstance(t.module, Loss):
        return t.name
    given = t.module.given()
    options = {k: v for k, v in given.items() if not _is_parameter(t.module, k)}
    alpha = options.pop("alpha", None)
    tensors = tuple(id(v) for v in options.values() if isinstance(v, Tensor))
    plain = tuple((k, v) for k, v in options.items() if not isinstance(v, Tensor))
    key = (t.module.loss.kind, t.module.loss.formula.family, t.sources, plain, tensors)
    return key if alpha is None else (key, t.name)  # alpha weighs classes, ψ alone is not the loss


def _is_parameter(module: Loss, name: str) -> bool:
    return any(p.name == name for p in module.loss.formula.parameters)


def _through(kind: str, alpha: Any, curve: Properties) -> JointProperties:
    """From ψ(u) to the mean of ψ(u) as a function of the prediction, link included."""
    convex: Known = curve.convex or None
    lipschitz, lowest, highest = curve.lipschitz, curve.lowest, curve.highest
    if kind in ("softmax", "crammer_singer"):
        # u is concave in the logits and moves by at most twice the largest change of a logit.
        lipschitz = None if lipschitz is None else 2 * lipschitz
        if lipschitz == math.inf and kind == "softmax":
            lipschitz = None  # the slope in the logits is ψ'(u)·(1 - p), which may be finite
        convex = True if curve.convex and _falls(curve, kind) else None
    elif kind == "one_vs_rest":
        # One ψ per class, and the number of classes is not known here.
        lipschitz = 0.0 if lipschitz == 0 else math.inf if lipschitz == math.inf else None
        lowest = 0.0 if lowest is not None and lowest >= 0 else None
        highest = 0.0 if highest == 0 else None
    if alpha is not None:
        if isinstance(alpha, Tensor) and alpha.device.type == "meta":
            return JointProperties(convex, None, None, None)
        most = float(alpha.detach().max()) if isinstance(alpha, Tensor) and alpha.dim() else 1.0
        lipschitz = _times(most, lipschitz)
        lowest = None if lowest is None else min(0.0, most * lowest)
        highest = None if highest is None else max(0.0, most * highest)
    return JointProperties(convex, lipschitz, lowest, highest)


def _link(module: Any) -> tuple[str, Any]:
    """The kind of a Loss, and its weights of classes within the loss."""
    own = _is_parameter(module, "alpha")
    return module.loss.kind, None if own else getattr(module, "alpha", None)


def _falls(curve: Properties, kind: str) -> bool:
    """Whether a convex ψ never rises: it is least at the right end of its u."""
    where = curve.minimiser
    if curve.lipschitz == 0:
        return True
    if where is None:
        return False
    return where.high == (0.0 if kind == "softmax" else math.inf)


def _own(module: nn.Module) -> JointProperties:
    """The properties of a Module that is no plain loss, as far as they are known."""
    if isinstance(module, CenterLoss):
        if module.loss is None:
            return JointProperties(True, math.inf, 0.0, math.inf)  # ½‖x - c‖²
        curve = _curve(module.loss)
        if curve is None:
            return _UNKNOWN
        n = float(module.dim)
        return JointProperties(
            curve.convex or None,
            _times(n, curve.lipschitz), _times(n, curve.lowest), _times(n, curve.highest),
        )  # fmt: skip
    if isinstance(module, Loss) and module.loss.formula.name in DIVERGENCES:
        if module.loss.formula.name == "js_divergence":
            return JointProperties(None, None, 0.0, math.log(2))
        return JointProperties(None, None, 0.0, math.inf)
    if isinstance(module, LinearLoss):
        function, settings = heads.chosen(module.loss)
        names = module.parameter_names
        settings |= {name: getattr(module, name) for name in names}
        curve = _at(function.loss.formula, settings)
        if curve is None:
            return _UNKNOWN
        own = any(p.name == "alpha" for p in function.loss.formula.parameters)
        alpha = None if own else settings.get("alpha")
        # The scores are linear in the features, but by how much they move, the weight decides.
        return replace(_through(function.loss.kind, alpha, curve), lipschitz=None)
    if isinstance(module, Penalty):
        curve = _at(module.formula, module.settings)
        if curve is None:
            return _UNKNOWN
        # Σ ψ over as many weights as there are; a norm of groups keeps ψ convex, being even.
        return JointProperties(
            curve.convex or None,
            math.inf if curve.lipschitz == math.inf else None,
            0.0 if curve.lowest is not None and curve.lowest >= 0 else None,
            math.inf if curve.highest == math.inf else None,
        )
    asked = getattr(module, "properties", None)
    found = asked() if callable(asked) else None
    return found if isinstance(found, JointProperties) else _UNKNOWN


def _scaled(p: JointProperties, k: float) -> JointProperties:
    if k == 0:
        return JointProperties(True, 0.0, 0.0, 0.0)
    low, high = _times(k, p.lowest), _times(k, p.highest)
    flat = p.lipschitz == 0
    return JointProperties(
        p.convex if k > 0 else True if flat else None,
        _times(abs(k), p.lipschitz),
        low if k > 0 else high,
        high if k > 0 else low,
    )


def _plus(a: JointProperties, b: JointProperties) -> JointProperties:
    """Each term is moved by its own inputs at most so far as by all of them, so constants add."""
    infinite = (a.lipschitz, b.lipschitz).count(math.inf)
    known = a.lipschitz is not None and b.lipschitz is not None and infinite < 2
    return JointProperties(
        True if a.convex and b.convex else None,
        (a.lipschitz or 0) + (b.lipschitz or 0) if known else None,
        _bound(a.lowest, b.lowest, -math.inf),
        _bound(a.highest, b.highest, math.inf),
    )


def _bound(a: float | None, b: float | None, none: float) -> float | None:
    """Bounds that hold add; next to a term without one the sum has none that is sure."""
    if a is None or b is None:
        return None
    return none if math.isinf(a) or math.isinf(b) else a + b


def _times(k: float, x: float | None) -> float | None:
    return None if x is None else 0.0 if k == 0 else k * x
