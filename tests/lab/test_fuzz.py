"""`lossmith fuzz`: a draw at every run, seeded by the commit; and what it would find is found.

Repeat another commit's draw with LOSSMITH_SEED=<what a failure prints>.
"""

import dataclasses
import itertools
import json
import random

import pytest
import torch
from click.testing import CliRunner

from lossmith.engine.cpu import panels
from lossmith.lab import cli
from lossmith.lab.definition.psi import MARGIN, RESIDUAL, Shape
from lossmith.lab.fuzz import calls, judge, layouts
from lossmith.lab.fuzz.worker import KINDS, judged, run
from seeded import commit

CASES = {"calls": 10, "heads": 6}


@pytest.mark.parametrize("kind", CASES)
def test_nothing_is_found_in_this_commits_draw(kind):
    names = [f"{commit()}:{index}" for index in range(CASES[kind])]
    found = {name: fault for name in names if (fault := judged(kind, name, KINDS[kind]))}
    assert not found, f"LOSSMITH_SEED={commit()}"


def case(seed, **fixed):
    """A drawn case of calls that has what is wanted."""
    for index in itertools.count():
        drawn = calls.draw(random.Random(f"{seed}:{index}"))
        if all(getattr(drawn, name) == value for name, value in fixed.items()):
            return drawn


@pytest.mark.parametrize("table", [RESIDUAL, MARGIN])
def test_a_formula_that_is_a_little_off_is_found(monkeypatch, table):
    name = {id(RESIDUAL): "l2", id(MARGIN): "brier"}[id(table)]
    drawn = case(1, formula=name, face="reference", dtype="float64", learned="", mask=False)
    assert judge.judge(drawn) is None
    psi = table[name].psi
    monkeypatch.setitem(table, name, Shape(lambda u: psi(u) * (1 + 1e-9)))
    assert "value" in judge.judge(drawn)


def test_a_panel_that_ends_in_the_middle_of_its_example():
    """The defect that 4,433 tests did not see: `together` without a look at the last panel."""
    drawn = dataclasses.replace(
        case(2, link="softmax", formula="cross_entropy", labels="index", face="function"),
        shapes=((2, 3, 4, 4), (63, 2, 31), (4, 5, 2, 2)), layouts=("contiguous",) * 4,
        forbidden=False, smoothing=0.0, target_dtype="int64",
    )  # fmt: skip
    assert judge.judge(drawn) is None


def test_a_tensor_that_is_written_to_is_found(monkeypatch):
    drawn = case(3, link="residual", formula="l2", face="function", learned="")
    drawn = dataclasses.replace(drawn, layouts=("contiguous",) * 4)  # memory that can be written to

    def careless(given, made, truth):
        made.target.add_(1)

    monkeypatch.setattr(judge, "_function", careless)
    assert "written to" in judge.judge(drawn)


@pytest.mark.parametrize("name", layouts.LAYOUTS)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 4), (2, 3, 4, 5), (2, 0, 3)])
def test_a_layout_keeps_shape_and_dtype(name, shape):
    for dtype in (torch.float32, torch.int64, torch.bool):
        x = (3 * torch.rand(shape)).to(dtype)
        got = layouts.lay(x, name)
        assert got.shape == x.shape
        assert got.dtype == dtype
        if name not in layouts.SHARED:
            assert torch.equal(got, x)


def test_draws_reach_every_loss_face_and_size():
    drawn = [calls.draw(random.Random(f"all:{index}")) for index in range(3000)]
    assert {(c.link, c.formula) for c in drawn} == {
        (link, name) for link, names in calls.FORMULAS.items() for name in names
    }
    assert {c.face for c in drawn} == set(calls.FACES)
    assert {layout for c in drawn for layout in c.layouts} == set(layouts.LAYOUTS)
    sizes = {torch.Size(s).numel() for c in drawn if c.elementwise for s in c.shapes}
    assert {0, 1, 1023, 1024, 1025, 65536} <= sizes
    crossing = [
        s for c in drawn if not c.elementwise for s in c.shapes
        if len(s) > 2 and torch.Size(s[2:]).numel() % panels.LANES and s[0] > 1
    ]  # fmt: skip
    assert len(crossing) > 500


@pytest.mark.slow
def test_what_kills_its_process_or_never_ends_is_found_and_the_rest_goes_on():
    modules = {"faults": ("lab.fuzz_faults", "lab.fuzz_faults")}
    found = list(itertools.islice(run(modules, "x", 600.0, hang=8.0), 12))
    assert [d.name for d in found] == [f"x:{index}" for index in range(12)]
    assert {d.fault for d in found} == {
        None, "wrong on purpose", "the process died with exit code -11", "no answer after 8 s"
    }  # fmt: skip


def test_the_command_counts_names_and_repeats(tmp_path, monkeypatch):
    monkeypatch.setitem(KINDS, "faults", ("lab.fuzz_faults", "lab.fuzz_faults"))
    words = ["fuzz", "--only", "heads", "--minutes", "0.15", "--seed", "5", "--json"]
    result = CliRunner().invoke(cli.main, [*words, str(tmp_path / "found.json")])
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["findings"] == []
    assert f"seed 5: {found['counts']['heads']} heads" in result.output
    again = CliRunner().invoke(cli.main, ["fuzz", "--repeat", "heads:5:0"])
    assert again.output == "heads:5:0: nothing is wrong\n"
    wrong = next(i for i in range(99) if random.Random(f"faults:5:{i}").choice("rrwkh") == "w")
    again = CliRunner().invoke(cli.main, ["fuzz", "--repeat", f"faults:5:{wrong}"])
    assert (again.output, again.exit_code) == ("wrong on purpose\n", 1)


@pytest.mark.parametrize("words", [["--repeat", "x"], ["--repeat", "calls"], ["--only", "all"]])
def test_what_is_no_kind_or_case_is_refused(words):
    result = CliRunner().invoke(cli.main, ["fuzz", *words])
    assert result.exit_code == 2
    assert words[0] in result.output
