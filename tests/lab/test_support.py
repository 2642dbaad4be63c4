"""docs/support.md is what `lossmith support` measures, and the measuring finds faults."""

import random
import secrets
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import lossmith
from lossmith.lab import marked
from lossmith.lab.support import page, table
from lossmith.lab.support.command import support
from lossmith.lab.support.rows import rows
from lossmith.lab.support.table import MODES, Cell, measure

PAGE = Path(__file__).resolve().parents[2] / "docs" / "support.md"
SECONDS = 25.0
ROWS = rows()


@pytest.fixture(scope="module")
def shown():
    return page.read(PAGE.read_text(encoding="utf-8"))


def test_the_page_has_every_loss_and_every_mode(shown):
    assert shown.keys() == {(row, mode) for row in ROWS for mode in MODES}
    assert not [key for key, text in shown.items() if text.partition(",")[0] not in ("yes", "no")
                and not text.startswith("no (")]  # fmt: skip


def test_the_rows_are_every_public_loss():
    """A loss that the catalogue gains has a row, without anybody thinking of it."""
    functions = {n for n in lossmith.__all__ if hasattr(getattr(lossmith, n), "Module")}
    assert functions <= ROWS.keys()


def test_a_draw_of_cells_is_as_the_page_says(shown):
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    every = [(row, mode) for row in ROWS for mode in MODES if not table.missing(mode)]
    random.Random(seed).shuffle(every)
    start, done = time.monotonic(), 0
    for name, mode in every:
        if time.monotonic() - start > SECONDS:
            break
        # Machine code takes a minute; what is traced for it is the same.
        cell = measure(replace(ROWS[name], inductor=False), mode)
        assert cell.outcome == shown[name, mode].split()[0].strip(","), f"seed {seed}: {cell}"
        done += 1
    assert done >= 3


def test_each_no_has_its_reason(shown):
    text = PAGE.read_text(encoding="utf-8")
    refused = {key: cell for key, cell in shown.items() if cell.startswith("no")}
    assert refused, "CenterLoss cannot move its centres under a transform"
    for (name, mode), cell in refused.items():
        measured = measure(ROWS[name], mode)
        assert measured.outcome == "no"
        number = cell.removeprefix("no ")
        assert f"\n{number} {measured.note}\n" in text


def wrong_plain(z, t):
    return 1.0001 * ROWS["huber"].each(z, t)


@pytest.mark.parametrize("mode", ["backward", "jacrev", "deterministic", "deepcopy", "threads"])
def test_a_wrong_number_is_a_defect(mode):
    cell = measure(replace(ROWS["huber"], each=wrong_plain), mode)
    assert cell.outcome == "DEFECT"
    assert "close" in cell.note


@pytest.mark.skipif(
    bool(table.missing("ONNX")), reason="onnx, onnxscript, onnxruntime not installed"
)
def test_another_runtime_computes_the_loss():
    """Two of them; the whole column is measured by the command."""
    for name in ("focal", "LinearLoss"):
        cell = measure(ROWS[name], "ONNX")
        assert cell.outcome == "yes", cell
    cell = measure(replace(ROWS["huber"], each=wrong_plain), "ONNX")
    assert cell.outcome == "DEFECT"
    assert "close" in cell.note


def test_a_mode_that_cannot_be_measured_says_what_it_needs(monkeypatch):
    monkeypatch.setattr(table, "find_spec", lambda name: None)
    run = CliRunner().invoke
    result = run(support, ["--losses", "l2", "--modes", "ONNX"])
    assert isinstance(result.exception, lossmith.InputError)
    assert "pip install 'lossmith[onnx]'" in str(result.exception)
    monkeypatch.setattr(table, "MODES", {k: MODES[k] for k in ("meta", "ONNX")})
    result = run(support, ["--losses", "l2"])
    assert result.exit_code == 0
    assert "Left out: ONNX needs" in result.output


def test_what_raises_is_told_apart():
    def unclear(*args, **options):
        raise RuntimeError("expected scalar type Float but found Double")

    def clear(*args, **options):
        raise lossmith.UnsupportedError("huber: not offered, because")

    row = ROWS["huber"]
    found = measure(replace(row, function=unclear), "backward")
    assert found.outcome == "DEFECT"
    assert "RuntimeError: expected scalar" in found.note
    found = measure(replace(row, function=clear), "backward")
    assert (found.outcome, found.note) == ("no", "huber: not offered, because")


def test_state_that_should_not_be_there_is_a_defect():
    class Keeps(lossmith.Huber):
        def __init__(self, **settings):
            super().__init__(**settings)
            self.register_buffer("seen", torch.zeros(1))

    assert measure(replace(ROWS["huber"], module=Keeps), "state_dict").outcome == "DEFECT"


CELLS = [
    Cell("huber", "jvp", "yes"),
    Cell("huber", "compile", "yes", "aot_eager"),
    Cell("odd", "jvp", "no", "odd: because"),
    Cell("odd", "compile", "no", "odd: because"),
]


def test_a_page_can_be_written_and_read(tmp_path):
    path = tmp_path / "page.md"
    begin, end = marked.marks(page.BLOCK)
    path.write_text(f"before\n{begin}\nold\n{end}\nafter\n", encoding="utf-8")
    page.write(path, CELLS)
    text = path.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert page.read(text) == {
        ("huber", "jvp"): "yes", ("huber", "compile"): "yes, aot_eager",
        ("odd", "jvp"): "no (1)", ("odd", "compile"): "no (1)",
    }  # fmt: skip
    assert "(1) odd: because" in text
    (tmp_path / "bare.md").write_text("nothing")
    with pytest.raises(lossmith.InputError, match="no place"):
        page.write(tmp_path / "bare.md", CELLS)


def test_the_command(tmp_path, monkeypatch):
    run = CliRunner().invoke
    result = run(support, ["--losses", "l2", "--modes", "jvp;meta"])
    assert result.exit_code == 0
    assert "l2" in result.output
    assert result.output.count("yes") == 2
    for given in (["--losses", "l3"], ["--modes", "jvp", "--markdown", str(tmp_path / "p.md")]):
        assert isinstance(run(support, given).exception, lossmith.InputError)

    def broken(row, form):
        raise RuntimeError("unclear")

    monkeypatch.setitem(table.MODES, "jvp", broken)
    result = run(support, ["--losses", "l2", "--modes", "jvp"])
    assert result.exit_code == 1
    assert "DEFECT: l2, jvp: function: RuntimeError: unclear" in result.output
