"""The loop of losses with one u per element: residuals and margins."""

from __future__ import annotations

from lossmith.engine.cpu.text import Loop, load
from lossmith.engine.kernel.bodies import BODIES
from lossmith.engine.kernel.words import Element
from lossmith.engine.plan import Plan

BLOCK = 1024


class Elements(Loop, Element):
    """A loop over elements, in blocks. `stream`: the gradient is stored past the cache."""

    def __init__(
        self, plan: Plan, parameters: tuple[str, ...], *, scaled: bool, stream: bool
    ) -> None:
        super().__init__(plan, parameters)
        self.scaled, self.stream = scaled, stream
        counts = ("(w != K(0.0))", plan.weight), ("(mask[i] != 0)", plan.mask)
        self.keep = " & ".join(text for text, on in counts if on)  # empty: every element counts
        self.numbers("count", kind="i8")
        self.tensors(alpha=False)  # a margin's is two numbers
        if plan.balanced:
            self.numbers("alpha_positive", "alpha_negative")
        self.numbers(*parameters)
        if scaled:
            self.numbers("scale")
        # s^power for the values and s^(power-1)/mass for the slopes, worked out by the caller.
        self.numbers("factor")

    def refuse(self, valid: str) -> None:
        self.line(f"valid = {valid}")
        self.line(f"bad += np.int32({'keep & ' if self.keep else ''}(not valid))")


def write(k: Elements) -> Elements:
    """The kernel of a plan: the loops around its body."""
    with k.block("for block in range(first, last):"):
        k.line("low = block * BLOCK")
        k.line("high = min(count, low + BLOCK)")
        k.line("total, mass, bad = K(0.0), K(0.0), np.int32(0)")
        if k.scaled:
            k.line("farthest = _I(0)")
        if (softness := BODIES[k.plan.body].softness(k.plan)) is None:
            _loop(k, soft=False)
        else:
            _look(k, softness)
            with k.block("if soft == 0:"):
                _loop(k, soft=False)
            with k.block("else:"):
                _loop(k, soft=True)
        if k.scaled:
            # Of a bounded loss no sum shows that (z - t) / scale overflowed (launch.py).
            k.line("total = total if farthest < _INFINITE else K(np.nan)")
        counted = "mass" if k.plan.weight or k.plan.mask else "high - low"
        k.sums(counted if k.total else None)
    if k.stream:
        k.line("settle()")
    return k


def _look(k: Elements, softness: str) -> None:
    """Whether a block has a soft label: seldom, and then it takes two programs."""
    k.line("soft = np.int32(0)")
    with k.block("for i in range(low, high):"):
        k.line(f"t = {load('target', k.plan.target, 'i')}")
        k.line(f"soft += np.int32({softness})")


def _loop(k: Elements, *, soft: bool) -> None:
    plan = k.plan
    with k.block("for i in range(low, high):"):
        k.line(f"z = {k.read('i')}")
        k.line(f"t = {load('target', plan.target, 'i')}")
        if plan.weight:
            k.line("w = weight[i]")
        if k.keep:
            k.line(f"keep = {k.keep}")
        BODIES[plan.body].write(k, soft)
        for n in k.wants:
            text = f"w * {n}" if plan.weight else n
            k.line(f"{n} = where(keep, {text}, K(0.0))" if k.keep else f"{n} = {text}")
        _add(k)
        if plan.output == "values":
            k.line("values[i] = value * factor")
        if k.gradient:
            _store(k)


def _add(k: Elements) -> None:
    # What is not asked for is added up all the same: a finite sum vouches for it (launch.py).
    k.line(f"total += {k.wants[0]}")
    if k.scaled:
        k.line(f"farthest = max(farthest, size({'where(keep, u, K(0.0))' if k.keep else 'u'}))")
    if k.total and k.keep:
        k.line(f"mass += where(keep, {'w' if k.plan.weight else 'K(1.0)'}, K(0.0))")


def _store(k: Elements) -> None:
    product = "factor * slope"
    if k.plan.output == "gradient":
        product = f"upstream[i] * {product}"
        if k.keep:
            product = f"where(keep, {product}, K(0.0))"
    if k.stream:
        k.line(f"stream(gradient, i, {product})")
    else:
        k.store("i", product)
