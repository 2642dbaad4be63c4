"""u = s·score, s = ±1; a soft label t between 0 and 1 averages: t·ψ(z) + (1 - t)·ψ(-z)."""

from __future__ import annotations

from lossmith.engine.kernel.words import Element
from lossmith.engine.plan import Plan


def softness(plan: Plan) -> str | None:
    """A test of a label for whether it takes two programs; None where none can."""
    if plan.signed or "float" not in plan.target:
        return None
    return "(t != K(0.0)) & (t != K(1.0))"


def write(k: Element, soft: bool) -> None:
    """value and slope of a margin; `soft` where some label may pass the test."""
    plan = k.plan
    if soft:
        _average(k)
        return
    if plan.signed:
        k.refuse("(t == K(1.0)) | (t == K(-1.0))")
        k.line("s = t")
    else:
        if softness(plan) is None and plan.target != "bool":  # else it was looked at
            k.refuse("(t == K(0.0)) | (t == K(1.0))")
        k.line("s = t + t - K(1.0)")
    k.program("s * z")
    if k.gradient:
        k.line("slope = s * slope")
    if plan.balanced:
        k.line("a = where(s > K(0.0), alpha_positive, alpha_negative)")
        k.scale("a")


def _average(k: Element) -> None:
    k.refuse("(t >= K(0.0)) & (t <= K(1.0))")
    a, b = ("alpha_positive * ", "alpha_negative * ") if k.plan.balanced else ("", "")
    k.program("z", "value_1", "slope_1")
    k.program("-z", "value_0", "slope_0")
    # A label of exactly 0 or 1 must not meet 0 · ∞ on the side that it leaves out.
    for n, minus in (("value", ""), ("slope", "-")):
        if n in k.wants:
            k.line(
                f"{n} = where(t > K(0.0), {a}t * {n}_1, K(0.0)) + "
                f"where(t < K(1.0), {b}(K(1.0) - t) * ({minus}{n}_0), K(0.0))"
            )
            k.line(f"{n} = where(z == z, {n}, z)")
