"""Σ_k ψ(±z_k): plus for the class itself, minus for every other."""

from __future__ import annotations

from lossmith.engine.kernel.words import LongRow


def write(k: LongRow) -> None:
    """The sum of values (or of slopes), and the gradient of each class."""
    k.start(*k.wants[:1])
    if k.gradient:
        k.step()
    with k.each():
        k.line(f"z = {k.score}")
        k.line("z = where(z == K(-np.inf), K(-1e4), z)  # forbidden: surely not this class")
        k.line("s = where(k == y, K(1.0), K(-1.0))")
        k.program("s * z", "v", "d")
        k.add(k.wants[0], "d" if k.wants[0] == "slope" else "v")
        if k.gradient:
            k.give("step * s * d")
