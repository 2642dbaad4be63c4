"""Docstrings, printed from the record: formula, shapes, parameters, errors, source."""

from __future__ import annotations

from lossmith.face import signature
from lossmith.formula.written import written
from lossmith.link.links import Linked

_U = {
    "residual": "u = prediction - target",
    "margin": "u = s·score, s = ±1 by the label; a soft label t gives t·ψ(z) + (1-t)·ψ(-z)",
    "softmax": "u = log p_target, p = softmax(logits)",
    "crammer_singer": "u = z_target - max of the other logits",
    "one_vs_rest": "the sum over classes of ψ(u), u = z for the target class and -z for the others",
}


def docstring(loss: Linked, *, module: bool) -> str:
    """The text of a function or Module."""
    record = loss.formula
    first, *rest = record.doc.split("\n\n", 1)
    word, prediction_shape, target_shape = signature.shape_words(loss)
    lines = [first.strip() or f"The loss {loss.name}.", ""]
    if rest:
        lines += [rest[0].strip(), ""]
    lines += ["Formula:", f"    {written(record)}", f"    {_U[loss.kind]}", ""]
    lines += ["Shapes:", f"    {word}: {prediction_shape}.", f"    target: {target_shape}."]
    lines += ['    Result: a scalar, or with reduction="none" one loss for each element (row).', ""]
    lines += ["Parameters:"]
    if not module:
        lines.append(f"    {word}: floating tensor; half precision is computed in float32.")
        lines.append("    target: see Shapes.")
    data = [] if module else signature.data(loss)
    for a in [*signature.parameters(loss), *data, *signature.options(loss)]:
        lines.append(f"    {a.name} (default {a.default}): {a.meaning}.")
    if module:
        lines.append(
            "    forward(…, target, sample_weight=None, mask=None) takes the data of a batch."
        )
    lines += [
        "",
        "Errors:",
        "    InputError (a ValueError) for wrong shapes, dtypes, labels and parameters: what was",
        "    given, what is needed. A batch of mass 0 gives 0 with zero gradients.",
        "",
    ]
    if record.twin:
        lines += [f"Twin: {record.twin}.", ""]
    if record.cite:
        lines.append(f"Source: {record.cite}.")
    return "\n".join(lines).rstrip() + "\n"
