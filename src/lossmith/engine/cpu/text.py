"""Writing kernel text: arguments with their C types, indented lines, loads and stores by dtype."""

from __future__ import annotations

from dataclasses import dataclass, field

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


@dataclass
class Kernel:
    """The lines of one kernel function and the order and types of its arguments."""

    arguments: list[tuple[str, str, bool]] = field(
        default_factory=lambda: [("first", "i8", False), ("last", "i8", False)]
    )
    lines: list[str] = field(default_factory=list)
    depth: int = 1

    def argument(self, name: str, kind: str) -> None:
        self.arguments.append((name, kind, False))

    def pointer(self, name: str, kind: str) -> None:
        self.arguments.append((name, kind, True))

    def tensors(self, plan: Plan) -> None:
        """The pointers of a plan's tensors, in the order in which launch.py passes them."""
        classes = plan.axis is not None
        self.pointer("prediction", plan.prediction)
        self.pointer("target", plan.target)
        for name, kind, present in (
            ("weight", "T", plan.weight),
            ("mask", "bool", plan.mask),
            ("class_weight", "T", plan.class_weight),
            ("alpha", "T", plan.balanced and classes),  # a margin's alpha is two numbers
            ("upstream", "T", plan.output == "gradient"),
            ("gradient", plan.prediction, "gradient" in plan.output),
            ("values", "T", plan.output == "values"),
            ("partial", "f8", True),
        ):
            if present:
                self.pointer(name, kind)

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def open(self, text: str) -> None:
        self.line(text)
        self.depth += 1

    def close(self) -> None:
        self.depth -= 1

    def head(self) -> str:
        return f"def kernel({', '.join(name for name, _, _ in self.arguments)}):"

    def signature(self, compute: str) -> str:
        """The arguments' types as Numba names them: `*` marks a pointer."""
        types = (NUMBA.get(kind, compute) + "*" * pointer for _, kind, pointer in self.arguments)
        return " ".join(types)


def load(name: str, dtype: str, index: str = "i") -> str:
    """The text that reads one number in the compute type."""
    if dtype in ("float16", "bfloat16"):
        return f"from_{dtype}({name}[{index}])"
    return f"K({name}[{index}])"


def store(value: str, dtype: str) -> str:
    """The text of a number in the type that is stored."""
    return f"to_{dtype}({value})" if dtype in ("float16", "bfloat16") else value
