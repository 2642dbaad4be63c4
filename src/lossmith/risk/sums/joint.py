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
from lossmith.formula.record import Formula
from lossmith.formula.traits import Known
from lossmith.link.reach import Reach
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
    groups: dict[Any, list[_Part]] = {}
    parts: list[JointProperties] = []
    for t in terms:
        scale = t.factor * (1.0 if t.weight is None else float(t.weight.factor()))
        found = _curves(t.module)
        if found is not None:
            groups.setdefault(_same(t), []).append((t, *found, scale))
        else:
            parts.append(_scaled(_own(t.module), scale))
        shift = None if t.weight is None else t.weight.shift()
        if shift is not None:
            moved = t.factor * float(shift)
            parts.append(JointProperties(True, 0.0, moved, moved))
    curves: dict[tuple[str, ...], Properties] = {}
    for group in groups.values():
        together, seen = (_summed([part[i] for part in group], group) for i in (1, 2))
        curves[tuple(part[0].name for part in group)] = together
        module: Any = group[0][0].module
        parts.append(_mean(module.loss.link.reach(seen), _weights(module)))
    sums = parts[0]
    for part in parts[1:]:
        sums = _plus(sums, part)
    return JointProperties(sums.convex, sums.lipschitz, sums.lowest, sums.highest, curves)


# A term, the properties of its ψ in u and in what its link asks about, and its factor.
_Part = tuple[Term, "Properties", "Properties", float]


def _summed(curves: list[Any], group: list[_Part]) -> Properties:
    together, *rest = (curve.scaled_by(part[3]) for curve, part in zip(curves, group, strict=True))
    for curve in rest:
        together = together.plus(curve)
    found: Properties = together
    return found


def _curves(module: nn.Module) -> tuple[Properties, Properties] | None:
    """The properties of ψ at a Module's settings: in u, and in what its link asks about."""
    if not isinstance(module, Loss) or not module.loss.link.adds:
        return None
    values = _values(module.loss.formula, module.given())
    if values is None:
        return None
    from lossmith.formula import properties  # SymPy, half a second that a loss does not need

    formula = module.loss.formula
    return properties.of(formula, **values), module.loss.link.curve(formula, **values)


def _at(formula: Formula, given: dict[str, Any]) -> Properties | None:
    from lossmith.formula import properties

    values = _values(formula, given)
    return None if values is None else properties.of(formula, **values)


def _values(formula: Formula, given: dict[str, Any]) -> dict[str, float] | None:
    """The numbers of a formula's parameters; None where there is one ψ for each element."""
    found: dict[str, float] = {}
    for parameter in formula.parameters:
        value = given.get(parameter.name, parameter.default)
        if isinstance(value, Tensor):
            if value.numel() != 1 or value.device.type == "meta":
                return None
            value = float(value.detach())
        found[parameter.name] = value
    return found


def _same(t: Term) -> Any:
    """Terms of one key look at the same u with the same mass, so that their ψ can be added."""
    if not isinstance(t.module, Loss):
        return t.name
    given = t.module.given()
    options = {k: v for k, v in given.items() if not _is_parameter(t.module, k)}
    alpha = options.pop("alpha", None)
    tensors = tuple(id(v) for v in options.values() if isinstance(v, Tensor))
    plain = tuple((k, v) for k, v in options.items() if not isinstance(v, Tensor))
    key = (t.module.loss.link.name, t.module.loss.formula.family, t.sources, plain, tensors)
    return key if alpha is None else (key, t.name)  # alpha weighs classes, ψ alone is not the loss


def _is_parameter(module: Loss, name: str) -> bool:
    return any(p.name == name for p in module.loss.formula.parameters)


def _mean(reach: Reach, alpha: Any) -> JointProperties:
    """From one loss to the mean of many, by their weights of classes within the loss."""
    if alpha is not None:
        if isinstance(alpha, Tensor) and alpha.device.type == "meta":
            return JointProperties(reach.convex, None, None, None)
        many = isinstance(alpha, Tensor) and alpha.dim()
        reach = reach.scaled(float(alpha.detach().max()) if many else 1.0)
    return JointProperties(reach.convex or None, reach.lipschitz_sup, reach.lowest, reach.highest)


def _weights(module: Any) -> Any:
    """A Loss's weights of classes within the loss."""
    return None if _is_parameter(module, "alpha") else getattr(module, "alpha", None)


def _own(module: nn.Module) -> JointProperties:
    """The properties of a Module that is no plain loss, as far as they are known."""
    if isinstance(module, CenterLoss):
        if module.loss is None:
            return JointProperties(True, math.inf, 0.0, math.inf)  # ½‖x - c‖²
        found = _curves(module.loss)
        if found is None:
            return _UNKNOWN
        curve = found[0]
        n = float(module.dim)
        return JointProperties(
            curve.convex or None,
            _times(n, curve.lipschitz), _times(n, curve.lowest), _times(n, curve.highest),
        )  # fmt: skip
    if isinstance(module, Loss) and not module.loss.link.adds:
        loss = module.loss
        return _mean(loss.link.reach(loss.link.curve(loss.formula)), None)
    if isinstance(module, LinearLoss):
        _, linked, settings = heads.chosen(module.loss)
        names = module.parameter_names
        settings |= {name: getattr(module, name) for name in names}
        values = _values(linked.formula, settings)
        if values is None:
            return _UNKNOWN
        curve = linked.link.curve(linked.formula, **values)
        fixed = any(p.name == "alpha" for p in linked.formula.parameters)
        alpha = None if fixed else settings.get("alpha")
        # The scores are linear in the features, but by how much they move, the weight decides.
        return replace(_mean(linked.link.reach(curve), alpha), lipschitz=None)
    if isinstance(module, Penalty):
        own = _at(module.formula, module.settings)
        if own is None:
            return _UNKNOWN
        curve = own
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
