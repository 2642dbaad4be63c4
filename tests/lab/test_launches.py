"""What the reference engine launches and holds: the counter, the cases, and the page."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner

import lossmith
from lossmith.formula.ledger import LEDGER
from lossmith.lab import marked
from lossmith.lab.bench import compositions, launches, pages, report, table
from lossmith.lab.cli import main

ROOT = Path(__file__).parents[2]
SIZE = 1 << 20
MB = 4 * SIZE


@pytest.fixture(scope="module")
def counts():
    return list(launches.all_cases())


def meta(*shape):
    return torch.empty(shape, device="meta")


def test_operations_are_counted_and_views_are_not():
    with launches.Counter() as counter:
        x = meta(8)
        y = x.view(2, 4).t().unsqueeze(0).expand(3, 4, 2).detach()
        y = y + 1
        y.mul_(2)
    assert [name.split(".")[1] for name in counter.operations] == ["empty", "add", "mul_"]


def test_the_most_that_is_held_at_once_is_counted():
    x = meta(SIZE)
    with launches.Counter() as counter:
        a = x + 1
        b = a[: SIZE // 2]  # a view keeps all of it
        del a
        c = torch.cat([x, x])
        del b, c
        d = x.mul(2)
        d.add_(1)
    assert counter.peak == 3 * MB


def test_what_autograd_keeps_is_held():
    def twice(z, t):
        return (torch.exp(z) * torch.exp(t)).sum()  # both factors wait for the backward

    found = launches.count(twice, meta(SIZE), meta(SIZE))
    assert found.memory // MB == 3
    assert launches.count(F.mse_loss, meta(SIZE), meta(SIZE)) == launches.Count(3, MB + 4 + 4)


def test_two_runs_give_the_same(counts):
    assert [launches._counted(case) for case in [*compositions.cases()][:6]] == counts[:6]


def test_every_loss_is_counted_once(counts):
    names = [count.case.split(",")[0] for count in counts]
    for name in LEDGER:
        assert name in names
    assert len({count.case for count in counts}) == len(counts)
    assert {"kl_divergence", "js_divergence"} <= set(names)
    assert any("soft labels" in count.case for count in counts)


def test_cases_compute_the_same_losses():
    """Ours and theirs of every case, with numbers instead of meta tensors."""
    g = torch.Generator().manual_seed(0)
    for case in compositions.cases():
        rows = case.prediction.dim() == 2
        z = torch.randn((5, compositions.CLASSES) if rows else (50,), generator=g)
        if case.target.dtype == torch.int64:
            t = torch.randint(0, compositions.CLASSES, (5,), generator=g)
        elif rows:
            t = torch.softmax(torch.randn(z.shape, generator=g), 1)
        else:
            t = torch.randint(0, 2, z.shape, generator=g).float()
            t = 2 * t - 1 if "±1" in case.name else t
        if "weighted" in case.name:  # whose weights have no numbers
            continue
        torch.testing.assert_close(case.ours(z, t), case.theirs(z, t), rtol=2e-5, atol=1e-6)


def test_targets(counts):
    by_name = {count.case: count for count in counts}
    for name in ("l1", "l2", "huber", "smooth_l1", "welsch", "barron", "squared_hinge, labels ±1"):
        assert by_name[name].met, by_name[name]
    assert sum(count.within[1] for count in counts) >= 32, "of 46, in memory"
    for name in ("cross_entropy", "focal", "poly1", "cross_entropy, weighted"):
        assert by_name[name].ours.memory <= 0.7 * by_name[name].theirs.memory


def test_the_page_shows_what_is_counted_now(counts):
    page = (ROOT / "docs" / "bench.md").read_text(encoding="utf-8")
    block = marked.inside(page, pages.COUNTS)
    if report.counted() not in block:
        pytest.skip("another torch counts otherwise")
    assert table.counted(counts, report.counted()) == block, "lossmith bench --rows reference"


def test_the_command_writes_its_block_alone(tmp_path, monkeypatch):
    few = [launches.Launches("l2", "eager", True, launches.Count(4, 4), launches.Count(3, 4))]
    few.append(launches.Launches("x", "eager", False, launches.Count(4, 4), launches.Count(3, 4)))
    monkeypatch.setattr(launches, "all_cases", lambda: iter(few))
    readme, page = tmp_path / "README.md", tmp_path / "docs" / "bench.md"
    readme.write_text("nothing of ours\n")
    page.parent.mkdir()
    page.write_text("before\n<!-- reference:begin -->\nold\n<!-- reference:end -->\nafter\n")
    words = ["bench", "--rows", "reference", "--update-readme", "--readme", str(readme)]
    found = CliRunner().invoke(main, [*words, "--json", str(tmp_path / "x.json")])
    assert found.exit_code == 0, found.output
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| l2 | eager | 4 / 3 | met | 0.0 / 0.0 | met |" in text
    assert "| x | eager | 4 / 3 | missed | 0.0 / 0.0 | met |" in text
    assert "old" not in text
    assert readme.read_text() == "nothing of ours\n"
    read = json.loads((tmp_path / "x.json").read_text())
    assert [c["met"] for c in read["reference"]] == [True, False]
    assert read["results"] == []


def test_meta_tensors_run_the_reference():
    z = meta(3)
    assert lossmith.engine_for(lossmith.l2, z, z).startswith("reference: there is no kernel")
