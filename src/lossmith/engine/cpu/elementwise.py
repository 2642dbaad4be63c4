"""The loop of losses with one u per element: residuals and margins.

The text is written for one plan, so it has no unused argument and no test inside the loop that
the plan could have answered. Values are summed in blocks of a fixed size, whatever the number of
threads, so the result does not depend on it.
"""

from __future__ import annotations

from lossmith.engine.cpu.text import Kernel, load, store
from lossmith.engine.plan import Plan

BLOCK = 1024


def write(plan: Plan, parameters: tuple[str, ...], scaled: bool, *, stream: bool = False) -> Kernel:
    """The kernel of a plan; `parameters` are the program's, without the variable and the scale."""
    total = "total" in plan.output
    k = Kernel()
    k.argument("count", "i8")
    k.tensors(plan)
    if plan.balanced:
        k.argument("alpha_positive", "T")
        k.argument("alpha_negative", "T")
    for name in parameters:
        k.argument(name, "T")
    if scaled:
        k.argument("scale", "T")
    # s^power for the values and s^(power-1)/mass for the slopes, worked out by the caller.
    k.argument("factor", "T")

    k.open("for block in range(first, last):")
    k.line("low = block * BLOCK")
    k.line("high = min(count, low + BLOCK)")
    k.line("total, mass, bad = K(0.0), K(0.0), np.int32(0)")
    if scaled:
        k.line("farthest = _I(0)")
    soft_possible = plan.body == "margin" and not plan.signed and _is_float(plan.target)
    if soft_possible:
        k.line("soft = np.int32(0)")
        k.open("for i in range(low, high):")
        k.line(f"t = {load('target', plan.target)}")
        k.line("soft += np.int32((t != K(0.0)) & (t != K(1.0)))")
        k.close()
        k.open("if soft == 0:")
        _loop(k, plan, parameters, scaled, soft=False, checked=True, stream=stream)
        k.close()
        k.open("else:")
        _loop(k, plan, parameters, scaled, soft=True, checked=False, stream=stream)
        k.close()
    else:
        _loop(k, plan, parameters, scaled, soft=False, checked=False, stream=stream)
    if scaled:
        # Of a bounded loss no sum shows that (z - t) / scale overflowed (again.py).
        k.line("total = total if farthest < _INFINITE else K(np.nan)")
    k.line("partial[3 * block] = total")
    if total:
        counted = "mass" if plan.weight or plan.mask else "high - low"
        k.line(f"partial[3 * block + 1] = {counted}")
    k.line("partial[3 * block + 2] = bad")
    if stream:
        k.close()
        k.line("settle()")
    return k


def _is_float(dtype: str) -> bool:
    return "float" in dtype


def _loop(
    k: Kernel,
    plan: Plan,
    parameters: tuple[str, ...],
    scaled: bool,
    *,
    soft: bool,
    checked: bool,
    stream: bool,
) -> None:
    total, gradient = "total" in plan.output, "gradient" in plan.output
    arguments = "".join(f", {p}" for p in parameters)
    wants = [n for n, on in (("value", plan.output != "gradient"), ("slope", gradient)) if on]
    names = ", ".join(wants) + ("," if len(wants) == 1 else "")
    k.open("for i in range(low, high):")
    k.line(f"z = {load('prediction', plan.prediction)}")
    k.line(f"t = {load('target', plan.target)}")
    keep = []
    if plan.weight:
        k.line("w = weight[i]")
        keep.append("(w != K(0.0))")
    if plan.mask:
        keep.append("(mask[i] != 0)")
    if keep:
        k.line(f"keep = {' & '.join(keep)}")

    if plan.body == "residual":
        k.line("u = (z - t) / scale" if scaled else "u = z - t")
        k.line(f"{names} = program(u{arguments})")
    elif soft:
        _check(k, "(t >= K(0.0)) & (t <= K(1.0))", bool(keep))
        a, b = ("alpha_positive * ", "alpha_negative * ") if plan.balanced else ("", "")
        k.line(", ".join(f"{n}_1" for n in wants) + f", = program(z{arguments})")
        k.line(", ".join(f"{n}_0" for n in wants) + f", = program(-z{arguments})")
        # A label of exactly 0 or 1 must not meet 0 · ∞ on the side that it leaves out.
        for n, minus in (("value", ""), ("slope", "-")):
            if n in wants:
                k.line(
                    f"{n} = where(t > K(0.0), {a}t * {n}_1, K(0.0)) + "
                    f"where(t < K(1.0), {b}(K(1.0) - t) * ({minus}{n}_0), K(0.0))"
                )
                k.line(f"{n} = where(z == z, {n}, z)")
    else:
        if plan.signed:
            _check(k, "(t == K(1.0)) | (t == K(-1.0))", bool(keep))
            k.line("s = t")
        else:
            if not checked and plan.target != "bool":
                _check(k, "(t == K(0.0)) | (t == K(1.0))", bool(keep))
            k.line("s = t + t - K(1.0)")
        k.line(f"{names} = program(s * z{arguments})")
        if gradient:
            k.line("slope = s * slope")
        if plan.balanced:
            k.line("a = where(s > K(0.0), alpha_positive, alpha_negative)")
            for n in wants:
                k.line(f"{n} = a * {n}")

    for n in wants:
        text = f"w * {n}" if plan.weight else n
        k.line(f"{n} = where(keep, {text}, K(0.0))" if keep else f"{n} = {text}")
    # What is not asked for is added up all the same: a finite sum vouches for it (again.py).
    k.line(f"total += {wants[0]}")
    if scaled:
        k.line(f"farthest = max(farthest, size({'where(keep, u, K(0.0))' if keep else 'u'}))")
    if total and keep:
        k.line(f"mass += where(keep, {'w' if plan.weight else 'K(1.0)'}, K(0.0))")
    if plan.output == "values":
        k.line("values[i] = value * factor")
    if gradient:
        upstream = "upstream[i] * " if plan.output == "gradient" else ""
        product = f"{upstream}factor * slope"
        if plan.output == "gradient" and keep:
            product = f"where(keep, {product}, K(0.0))"
        if stream:
            k.line(f"stream(gradient, i, {product})")
        else:
            k.line(f"gradient[i] = {store(product, plan.prediction)}")
    k.close()


def _check(k: Kernel, valid: str, masked: bool) -> None:
    k.line(f"valid = {valid}")
    k.line(f"bad += np.int32({'keep & ' if masked else ''}(not valid))")
