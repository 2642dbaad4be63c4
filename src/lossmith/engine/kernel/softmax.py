"""u = log p of the row's class, or of each in a distribution; p = softmax (link/chain.py)."""

from __future__ import annotations

from lossmith.engine.kernel.words import LongRow, Row
from lossmith.link.forms import MARGIN


def write(k: Row) -> None:
    """By the margin of the class where the label is one, else by shares of all classes."""
    if k.plan.form == MARGIN:
        index(k)
    elif isinstance(k, LongRow):
        distribution(k)
    else:
        raise TypeError(f"{type(k).__name__} has no words for a distribution")


def index(k: Row) -> None:
    """u = log p_y through the margin m = z_y - logsumexp(others)."""
    k.others()
    k.line("margin = (z_y - top) - log(others)")
    k.program("margin")
    if k.plan.balanced:
        k.scale("alpha[y]")
    if k.gradient:
        k.step("slope")
        k.line("share = where(others > K(0.0), -step / others, K(0.0))")
        k.line("share = where(others == others, share, others)")
        k.hand_out("share", own="step")


def distribution(k: LongRow) -> None:
    """Σ_k q_k ψ(log p_k), with a_k = q_k ψ'(log p_k): dz_k = a_k - p_k Σ_j a_j.

    Where p of the highest class rounds to 1, 1 - p is still known: the sum of the others. So its
    log p is -log1p(others), and its gradient, a difference of two numbers that nearly agree, is
    minus the sum of the others' (softmax gradients add up to 0).
    """
    plan = k.plan
    k.best()
    k.line("shift = log1p(others)")
    if plan.smoothed:
        k.line("spread = smoothing / allowed  # forbidden classes get none of it")
    k.start("value", "pull", *(() if plan.hard else ("lost",)))
    with k.each():
        k.line(f"u = {k.distance} - shift")
        _share(k)
        # A class with no mass must not meet 0 · ∞; a NaN score reaches every class through `top`.
        k.line("u = where(q != K(0.0), u, where(top == top, K(-1.0), top))")
        k.program("u", "v", "a")
        if "value" in k.wants:
            k.add("value", "q * v")
        if k.gradient:
            k.line("a = q * a")
            k.keep("a")
            k.add("pull", "a")
    if not plan.hard:
        k.refuse("(lost == K(0.0)) & (top != K(-np.inf))")  # -∞: no class is allowed
    if k.gradient:
        _chain(k)


def _share(k: LongRow) -> None:
    """q: what ψ(log p_k) counts."""
    plan = k.plan
    if plan.hard:
        k.line("q = where(k == y, K(1.0), K(0.0))")
    else:
        k.line(f"q = {k.label}")
        k.add("lost", "where((q != K(0.0)) & (u == K(-np.inf)), K(1.0), K(0.0))")
    if plan.smoothed:
        k.line("q = (K(1.0) - smoothing) * q + where(u > K(-np.inf), spread, K(0.0))")
    if plan.balanced:
        k.line("q = alpha[k] * q")


def _chain(k: LongRow) -> None:
    k.line("slope = pull")
    k.step()
    k.start("slopes")
    with k.each():
        k.line(f"g = step * ({k.kept} - exp({k.distance} - shift) * pull)")
        k.give("g")
        k.add("slopes", "where(k == best, K(0.0), g)")
    k.give("-slopes", to="best", where="others < K(1.0)")
