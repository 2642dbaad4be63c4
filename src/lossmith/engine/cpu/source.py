"""The whole text of one kernel file: primitives, the formula's program, the loop.

Self-contained: the file needs numpy and numba, nothing of Lossmith, and can be read and run.
"""

from __future__ import annotations

import ast
from functools import cache
from importlib import resources
from typing import NamedTuple

from lossmith.engine.cpu import elementwise, panels, rows
from lossmith.engine.cpu.elementwise import Elements
from lossmith.engine.cpu.panels import Panels
from lossmith.engine.cpu.points import Points
from lossmith.engine.cpu.rows import Rows
from lossmith.engine.cpu.text import Loop
from lossmith.engine.kernel.bodies import BODIES
from lossmith.engine.kernel.words import Point
from lossmith.engine.plan import Plan
from lossmith.formula.dialect import Dialect
from lossmith.formula.record import Formula
from lossmith.link import forms

_HEAD = '''"""Kernel made by Lossmith for {title}. Made again when missing: edits are lost."""
SIGNATURE = "{signature}"
BLOCK = {block}

'''
_GLUE = """

@_rule
def keep_nan(u, x):
    return where(u == u, x, u)


divide = _rule(lambda x, y: x / y)


# Floats as integers of the same order. Their largest is found in vectors, which the largest float
# is not, because NaN has no place among floats; here it ranks above infinity and so gets through.
_SIGN, _REST = _I(np.iinfo(_I).bits - 1), _I(np.iinfo(_I).max)


@_rule
def rank(x):
    i = _I(_bits(x))
    return _I(i ^ ((i >> _SIGN) & _REST))


@_rule
def unrank(i):
    return _real(_I(i ^ ((i >> _SIGN) & _REST)))


_LEAST = _I(np.array(-np.inf, K).view(_I)) ^ _REST  # rank(-inf)
_INFINITE = _I(np.array(np.inf, K).view(_I))


@_rule
def size(x):
    return _I(_I(_bits(x)) & _REST)  # of |x|; that of NaN is above that of infinity
"""
# Sums may be taken in any order (that is how they become vectors); NaN and infinity still count.
_LOOP = """

@njit(
    fastmath={"contract", "nsz", "arcp", "reassoc"},
    error_model="numpy",
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
"""


def compute_dtype(plan: Plan) -> str:
    return "float64" if plan.prediction == "float64" else "float32"


class Source(NamedTuple):
    """The text of a kernel file in three parts; whole, it can be read and run by itself."""

    head: str
    library: str
    own: str


def write(plan: Plan, formula: Formula) -> Source:
    """The source of a plan's kernel. Derives the formula, so this imports SymPy."""
    from lossmith.formula import calculus, lowering

    written_in = {name for name, _ in plan.fixed}
    parameters = tuple(p.name for p in formula.shape if p.name not in written_in)
    names = tuple(map(lowering.word, parameters))  # apart from every name that a loop uses
    expression = forms.expression(formula, plan.form, plan.fixed)
    outputs = [expression] if plan.output != "gradient" else []
    if "gradient" in plan.output:
        outputs.append(calculus.derivative(expression, "u"))
    program = lowering.make(tuple(outputs), ("u",), parameters)

    # What computes exponentials does not wait for memory, and gains nothing by streaming.
    stream = plan.stream and program.arithmetic
    loop = _loop(plan, names, formula.scale is not None, stream)
    compute = compute_dtype(plan)
    head = _HEAD.format(
        title=plan.formula, signature=loop.signature(compute), block=elementwise.BLOCK
    )
    halves = bool({plan.prediction, plan.target} & {"float16", "bfloat16"})
    text = dialect().render(program)
    own = "".join(("\n\n@_rule\n", text, _LOOP, loop.head(), "\n", "\n".join(loop.lines), "\n"))
    return Source(head, library(compute, halves=halves, stream=stream), own)


def _loop(plan: Plan, names: tuple[str, ...], scaled: bool, stream: bool) -> Loop:
    """The kernel's function: the body in the loop that suits it."""
    if plan.axis is None:
        return elementwise.write(Elements(plan, names, scaled=scaled, stream=stream))
    if BODIES[plan.body].words is Point:
        return rows.write(Points(plan, names, scaled=scaled))
    if plan.panels:
        return panels.write(Panels(plan, names))
    return rows.write(Rows(plan, names))


@cache
def dialect() -> Dialect:
    """Python's spelling over the functions of the library, which are the same in both types."""
    found: set[str] = set()
    for node in ast.parse(library("float64", halves=False, stream=False)).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    return Dialect("Numba", found)


@cache
def library(compute: str, *, halves: bool, stream: bool) -> str:
    """What kernels share: the primitives, and the conversions and stores that some need."""
    name = "vector64.py" if compute == "float64" else "vector32.py"
    vector = resources.files("lossmith.engine.cpu").joinpath(name).read_text()
    parts = [vector, _after_marker("rises.py")]
    if halves:
        parts.append(_after_marker("halves.py"))
    if stream:
        parts += ["\nfrom typing import Any", _after_marker("streaming.py")]
    return "".join([*parts, _GLUE])


@cache
def _after_marker(name: str) -> str:
    text = resources.files("lossmith.engine.cpu").joinpath(name).read_text()
    return "\n\n" + text.partition("# kernel text\n")[2]
