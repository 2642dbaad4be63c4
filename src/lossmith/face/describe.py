"""Docstrings, printed from the record and its link: formula, shapes, parameters, errors, source."""

from __future__ import annotations

from lossmith.face import signature
from lossmith.formula.written import written
from lossmith.link.link import Linked


def docstring(loss: Linked, *, module: bool) -> str:
    """The text of a function or Module."""
    record, link = loss.formula, loss.link
    first, *rest = record.doc.split("\n\n", 1)
    lines = [first.strip() or f"The loss {loss.name}.", ""]
    if rest:
        lines += [rest[0].strip(), ""]
    lines += ["Formula:", f"    {written(record)}", f"    {link.u}", ""]
    lines += ["Shapes:", f"    {link.word}: {link.prediction_shape}."]
    lines += [f"    {', '.join(link.targets)}: {link.target_shape}."]
    lines += [
        f'    Result: a scalar, or with reduction="none" one loss for each {link.result}.',
        "",
    ]
    lines += ["Parameters:"]
    inputs, data = ([], []) if module else (signature.inputs(link), signature.data())
    for a in [*inputs, *signature.parameters(loss), *data, *signature.options(loss)]:
        default = f" (default {a.default})" if a.default else ""
        lines.append(f"    {a.name}{default}: {a.meaning}.")
    if module:
        given = signature.source(signature.batch(link))
        lines.append(f"    forward({given}) takes the data of a batch.")
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
