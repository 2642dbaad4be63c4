"""The loop of softmax losses with few classes: many rows side by side, one in each vector lane.

A row of ten classes is too short to be a vector. Here a panel of rows is copied so that the same
class of neighbouring rows lies together, and every loop runs over rows. Labels are class indices
without smoothing; other cases go through `rows`. The chain rule is that of link/chain.py.
"""

from __future__ import annotations

from lossmith.engine.cpu.text import Kernel, load, store
from lossmith.engine.plan import Plan

LANES = 64  # rows in a panel: four vectors of the widest kind, so that a loop runs at full width


def write(plan: Plan, parameters: tuple[str, ...]) -> Kernel:
    """The kernel of a plan over panels (see `elementwise.write`)."""
    k = Kernel()
    for name in ("rows", "classes", "inner", "block_rows", "ignore_index"):
        k.argument(name, "i8")
    k.tensors(plan)
    k.pointer("scratch", "T")  # classes × lanes
    k.pointer("lanes", "T")  # seven numbers for each row of a panel
    k.pointer("places", "i8")  # its first element, and its class
    # An argument, though it is constant: a loop of known length would be unrolled, not vectorised.
    k.argument("width", "i8")
    for name in parameters:
        k.argument(name, "T")
    k.argument("factor", "T")

    k.open("for block in range(first, last):")
    k.line("total, mass, bad = 0.0, 0.0, 0")
    k.line("end = min(rows, (block + 1) * block_rows)")
    k.open("for start in range(block * block_rows, end, width):")
    k.line("count = min(width, end - start)")
    _admit(k, plan)
    _gather(k, plan)
    _sum(k)
    _finish(k, plan, parameters)
    k.close()
    k.line("partial[3 * block] = total")
    k.line("partial[3 * block + 1] = mass")
    k.line("partial[3 * block + 2] = bad")
    return k


def _admit(k: Kernel, plan: Plan) -> None:
    """Place, class and weight of every row; lanes past the end repeat the last row at weight 0."""
    k.open("for r in range(width):")
    k.line("row = start + min(r, count - 1)")
    k.line("w = weight[row]" if plan.weight else "w = K(1.0)")
    k.line("w = w if r < count else K(0.0)")
    if plan.mask:
        k.line("w = w if mask[row] != 0 else K(0.0)")
    k.line("y = np.int64(target[row])")
    k.line("w = K(0.0) if y == ignore_index else w")
    k.open("if y < 0 or y >= classes:")
    k.line("bad += 1 if w != K(0.0) else 0")
    k.line("y, w = 0, K(0.0)")
    k.close()
    if plan.class_weight:
        k.line("w = w * class_weight[y] if w != K(0.0) else w")
    if plan.contiguous:
        k.line("places[r] = row * classes")
    else:
        k.line("places[r] = (row // inner) * classes * inner + row % inner")
    k.line("places[width + r] = y")
    k.line("lanes[r] = w")
    k.close()


def _gather(k: Kernel, plan: Plan) -> None:
    """scratch[class, row], zero where a row is dropped; the row's own class is taken out."""
    step = "k" if plan.contiguous else "k * inner"
    if not plan.contiguous:
        # Whether the rows lie side by side; a panel may be short, and its last lanes repeat a row.
        k.line("together = count == width and places[width - 1] - places[0] == width - 1")
    k.open("for k in range(classes):")
    if not plan.contiguous:
        k.open("if together:")
        k.line("base = places[0] + k * inner")
        k.open("for r in range(width):")
        k.line(f"z = {load('prediction', plan.prediction, 'base + r')}")
        k.line("scratch[k * width + r] = where(lanes[r] != K(0.0), z, K(0.0))")
        k.close()
        k.close()
        k.open("else:")
    k.open("for r in range(width):")
    k.line(f"z = {load('prediction', plan.prediction, f'places[r] + {step}')}")
    k.line("scratch[k * width + r] = where(lanes[r] != K(0.0), z, K(0.0))")
    k.close()
    if not plan.contiguous:
        k.close()
    k.close()
    k.open("for r in range(width):")
    k.line("at = places[width + r] * width + r")
    k.line("lanes[width + r] = scratch[at]")
    # A label on a forbidden class contradicts itself.
    k.line("bad += 1 if lanes[r] != K(0.0) and scratch[at] == K(-np.inf) else 0")
    k.line("scratch[at] = K(-np.inf)")
    k.line("lanes[2 * width + r] = K(-np.inf)")
    k.line("lanes[3 * width + r] = K(0.0)")
    k.close()


def _sum(k: Kernel) -> None:
    """lanes[2]: the highest of the other scores. lanes[3]: the sum of their exponentials."""
    k.open("for k in range(classes):")
    k.open("for r in range(width):")
    k.line("z, top = scratch[k * width + r], lanes[2 * width + r]")
    k.line("lanes[2 * width + r] = where(z > top, z, top)")
    k.close()
    k.close()
    k.open("for r in range(width):")
    k.line("top = lanes[2 * width + r]")
    k.line("lanes[2 * width + r] = where(top == K(-np.inf), K(0.0), top)")
    k.close()
    k.open("for k in range(classes):")
    k.open("for r in range(width):")
    # Not `_decay`: a NaN in another class leaves the highest score below +inf, and z may exceed it.
    k.line("e = exp(scratch[k * width + r] - lanes[2 * width + r])")
    k.line("scratch[k * width + r] = e")
    k.line("lanes[3 * width + r] += e")
    k.close()
    k.close()


def _finish(k: Kernel, plan: Plan, parameters: tuple[str, ...]) -> None:
    """Value and slope of every row at once, then the gradient back to where the rows lie."""
    total, gradient = "total" in plan.output, "gradient" in plan.output
    wants = [n for n, on in (("value", plan.output != "gradient"), ("slope", gradient)) if on]
    names = ", ".join(wants) + ("," if len(wants) == 1 else "")
    arguments = "".join(f", {p}" for p in parameters)
    k.line("part, weights = K(0.0), K(0.0)")
    k.open("for r in range(width):")
    k.line("w, others = lanes[r], lanes[3 * width + r]")
    k.line("margin = (lanes[width + r] - lanes[2 * width + r]) - log(others)")
    k.line(f"{names} = program(margin{arguments})")
    if plan.balanced:
        k.line("part_of = alpha[places[width + r]]")
        for n in wants:
            k.line(f"{n} = part_of * {n}")
    k.line("on = w != K(0.0)")
    if "value" in wants:
        k.line("value = where(on, w * value, K(0.0))")
    if total:
        k.line("part += value")
        k.line("weights += w")
    elif plan.output == "values":
        k.line("part += value")
    if plan.output == "values":
        k.line("lanes[6 * width + r] = value * factor")
    if gradient:
        k.line("step = where(on, w * factor * slope, K(0.0))")
        k.line("share = where(others > K(0.0), -step / others, K(0.0))")
        k.line("share = where(others == others, share, others)")
        k.line("lanes[4 * width + r] = where(on, share, K(0.0))")
        k.line("lanes[5 * width + r] = step")
        if not total:
            k.line("part += step")
    k.close()
    k.line("total += part")
    if total:
        k.line("mass += weights")
    if plan.output == "values":
        k.open("for r in range(count):")
        k.line("values[start + r] = lanes[6 * width + r]")
        k.close()
    if gradient:
        _scatter(k, plan)


def _scatter(k: Kernel, plan: Plan) -> None:
    if plan.output == "gradient":
        k.open("for r in range(count):")
        k.line("lanes[4 * width + r] *= upstream[start + r]")
        k.line("lanes[5 * width + r] *= upstream[start + r]")
        k.close()
        # 0 · ∞ of a dropped row is 0 all the same
        k.open("for r in range(count):")
        for lane in (4, 5):
            k.line(
                f"lanes[{lane} * width + r] = "
                f"where(lanes[r] != K(0.0), lanes[{lane} * width + r], K(0.0))"
            )
        k.close()
    step = "k" if plan.contiguous else "k * inner"
    k.open("for r in range(width):")
    k.line("scratch[places[width + r] * width + r] = K(0.0)")
    k.close()
    value = store("lanes[4 * width + r] * scratch[k * width + r]", plan.prediction)
    if plan.contiguous:
        k.open("for r in range(count):")
        k.open("for k in range(classes):")
        k.line(f"gradient[places[r] + k] = {value}")
        k.close()
        k.close()
    else:
        k.open("for k in range(classes):")
        k.open("if together:")
        k.line("base = places[0] + k * inner")
        k.open("for r in range(width):")
        k.line(f"gradient[base + r] = {value}")
        k.close()
        k.close()
        k.open("else:")
        k.open("for r in range(count):")
        k.line(f"gradient[places[r] + {step}] = {value}")
        k.close()
        k.close()
        k.close()
    k.open("for r in range(count):")
    place = "places[r] + places[width + r]" + ("" if plan.contiguous else " * inner")
    k.line(f"gradient[{place}] = {store('lanes[5 * width + r]', plan.prediction)}")
    k.close()
