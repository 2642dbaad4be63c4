"""`lossmith bench`: its arithmetic on clocks of our own, its judgement on results made wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor

import lossmith
from house.tree import ROOT
from lossmith.errors import InputError, UnsupportedError
from lossmith.formula.ledger import LEDGER
from lossmith.lab import marked
from lossmith.lab.bench import (
    compiler,
    data,
    elementwise,
    pages,
    race,
    report,
    result,
    rivals,
    settings,
    table,
    timing,
    truth,
    weather,
)
from lossmith.lab.cli import main

BEGIN, END = marked.marks("bench")
MARKS = f"before\n{BEGIN}\nold\n{END}\nafter\n"


class Clock:
    """Time that passes only where a work says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.order: list[str] = []

    def __call__(self) -> float:
        return self.now

    def work(self, name: str, *seconds: float) -> Callable[[], None]:
        """Takes these seconds in turn, the last of them from then on."""
        left = list(seconds)

        def run() -> None:
            self.order.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return run


def test_works_take_turns_after_a_warm_up() -> None:
    clock = Clock()
    works = [clock.work("a", 9, 1, 2, 3), clock.work("b", 9, 4, 5, 6)]
    assert timing.interleave(works, rounds=3, clock=clock) == [[1, 2, 3], [4, 5, 6]]
    assert "".join(clock.order) == "ab" * 4


def test_a_time_is_that_of_one_call() -> None:
    clock = Clock()
    assert timing.interleave([clock.work("a", 2)], rounds=3, calls=5, clock=clock) == [[2, 2, 2]]
    assert len(clock.order) == 1 + 3 * 5


@pytest.mark.parametrize(("budget", "rounds"), [(0, timing.LEAST), (45, 5), (1e9, 20)])
def test_a_budget_ends_the_rounds_but_leaves_a_spread(budget: float, rounds: int) -> None:
    clock = Clock()
    (seconds,) = timing.interleave([clock.work("a", 10)], rounds=20, budget=budget, clock=clock)
    assert len(seconds) == rounds


def test_ratios_are_taken_within_a_round() -> None:
    """The machine slows down tenfold on the way; the ratio does not notice."""
    assert timing.ratios([2, 4, 20], [1, 2, 10]) == timing.Spread(2, 2, 2)


def test_the_spread_is_median_and_quartiles() -> None:
    assert timing.spread([5, 1, 3, 2, 4]) == timing.Spread(2, 3, 4)
    assert timing.spread([7]) == timing.Spread(7, 7, 7)


def test_faster_counts_their_time_and_cost_ours() -> None:
    for kind, middle, met in (("faster", 2.0, True), ("cost", 0.5, True), ("cost", 0.5, False)):
        limit = 1.0 if met else 0.4
        goal = result.Target(kind, limit)  # type: ignore[arg-type]
        made = result.compared("r", "w", "c", "eager", goal, [1, 2, 3], [2, 4, 6])
        assert made.figure is not None
        assert made.figure.middle == middle
        assert made.met is met
        assert (made.ours, made.theirs) == (2, 4)


def test_every_loss_has_a_composition_that_agrees_with_it_in_float64() -> None:
    """Two writings of each loss: ours from the formula, the bench's from the paper.

    Under a transform, where no kernel is compiled: the kernels have tests of their own.
    """
    for name, record in LEDGER.items():
        if record.family == "probability":
            batch = data.classes(40, 7)
        else:
            batch = data.elementwise(record.family, 400)
        expected = truth.in_float64(rivals.composition(name), *batch)
        prediction, target = batch[0].double(), batch[1]
        target = target.double() if target.is_floating_point() else target
        loss = getattr(lossmith, name)
        gradient, value = torch.func.grad_and_value(loss)(prediction, target)
        assert float(value) == pytest.approx(expected.value, rel=1e-12), name
        torch.testing.assert_close(
            gradient, expected.gradient, rtol=1e-9, atol=1e-14, msg=f"slope of {name}"
        )


def test_a_loss_without_a_composition_is_named() -> None:
    with pytest.raises(UnsupportedError, match="nobody"):
        rivals.composition("nobody")


def test_torchs_twins_are_the_same_losses() -> None:
    for name, twin in rivals.TWINS.items():
        family, signed = LEDGER[name].family, name in rivals.SIGNED
        batch = data.classes(40, 7) if family == "probability" else data.elementwise(family, 400)
        theirs = data.elementwise(family, 400, signed=True) if signed else batch
        assert not truth.problem(
            truth.evaluate(twin, *theirs), truth.in_float64(rivals.composition(name), *batch)
        )


def test_the_data_stands_on_no_kink() -> None:
    prediction, target = data.elementwise("residual", 4096)
    residual = prediction.double() - target.double()
    assert torch.equal((prediction - target).double(), residual)
    for place in (residual, prediction):
        assert float((place * 1024 % 1 - 0.5).abs().max()) == 0


def l2(prediction: Tensor, target: Tensor) -> Tensor:
    return ((prediction - target) ** 2).mean()


FAULTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "value": lambda z, t: l2(z, t) * 1.0001,
    "slope": lambda z, t: l2(z, t) + 1e-3 * (z - z.detach()).mean(),
    "one slope": lambda z, t: l2(z, t) + 1e-4 * (z - z.detach())[17],
    "nan": lambda z, t: l2(z, t) * float("nan"),
    "no slope": lambda z, t: l2(z, t).detach() + 0 * z.sum(),
}


def contest(ours: Any, theirs: Any) -> list[result.Result]:
    batch = data.elementwise("residual", 1000)
    rival = race.Rival("eager", theirs, result.Target("faster", 1.0))
    made = race.Race("r", "w", "l2", ours, (rival,), *batch, truth.in_float64(l2, *batch))
    return list(race.run(made, rounds=3, budget=1))


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("ours", [True, False])
def test_a_wrong_result_is_caught_and_not_timed(fault: str, ours: bool) -> None:
    (found,) = contest(*((FAULTS[fault], l2) if ours else (l2, FAULTS[fault])))
    assert found.wrong.startswith("ours: " if ours else "eager: ")
    assert found.figure is None
    assert found.met is None


def test_a_right_result_is_timed() -> None:
    (found,) = contest(lossmith.l2, l2)
    assert not found.wrong
    assert found.figure is not None
    assert found.met is not None


def test_a_wrong_stretch_of_a_large_gradient_is_caught() -> None:
    batch = data.elementwise("residual", 256)
    good = truth.evaluate(l2, *batch)
    buffer = (good.gradient / 4).repeat(4)
    assert not elementwise._tiled_problem("l2", batch, good.value, buffer)
    buffer[700] += 1e-3
    assert "different" in elementwise._tiled_problem("l2", batch, good.value, buffer)


def test_without_a_compiler_the_table_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "missing", lambda: compiler.NONE)
    rival = race.compile_rival(l2, result.Target("faster", 1.0), quick=False)
    assert rival.loss is None
    assert rival.note == "no C++ compiler: torch.compile not measured"


def test_arithmetic_is_told_from_the_program() -> None:
    plain = {name for name in elementwise.names() if elementwise.arithmetic(name)}
    assert {"l1", "huber", "tukey_biweight", "pseudo_huber", "ramp"} <= plain
    assert not plain & {"log_cosh", "cauchy", "welsch", "barron", "logistic", "binary_focal"}


def some_results() -> list[result.Result]:
    goal = result.Target("faster", 2.0)
    timed = [
        result.compared("small", "64", f"loss{n}", "eager", goal, [1e-5] * 3, [n * 1e-5] * 3)
        for n in range(1, 6)
    ]
    return [
        *timed,
        result.lasted("import", "import", "", 0.3, [0.1, 0.2, 0.3]),
        result.Result("focal", "focal", "f", "torch.compile", goal, note=compiler.NONE),
        result.Result("focal", "focal", "g", "eager", goal, wrong="ours: value 2, in float64 1"),
    ]


def test_markdown_says_met_missed_and_why_not() -> None:
    text = table.markdown(some_results(), "about")
    assert (
        "| 64: 5 losses | eager | 3.00×; worst 1.00× (loss1) | ≥ 2.00× | missed by loss1 |" in text
    )
    assert "| import | – | 200 ms (150 ms … 250 ms) | ≤ 300 ms | met |" in text
    assert compiler.NONE in text
    assert "WRONG against float64: ours: value 2" in text


def test_only_the_block_of_the_readme_is_rewritten() -> None:
    path = Path("README.md")
    page = marked.rewritten(MARKS, "bench", "new", path)
    assert page == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert marked.rewritten(page, "bench", "new", path) == page


@pytest.mark.parametrize("page", ["", BEGIN, f"{END}{BEGIN}", MARKS + END, MARKS + BEGIN])
def test_a_readme_without_its_marks_is_refused(page: str) -> None:
    with pytest.raises(InputError, match="bench:begin"):
        marked.rewritten(page, "bench", "new", Path("README.md"))


def test_the_data_of_a_run_has_every_field() -> None:
    chosen = settings.Settings(("small",), threads=1)
    found = report.environment(chosen)
    text = report.as_text(report.as_data(some_results(), chosen, found, 1.23))
    read = json.loads(text)
    assert set(read) == {"format", "settings", "environment", "seconds", "results"}
    assert set(read["environment"]) >= {"date", "device", "threads", "python", "torch", "numba"}
    assert read["results"][0]["figure"] == {"low": 1.0, "middle": 1.0, "high": 1.0}
    assert read["results"][0]["target"] == {"kind": "faster", "limit": 2.0}
    assert [r["met"] for r in read["results"]] == [False, True, True, True, True, True, None, None]


def test_work_of_others_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds on the clock of two processors, twelve of work, of which eight are ours."""
    listing = tmp_path / "stat"
    listing.write_text("cpu 100 0 0 5000 0 0 0 0 0 0\n")
    monkeypatch.setattr(weather.os, "sysconf", lambda _: 100)
    monkeypatch.setattr(weather.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(weather, "_own", lambda: (50.0, 1000.0))
    others = weather.watch(listing)
    listing.write_text("cpu 1000 100 100 6000 0 50 50 0 0 0\n")
    monkeypatch.setattr(weather, "_own", lambda: (58.0, 1010.0))
    assert others() == pytest.approx(0.2)
    assert "20 %" in weather.warning(others())
    assert "20 %" in report.about(report.environment(settings.Settings()) | {"others": others()})
    assert weather.warning(0.01) == weather.warning(None) == ""
    assert weather.watch(tmp_path / "none")() is None


def call(*words: str) -> Result:
    return CliRunner().invoke(main, ["bench", *words])


def test_a_quick_run_prints_and_writes(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    file = tmp_path / "deep" / "bench.json"
    found = call("--quick", "--rows", "twins, import", "--threads", "1", "--json", str(file))
    assert found.exit_code == 0, found.output
    assert "smooth_l1" in found.stdout
    assert "these figures mean nothing" in found.stdout
    read = json.loads(file.read_text())
    assert [r["row"] for r in read["results"]] == ["twins"] * 4 + ["import"]
    assert all(r["figure"]["low"] > 0 and not r["wrong"] for r in read["results"])
    assert read["settings"] == {"rows": ["twins", "import"], "threads": 1, "quick": True}
    assert torch.get_num_threads() == threads


def test_a_wrong_result_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rivals.TWINS, "huber", l2)
    found = call("--quick", "--rows", "twins")
    assert found.exit_code == 1
    assert "WRONG against float64" in found.stderr
    assert "huber" in found.stderr


def test_update_readme_writes_its_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings.Settings, "size", lambda _, count: 64)
    page = tmp_path / "README.md"
    page.write_text(MARKS)
    found = call("--rows", "twins", "--update-readme", "--readme", str(page))
    assert found.exit_code == 0, found.output
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| huber, 64 elements | torch's own |" in text
    assert "old" not in text
    assert "smooth_l1" not in text, "the README carries a few lines"
    assert "(docs/bench.md)" in text
    whole = (tmp_path / "docs" / "bench.md").read_text()
    assert whole.startswith("# Speed")
    assert all(f"| {name}, 64 elements |" in whole for name in ("smooth_l1", "huber", "l1", "l2"))
    assert "| target |" in whole
    assert "| target |" not in text


def test_a_page_without_its_marks_is_refused_before_the_run(tmp_path: Path) -> None:
    readme, page = tmp_path / "README.md", tmp_path / "docs" / "bench.md"
    readme.write_text(MARKS)
    page.parent.mkdir()
    page.write_text("somebody's own\n")
    found = call("--rows", "twins", "--update-readme", "--readme", str(readme))
    assert found.exit_code == 2
    assert "bench.md has no place for the table" in found.stderr
    assert (readme.read_text(), page.read_text()) == (MARKS, "somebody's own\n")


def test_what_the_readme_carries_is_on_the_page() -> None:
    """Both blocks of this project are of one run, and the README's say what a figure counts."""
    whole, few = (
        marked.inside((ROOT / name).read_text(encoding="utf-8"), "bench")
        for name in ("docs/bench.md", "README.md")
    )
    assert pages.brief(whole) == few
    lines = [line for line in few.splitlines() if line.startswith("| ")][2:]
    assert len(lines) == len(pages.PICKED)
    assert all("× as " in line for line in lines)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--rows", "focl"), "no row 'focl'"),
        (("--quick", "--update-readme"), "too little"),
        (("--update-readme", "--readme", "no/such/README.md"), "cannot read"),
        (("--threads", "0"), "--threads"),
    ],
)
def test_wrong_words_are_one_line(words: tuple[str, ...], says: str) -> None:
    found = call(*words)
    assert found.exit_code == 2
    assert says in found.stderr
    assert found.stderr.count("\n") == 1
