"""The argument list of a loss, written once: functions, Modules and the .pyi are made from it."""

from __future__ import annotations

from dataclasses import dataclass

from lossmith.errors import FormulaError
from lossmith.link.links import Linked


@dataclass(frozen=True)
class Argument:
    """One argument: name, type for the .pyi, default as source text (None: required)."""

    name: str
    type: str
    default: str | None = None
    meaning: str = ""


def shape_words(loss: Linked) -> tuple[str, str, str]:
    """What the prediction is called, and the shapes of prediction and target, in words."""
    if loss.classes:
        return (
            "logits",
            "(N, C) or (N, C, d1, …), classes on dimension 1",
            "class indices (N, d1, …), or a distribution over classes of the logits' shape",
        )
    if loss.kind == "margin":
        return "scores", "any shape", "the scores' shape: labels in [0, 1], or ±1 if signed"
    return "prediction", "any shape", "the prediction's shape"


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
    own: list[Argument] = []
    if loss.kind == "margin":
        own.append(
            Argument(
                "labels", 'Literal["binary", "signed"]', '"binary"',
                'target values: "binary" for 0 … 1, "signed" for -1 and 1; never guessed',
            )
        )  # fmt: skip
    if loss.formula.balanced and loss.kind == "margin":
        own.append(
            Argument(
                "alpha", "float | None", "None",
                "weight of the positive class in [0, 1], the negative gets 1 - alpha; part of the "
                "loss, not of the mass",
            )
        )  # fmt: skip
    if loss.formula.balanced and loss.kind == "softmax":
        own.append(
            Argument(
                "alpha", "Tensor | None", "None",
                "one weight per class, each at its share of the label; part of the loss, not of "
                "the mass (which class_weight is)",
            )
        )  # fmt: skip
    if loss.classes:
        own += [
            Argument(
                "class_weight", "Tensor | None", "None",
                "one weight per class; a row weighs as its true class (a distribution: its mean)",
            ),
            Argument(
                "label_smoothing", "float", "0.0",
                "share of the label spread evenly over the allowed classes, in [0, 1)",
            ),
            Argument("ignore_index", "int", "-100", "rows with this class index are dropped"),
        ]  # fmt: skip
        if loss.kind != "softmax":
            own = [a for a in own if a.name != "label_smoothing"]
    own.append(
        Argument(
            "reduction", 'Literal["mean", "sum", "none"]', '"mean"',
            '"mean" = total / mass, "sum" = total = Σ weight·loss, "none" = one loss each',
        )
    )  # fmt: skip
    return own


def data(loss: Linked) -> list[Argument]:
    """What comes with every batch besides prediction and target."""
    return [
        Argument(
            "sample_weight", "Tensor | None", "None",
            "one weight per loss; 2 counts twice, 0 drops. The mass is the sum of the weights",
        ),
        Argument("mask", "Tensor | None", "None", "True keeps; dropped before the formula"),
    ]  # fmt: skip


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
    call = {shape_words(loss)[0], "target", "self"}
    call |= {a.name for a in [*options(loss), *data(loss)]}
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
