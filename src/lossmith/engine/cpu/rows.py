"""The loop of losses with a row of class scores per u: softmax, Crammer-Singer, one-vs-rest.

One row is read once into a scratch row that stays in the cache; the passes over it are plain
vector loops. The chain rule is that of link/chain.py, written here for one row.
"""

from __future__ import annotations

from lossmith.engine.cpu.text import Kernel, load, store
from lossmith.engine.plan import Plan
from lossmith.link.counting import tolerance

_OTHERS = ("range(y)", "range(y + 1, classes)")  # every class but the row's own


def write(plan: Plan, parameters: tuple[str, ...]) -> Kernel:
    """The kernel of a plan over rows (see `elementwise.write`)."""
    k = Kernel()
    for name in ("rows", "classes", "inner", "block_rows", "ignore_index"):
        k.argument(name, "i8")
    k.tensors(plan)
    k.pointer("scratch", "T")
    if plan.smoothed:
        k.argument("smoothing", "T")
    for name in parameters:
        k.argument(name, "T")
    k.argument("factor", "T")

    k.open("for block in range(first, last):")
    k.line("total, mass, bad = 0.0, 0.0, 0")
    k.open("for row in range(block * block_rows, min(rows, (block + 1) * block_rows)):")
    if plan.contiguous:
        k.line("base = row * classes")
    else:
        k.line("base = (row // inner) * classes * inner + row % inner")
    _admit(k, plan)
    _BODIES[plan.body](k, plan, parameters)
    # What is not asked for is added up all the same: a finite sum vouches for it (again.py).
    k.line("total += slope" if plan.output == "gradient" else "total += w * value")
    if "total" in plan.output:
        k.line("mass += w")
    if plan.output == "values":
        k.line("values[row] = w * value * factor")
    k.close()
    k.line("partial[3 * block] = total")
    k.line("partial[3 * block + 1] = mass")
    k.line("partial[3 * block + 2] = bad")
    return k


def _at(plan: Plan, index: str = "k") -> str:
    return f"base + {index}" if plan.contiguous else f"base + {index} * inner"


def _admit(k: Kernel, plan: Plan) -> None:
    """Weight of the row; a row that is masked, ignored or wrongly labelled is not looked at."""
    k.line("w = weight[row]" if plan.weight else "w = K(1.0)")
    if plan.mask:
        k.line("w = w if mask[row] != 0 else K(0.0)")
    if plan.hard:
        k.line("y = np.int64(target[row])")
        k.line("w = K(0.0) if y == ignore_index else w")
        k.open("if w != K(0.0) and (y < 0 or y >= classes):")
        k.line("bad += 1")
        k.line("w = K(0.0)")
        k.close()
        if plan.class_weight:
            k.open("if w != K(0.0):")
            k.line("w *= class_weight[y]")
            k.close()
        # A label on a forbidden class contradicts itself.
        own = load("prediction", plan.prediction, _at(plan, "y"))
        k.open(f"if w != K(0.0) and {own} == K(-np.inf):")
        k.line("bad += 1")
        k.line("w = K(0.0)")
        k.close()
    else:
        k.open("if w != K(0.0):")
        k.line("mean_weight, whole, least = K(0.0), K(0.0), K(0.0)")
        k.open("for k in range(classes):")
        k.line(f"q = {load('target', plan.target, _at(plan))}")
        k.line("whole += q")
        k.line("least = where(q < least, q, least)")
        if plan.class_weight:
            k.line("mean_weight += q * class_weight[k]")
        k.close()
        near = tolerance(plan.target)
        k.open(f"if not (least >= K(0.0) and abs(whole - K(1.0)) <= K({near})):")
        k.line("bad += 1")
        k.line("w = K(0.0)")
        k.close()
        if plan.class_weight:
            k.open("else:")
            k.line("w *= mean_weight")
            k.close()
        k.close()
    k.open("if w == K(0.0):")
    if "gradient" in plan.output:
        k.open("for k in range(classes):")
        k.line(f"gradient[{_at(plan)}] = {store('K(0.0)', plan.prediction)}")
        k.close()
    if plan.output == "values":
        k.line("values[row] = K(0.0)")
    k.line("continue")
    k.close()


def _wants(plan: Plan) -> str:
    wants = [n for n in ("value", "slope") if n == "value" or "gradient" in plan.output]
    if plan.output == "gradient":
        wants = ["slope"]
    return ", ".join(wants) + ("," if len(wants) == 1 else "")


def _step(plan: Plan) -> str:
    """What multiplies the slopes of a row."""
    return "upstream[row] * w * factor" if plan.output == "gradient" else "w * factor"


def _softmax(k: Kernel, plan: Plan, parameters: tuple[str, ...]) -> None:
    """By the margin of the class where the label is one, else by shares of all classes."""
    hard = plan.hard and not plan.smoothed
    (_softmax_hard if hard else _softmax_soft)(k, plan, parameters)


def _softmax_hard(k: Kernel, plan: Plan, parameters: tuple[str, ...]) -> None:
    """u = log p_y through the margin m = z_y - logsumexp(others): see link/chain.py."""
    arguments = "".join(f", {p}" for p in parameters)
    gradient = "gradient" in plan.output
    plain = plan.contiguous and plan.prediction in ("float32", "float64")
    # The exponentials wait in the gradient's own row, where that can hold them.
    scores = f"{load('prediction', plan.prediction, _at(plan))}" if plain else "scratch[k]"
    hold = f"gradient[{_at(plan)}]" if plain else "scratch[k]"
    k.line("highest = _LEAST")
    if plain:
        for span in _OTHERS:
            k.open(f"for k in {span}:")
            k.line(f"highest = max(highest, rank({scores}))")
            k.close()
    else:
        k.open("for k in range(classes):")
        k.line(f"z = {load('prediction', plan.prediction, _at(plan))}")
        k.line("z = where(k == y, K(-np.inf), z)")
        k.line("scratch[k] = z")
        k.line("highest = max(highest, rank(z))")
        k.close()
    k.line("top = unrank(highest)")
    k.line("top = where(top == K(-np.inf), K(0.0), top)  # every other class is forbidden")
    k.line(f"z_y = {load('prediction', plan.prediction, _at(plan, 'y'))}")
    k.line("others = K(0.0)")
    for span in _OTHERS if plain else ("range(classes)",):
        k.open(f"for k in {span}:")
        k.line(f"e = _decay(top - {scores})")
        if gradient:
            k.line(f"{hold} = e")
        k.line("others += e")
        k.close()
    k.line("margin = (z_y - top) - log(others)")
    k.line(f"{_wants(plan)} = program(margin{arguments})")
    if plan.balanced:
        for n in _wants(plan).rstrip(",").split(", "):
            k.line(f"{n} = alpha[y] * {n}")
    if gradient:
        k.line(f"step = {_step(plan)} * slope")
        k.line("share = where(others > K(0.0), -step / others, K(0.0))")
        k.line("share = where(others == others, share, others)")
        k.open("for k in range(classes):")
        k.line(f"gradient[{_at(plan)}] = {store(f'share * {hold}', plan.prediction)}")
        k.close()
        k.line(f"gradient[{_at(plan, 'y')}] = {store('step', plan.prediction)}")


def _softmax_soft(k: Kernel, plan: Plan, parameters: tuple[str, ...]) -> None:
    """Σ_k q_k ψ(log p_k), with a_k = q_k ψ'(log p_k): dz_k = a_k - p_k Σ_j a_j (link/chain.py).

    Where p of the highest class rounds to 1, 1 - p is still known: the sum of the others. So its
    log p is -log1p(others), and its gradient, a difference of two numbers that nearly agree, is
    minus the sum of the others' (softmax gradients add up to 0).
    """
    arguments = "".join(f", {p}" for p in parameters)
    k.line("highest, allowed = _LEAST, K(0.0)")
    k.open("for k in range(classes):")
    k.line(f"z = {load('prediction', plan.prediction, _at(plan))}")
    k.line("scratch[k] = z")
    k.line("highest = max(highest, rank(z))")
    k.line("allowed += where(z > K(-np.inf), K(1.0), K(0.0))")
    k.close()
    k.line("top, best, others = unrank(highest), 0, K(0.0)")
    if not plan.hard:
        k.line("lost = where(top == K(-np.inf), K(1.0), K(0.0))  # no class is allowed")
    k.open("for k in range(classes):")
    k.line("best = max(best, k if scratch[k] == top else 0)")
    k.close()
    k.open("for k in range(classes):")
    k.line("z = scratch[k] - top")
    k.line("scratch[k] = z  # in memory: the compiler would rather subtract top + shift below")
    k.line("others += where(k == best, K(0.0), exp(z))")
    k.close()
    k.line("shift = log1p(others)")
    if plan.smoothed:
        k.line("spread = smoothing / allowed  # forbidden classes get none of it")
    k.line("value, pull = K(0.0), K(0.0)")
    k.open("for k in range(classes):")
    k.line("u = scratch[k] - shift")
    if plan.hard:
        k.line("q = where(k == y, K(1.0), K(0.0))")
    else:
        k.line(f"q = {load('target', plan.target, _at(plan))}")
        k.line("lost += where((q != K(0.0)) & (u == K(-np.inf)), K(1.0), K(0.0))")
    if plan.smoothed:
        k.line("q = (K(1.0) - smoothing) * q + where(u > K(-np.inf), spread, K(0.0))")
    if plan.balanced:
        k.line("q = alpha[k] * q")
    # A class with no mass must not meet 0 · ∞; a NaN score reaches every class through `top`.
    k.line("u = where(q != K(0.0), u, where(top == top, K(-1.0), top))")
    if plan.output == "gradient":
        k.line(f"a, = program(u{arguments})")
    elif "gradient" in plan.output:
        k.line(f"v, a = program(u{arguments})")
        k.line("value += q * v")
    else:
        k.line(f"v, = program(u{arguments})")
        k.line("value += q * v")
    if "gradient" in plan.output:
        k.line("a = q * a")
        k.line("scratch[classes + k] = a")
        k.line("pull += a")
    k.close()
    if not plan.hard:
        k.line("bad += 1 if lost != K(0.0) else 0")
    if "gradient" in plan.output:
        k.line("slope = pull")
        k.line(f"step, slopes = {_step(plan)}, K(0.0)")
        k.open("for k in range(classes):")
        k.line("g = step * (scratch[classes + k] - exp(scratch[k] - shift) * pull)")
        k.line(f"gradient[{_at(plan)}] = {store('g', plan.prediction)}")
        k.line("slopes += where(k == best, K(0.0), g)")
        k.close()
        k.open("if others < K(1.0):")
        k.line(f"gradient[{_at(plan, 'best')}] = {store('-slopes', plan.prediction)}")
        k.close()


def _crammer_singer(k: Kernel, plan: Plan, parameters: tuple[str, ...]) -> None:
    """u = z_y - max of the others; the slope is shared between y and the first such class."""
    arguments = "".join(f", {p}" for p in parameters)
    k.line("top, rival, poison = K(-np.inf), 0, K(0.0)")
    k.open("for k in range(classes):")
    k.line(f"z = {load('prediction', plan.prediction, _at(plan))}")
    k.open("if k != y and z > top:")
    k.line("top, rival = z, k")
    k.close()
    k.line("poison = where(z == z, poison, z)  # comparisons lose NaN")
    if "gradient" in plan.output:
        k.line(f"gradient[{_at(plan)}] = {store('K(0.0)', plan.prediction)}")
    k.close()
    k.line(f"z_y = {load('prediction', plan.prediction, _at(plan, 'y'))}")
    # Without a rival: certain, but not infinite, where a slope may be NaN.
    k.line("ahead = K(1e4) if top == K(-np.inf) else z_y - top")
    k.line(f"{_wants(plan)} = program(ahead + poison{arguments})")
    if "gradient" in plan.output:
        k.line(f"step = {_step(plan)} * slope")
        k.line(f"gradient[{_at(plan, 'y')}] = {store('step', plan.prediction)}")
        k.line(f"gradient[{_at(plan, 'rival')}] = {store('-step', plan.prediction)}")


def _one_vs_rest(k: Kernel, plan: Plan, parameters: tuple[str, ...]) -> None:
    """Σ_k ψ(±z_k): plus for the class itself, minus for every other."""
    arguments = "".join(f", {p}" for p in parameters)
    if plan.output == "gradient":
        k.line(f"slope, step = K(0.0), {_step(plan)}")
    else:
        k.line("value = K(0.0)")
        if "gradient" in plan.output:
            k.line(f"step = {_step(plan)}")
    k.open("for k in range(classes):")
    k.line(f"z = {load('prediction', plan.prediction, _at(plan))}")
    k.line("z = where(z == K(-np.inf), K(-1e4), z)  # forbidden: surely not this class")
    k.line("s = where(k == y, K(1.0), K(-1.0))")
    names = _wants(plan).replace("value", "v").replace("slope", "d")
    k.line(f"{names} = program(s * z{arguments})")
    k.line("slope += d" if plan.output == "gradient" else "value += v")
    if "gradient" in plan.output:
        k.line(f"gradient[{_at(plan)}] = {store('step * s * d', plan.prediction)}")
    k.close()


_BODIES = {
    "softmax": _softmax,
    "crammer_singer": _crammer_singer,
    "one_vs_rest": _one_vs_rest,
}
