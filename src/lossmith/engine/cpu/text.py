"""What every loop of the CPU has: arguments with their C types, loads and stores, blocks, sums.

Values are summed in blocks of a fixed size, whatever the number of threads, so the result does not
depend on it. A text is written for one plan: it has no unused argument, and no test inside a loop
that the plan could have answered.
"""

from __future__ import annotations

from lossmith.engine.kernel.words import Words
from lossmith.engine.plan import Plan

# dtype name → Numba type. T is the type that a kernel computes in.
NUMBA = {
    "float32": "float32",
    "float64": "float64",
    "float16": "uint16",
    "bfloat16": "uint16",
    "int64": "int64",
    "int32": "int32",
    "bool": "uint8",
    "uint8": "uint8",
    "i8": "int64",
    "f8": "float64",
}


class Loop(Words):
    """The lines of one kernel function, and the order and types of its arguments."""

    def __init__(self, plan: Plan, parameters: tuple[str, ...]) -> None:
        super().__init__(plan, parameters)
        self.arguments = [("first", "i8", False), ("last", "i8", False)]

    def numbers(self, *names: str, kind: str = "T") -> None:
        self.arguments += [(name, kind, False) for name in names]

    def pointer(self, name: str, kind: str) -> None:
        self.arguments.append((name, kind, True))

    def tensors(self, *, alpha: bool) -> None:
        """The pointers of a plan's tensors, in the order in which launch.py passes them."""
        plan = self.plan
        self.pointer("prediction", plan.prediction)
        self.pointer("target", plan.target)
        for name, kind, present in (
            ("weight", "T", plan.weight),
            ("mask", "bool", plan.mask),
            ("class_weight", "T", plan.class_weight),
            ("alpha", "T", alpha),
            ("upstream", "T", plan.output == "gradient"),
            ("gradient", plan.prediction, self.gradient),
            ("values", "T", plan.output == "values"),
            ("partial", "f8", True),
        ):
            if present:
                self.pointer(name, kind)

    def sums(self, mass: str | None = "mass") -> None:
        """Store what a block has added up."""
        self.line("partial[3 * block] = total")
        if mass is not None:
            self.line(f"partial[3 * block + 1] = {mass}")
        self.line("partial[3 * block + 2] = bad")

    def read(self, index: str) -> str:
        """The text of a prediction in the compute type."""
        return load("prediction", self.plan.prediction, index)

    def store(self, index: str, value: str) -> None:
        """Store one number of the gradient."""
        self.line(f"gradient[{index}] = {store(value, self.plan.prediction)}")

    def head(self) -> str:
        return f"def kernel({', '.join(name for name, _, _ in self.arguments)}):"

    def signature(self, compute: str) -> str:
        """The arguments' types as Numba names them: `*` marks a pointer."""
        types = (NUMBA.get(kind, compute) + "*" * pointer for _, kind, pointer in self.arguments)
        return " ".join(types)


def load(name: str, dtype: str, index: str) -> str:
    """The text that reads one number in the compute type."""
    if dtype in ("float16", "bfloat16"):
        return f"from_{dtype}({name}[{index}])"
    return f"K({name}[{index}])"


def store(value: str, dtype: str) -> str:
    """The text of a number in the type that is stored."""
    return f"to_{dtype}({value})" if dtype in ("float16", "bfloat16") else value
