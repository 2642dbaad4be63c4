"""A fresh draw from the option matrix at every run; `lossmith matrix` is the whole of it.

Repeat a draw with LOSSMITH_MATRIX_SEED=<the seed that a failure prints>.
"""

import math
import os
import random
import re
import secrets
from pathlib import Path

import pytest
import torch

from lossmith.lab.definition import loss as definition
from lossmith.lab.definition.psi import MARGIN, PROBABILITY, Shape
from lossmith.lab.matrix import draw as matrix_draw
from lossmith.lab.matrix.command import sweep

SEED = int(os.environ.get("LOSSMITH_MATRIX_SEED") or secrets.randbits(32))
# A kernel is compiled where the cache has none.
SECONDS = {"reference": 15.0, "lean": 10.0, "cpu": 25.0}


def drawn(losses=matrix_draw.LOSSES):
    cases = matrix_draw.cases(losses)
    random.Random(SEED).shuffle(cases)
    return cases


@pytest.mark.parametrize("engine", SECONDS)
def test_a_draw_of_the_matrix_equals_the_definition(engine):
    result = sweep(drawn(), SEED, engine, SECONDS[engine])
    print(f"LOSSMITH_MATRIX_SEED={SEED}: {result}")
    assert result["missed"] == []
    assert result["combinations"] >= 3


def test_every_combination_is_in_the_matrix():
    cases = matrix_draw.cases()
    assert len(cases) == len(set(cases))
    for name, axis in {
        "labels": matrix_draw.LABELS, "weights": matrix_draw.WEIGHTS, "drop": matrix_draw.DROPS,
        "smoothing": (0.0, 0.1), "reduction": matrix_draw.REDUCTIONS,
        "shape": matrix_draw.SHAPES, "layout": matrix_draw.LAYOUTS, "dtype": matrix_draw.DTYPES,
    }.items():  # fmt: skip
        for loss in ("cross_entropy", "focal", "generalized_cross_entropy", "poly1"):
            assert {getattr(c, name) for c in cases if c.loss == loss} == set(axis)
    assert sum(c.loss == "focal" for c in cases) == 3**7 * 2


def test_the_definition_imports_nothing_of_the_library():
    files = sorted(Path(definition.__file__).parent.glob("*.py"))
    assert len(files) == 4
    for file in files:
        for module in re.findall(r"^ *(?:from|import) (\S+)", file.read_text("utf-8"), re.M):
            assert not module.startswith("lossmith") or module.startswith("lossmith.lab.definition")


def test_a_wrong_answer_is_a_miss(monkeypatch):
    right = PROBABILITY["poly1"]
    monkeypatch.setitem(PROBABILITY, "poly1", lambda u, r: right(u, r) * 1.001)
    result = sweep(drawn(("poly1",))[:8], SEED, "reference", None)
    assert len(result["missed"]) >= 4  # a loss of 0, of rows all dropped, cannot tell


def test_parts_add_up_to_the_loss():
    for case in drawn()[:40]:
        made = matrix_draw.make(case, SEED)
        given = (case.link, case.formula, made.z.double(), made.target, made.options)
        whole = definition.loss(*given)
        added = sum(definition.parts(*given), torch.zeros(()))
        torch.testing.assert_close(added.double(), whole, rtol=1e-12, atol=1e-14)


def test_a_gradient_is_judged_by_the_parts_that_cancel_in_it(monkeypatch):
    # One soft label a hair from the minimum of its loss: 2e-5 of the gradient, 7e-8 of its parts.
    case = matrix_draw.Case(
        "brier", "soft", "none", "none", 0.0, "sum", "N,C", "expanded", "float32"
    )
    seeds = (770, 1548, 2424, 3485)  # on another processor another one of them
    judged = [matrix_draw.measure(case, seed, "cpu")[1] for seed in seeds]
    allowed = matrix_draw.TOLERANCE["float32"]
    monkeypatch.setitem(matrix_draw.TOLERANCE, "float32", (allowed[0], math.inf))
    plain = [matrix_draw.measure(case, seed, "cpu")[1] for seed in seeds]
    assert max(plain) > allowed[1]
    assert max(judged) < 1e-6


def test_a_small_error_of_a_gradient_is_a_miss_where_parts_cancel(monkeypatch):
    case = matrix_draw.Case(
        "brier", "soft", "none", "none", 0.0, "sum", "N,C", "contiguous", "float64"
    )
    psi = MARGIN["brier"].psi
    monkeypatch.setitem(MARGIN, "brier", Shape(lambda u: psi(u) * (1 + 1e-10)))
    value, slope = matrix_draw.measure(case, 1, "reference")
    allowed = matrix_draw.TOLERANCE["float64"]
    assert value > allowed[0]
    assert slope > allowed[1]
