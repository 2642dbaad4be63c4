"""The argument list of a loss, written once: functions, Modules and the .pyi are made from it."""

from __future__ import annotations

from dataclasses import dataclass

from lossmith.errors import FormulaError
from lossmith.link.link import Link, Linked
from lossmith.link.options import DATA, REDUCTION, Option


@dataclass(frozen=True)
class Argument:
    """One argument: name, type for the .pyi, default as source text (None: required)."""

    name: str
    type: str
    default: str | None = None
    meaning: str = ""

    def source(self, *, types: bool = False) -> str:
        """As it stands in an argument list; with types, as the .pyi has it."""
        if types:
            return f"{self.name}: {self.type}" + (f" = {self.default}" if self.default else "")
        return f"{self.name}={self.default}" if self.default else self.name


def _of(option: Option) -> Argument:
    return Argument(option.name, option.type, option.text, option.meaning)


def inputs(link: Link) -> list[Argument]:
    """The prediction and the target; where that may come under several names, one of them."""
    first = Argument(link.word, "Tensor", None, "floating tensor; half precision is computed in "
                     "float32")  # fmt: skip
    if len(link.targets) == 1:
        return [first, Argument(link.targets[0], "Tensor", None, "see Shapes")]
    return [
        first,
        *(
            Argument(word, "Tensor | None", "None", f"the target as {what}")
            for word, what in zip(link.targets, link.means, strict=True)
        ),
    ]


def parameters(loss: Linked) -> list[Argument]:
    """The formula's own parameters."""
    return [
        Argument(
            p.name,
            "float | Tensor",
            repr(p.default),
            f"in {p.domain}" + (f"; {p.why}" if p.why else ""),
        )
        for p in loss.formula.parameters
    ]


def options(loss: Linked) -> list[Argument]:
    """What is settled once for a loss: a Module's constructor takes these after the parameters."""
    return [_of(option) for option in (*loss.options, REDUCTION)]


def data() -> list[Argument]:
    """What comes with every batch besides prediction and target."""
    return [_of(option) for option in DATA]


def call(loss: Linked, *, reduction: bool = True) -> list[Argument | str]:
    """The arguments of the function in their order; "*" where they go by name from."""
    first, target, *others = inputs(loss.link)
    last = [_of(REDUCTION)] if reduction else []
    named = [*others, *(_of(option) for option in loss.options), *data(), *last]
    return [first, target, *parameters(loss), "*", *named]


def batch(link: Link) -> list[Argument | str]:
    """The arguments of a Module's call: the data of a batch."""
    first, target, *others = inputs(link)
    batch: list[Argument | str] = [first, target, *data()]
    return [*batch, "*", *others] if others else batch


def source(arguments: list[Argument | str], *, types: bool = False) -> str:
    """An argument list as source text."""
    return ", ".join(a if isinstance(a, str) else a.source(types=types) for a in arguments)


# Arguments of functions that take any loss and hand its parameters on, by family: `derivatives`,
# `engine_for`, `curve`; `CrammerSinger`; `linear_loss`, `class_parallel_loss` and their Modules.
PASSED_ON = {
    "residual": ("loss", "prediction", "target", "u", "order"),
    "margin": ("class_weight", "ignore_index", "reduction"),
    "probability": (
        *("logits", "features", "weight", "bias", "block", "sample_weight", "mask", "class_weight"),
        *("label_smoothing", "ignore_index", "reduction", "process_group", "shard_sizes"),
        *("in_features", "num_classes", "per_class", "device", "dtype"),
    ),
}


def free(loss: Linked, taken: frozenset[str]) -> None:
    """A parameter is an argument of the call and an attribute of the Module: its name is free.

    `taken`: what every Module has.
    """
    call = {a.name for a in [*inputs(loss.link), *options(loss), *data()]} | {"self"}
    further = {*PASSED_ON["residual"], *PASSED_ON[loss.formula.family]}
    further.add("weight")  # refused in every call, for it means weights of classes in torch
    for name in (p.name for p in loss.formula.parameters):
        if name in call or name in taken or name in further:
            by = "an attribute of every Module"
            if name in call:
                by = "an argument of every call"
            elif name in further:
                by = "an argument of functions that take any loss"
            raise FormulaError(
                f"{loss.name}: a parameter cannot be called {name!r}, which is {by}. Give it "
                f"another name, for example {name}_ or {name}_0."
            )


def hidden(loss: Linked) -> str:
    """The beginning of a name that no parameter has: for what else a made function refers to."""
    prefix = "_"
    while any(p.name.startswith(prefix) for p in loss.formula.parameters):
        prefix += "_"
    return prefix
