"""`list`, `properties`, `show` and plot: what a person sees."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import lossmith
from lossmith.errors import InputError, ParameterError
from lossmith.formula import ledger, properties
from lossmith.formula.ledger import DIVERGENCES, LEDGER
from lossmith.lab import cli
from lossmith.lab.picture.curves import plot


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.main, list(words))


def printed(*words: str) -> str:
    result = run(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list_names_every_loss_once() -> None:
    text = printed("list")
    firsts = [line.split()[0] for line in text.splitlines() if line.strip()]
    for name, record in (LEDGER | DIVERGENCES).items():
        assert firsts.count(name) == 1
        for parameter in record.parameters:
            assert f"{parameter.name}={parameter.default:g}" in text
    assert max(map(len, text.splitlines())) <= 120


def test_list_of_one_family() -> None:
    text = printed("list", "--family", "margin")
    assert "hinge" in text
    assert "tukey" not in text
    assert "margin" in run("list", "--family", "marginal").stderr


@pytest.mark.parametrize("command", ["list", "properties"])
def test_json_is_json(command: str) -> None:
    data = json.loads(printed(command, "--json"))
    assert [d["name"] for d in data] == [*LEDGER, *DIVERGENCES]
    tukey = next(d for d in data if d["name"] == "tukey_biweight")
    p = properties.of(LEDGER["tukey_biweight"])
    assert tukey["properties"]["highest"] == p.highest
    assert tukey["properties"]["calibrated"] is None
    assert tukey["parameters"] == {"c": 4.685}
    l2 = next(d for d in data if d["name"] == "l2")
    assert l2["properties"]["lipschitz"] == "inf"


def test_properties_of_some() -> None:
    text = printed("properties", "hinge", "smooth-l1")
    assert "u ≥ 1" in text
    assert "smooth_l1" in text
    assert "logistic" not in text
    assert "calibrated: its best score" in text


@pytest.mark.parametrize("name", [*LEDGER, *DIVERGENCES])
def test_show_prints_everything_of_each_loss(name: str) -> None:
    record = ledger.find(name)
    text = printed("show", name)
    assert text.startswith(f"{name}: a {record.family} loss")
    for heading in ("Formula", "Properties", "Source"):
        assert heading in text
    assert " ".join(record.doc.split("\n\n")[0].split())[:60] in " ".join(text.split())
    for p in record.parameters:
        assert f"{p.name} = {p.default:g}" in text
        assert str(p.domain) in text
    assert ("Twin" in text) == bool(record.twin)
    assert ("\nKinks" in text) == bool(properties.of(record).kinks)
    assert max(map(len, text.splitlines())) <= (125 if name in LEDGER else 200)
    assert "lossmith.formula" not in text


def test_show_takes_the_parameters_of_the_loss() -> None:
    for words in (["--c", "3"], ["--c=3"]):
        text = printed("show", "tukey_biweight", *words)
        assert "Properties at c=3" in text
        assert "from 0 to 1.5" in text
    assert "Properties at c=3" in printed("show", "--c", "3", "tukey_biweight")
    assert "u = -0.5" in printed("show", "ramp", "--s", "-0.5")
    assert "yes: 1/4" in printed("show", "huber", "--delta", "0.25")


def test_show_states_the_subgradient_at_a_kink() -> None:
    assert "u = 0: the slope jumps from -1 to 1; subgradient 0" in printed("show", "l1")
    assert "the value jumps from 1 to 0; here 1" in printed("show", "zero_one")
    assert "derivative 3 jumps" in printed("show", "fair")


def test_show_as_latex_and_json() -> None:
    assert r"\psi'(u) = - \sigma\left(- u\right)" in printed("show", "logistic", "--latex")
    assert "LaTeX" not in printed("show", "logistic")
    data = json.loads(printed("show", "huber", "--delta", "2", "--json"))
    assert data["parameters"] == {"delta": 2.0}
    assert data["properties"]["lipschitz"] == 2.0
    assert [k["u"] for k in data["kinks"]] == [-2.0, 2.0]
    assert data["domains"]["delta"]["domain"] == "(0, ∞)"
    assert data["formula"]["slope"] == "u where |u| ≤ delta; delta·sign(u) otherwise"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["tukey"], "tukey_biweight"),
        (["no_such_loss"], "no loss is called 'no_such_loss'"),
        (["huber", "--c", "3"], "no parameter 'c'. Parameters: delta"),
        (["huber", "--delta", "-1"], "outside (0, ∞)"),
        (["huber", "--delta", "big"], "not a number"),
        (["huber", "--delta"], "needs a number"),
        (["huber", "l1"], "one NAME, got 2"),
        (["--delta", "3"], "one NAME, got 0"),
        (["huber", "--plot", "huber.txt"], ".png"),
        ([], "NAME"),
    ],
)
def test_errors_of_show_are_one_line(words: list[str], says: str) -> None:
    result = run("show", *words)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.output


def test_an_unknown_name_in_properties() -> None:
    result = run("properties", "hinge", "hunger")
    assert result.exit_code == 2
    assert "Did you mean" in result.stderr


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_show_draws(tmp_path: Path, ending: str) -> None:
    picture = tmp_path / "new" / f"ramp.{ending}"
    assert f"plot written to {picture}" in printed("show", "ramp", "--plot", str(picture))
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG") or b"<svg" in content
    assert len(content) > 5000


def test_a_picture_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("show", "huber", "--plot", str(tmp_path / "file" / "huber.png"))
    assert result.exit_code == 2
    assert "cannot write" in result.stderr


@pytest.mark.parametrize("words", [["list"], ["show"], ["properties"]])
def test_help_is_quick_and_shows_how(words: list[str]) -> None:
    code = (
        "import sys, lossmith; before = set(sys.modules); from lossmith.lab.cli import main\n"
        f"try: main({[*words, '--help']!r})\n"
        "except SystemExit as end: assert not end.code\n"
        "new = set(sys.modules) - before\n"
        "print([m for m in ('sympy', 'mpmath', 'matplotlib', 'rich') if m in new])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.endswith("[]\n"), result.stderr


def lines(axes: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    found = [line for line in axes.get_lines() if len(line.get_xdata()) > 2]
    return [(np.asarray(x.get_xdata()), np.asarray(x.get_ydata())) for x in found]


def test_plot_draws_the_curves() -> None:
    axes = plot("huber", parameters={"delta": 0.5})
    assert len(axes) == 3
    for order, ax in enumerate(axes):
        for u, y in lines(ax):
            np.testing.assert_allclose(y, lossmith.curve("huber", u, order=order, delta=0.5))


def test_plot_breaks_the_line_at_a_jump() -> None:
    value, slope = plot("l1", orders=(0, 1))
    assert len(lines(value)) == 1
    (left, low), (right, high) = lines(slope)
    assert left.max() < 0 < right.min()
    assert set(low) == {-1.0}
    assert set(high) == {1.0}
    dots = [line for line in slope.get_lines() if line.get_marker() == "o"]
    assert {float(y) for dot in dots for y in np.asarray(dot.get_ydata())} == {-1.0, 0.0, 1.0}


def test_plot_takes_names_functions_modules_and_records() -> None:
    (ax,) = plot(
        ["l1", lossmith.l2, lossmith.Huber(delta=2.0), LEDGER["cauchy"]],
        orders=(0,),
        parameters={"c": 1.5},
        u=np.linspace(-2, 2, 11),
    )
    names = [text.get_text() for text in ax.texts]
    assert names == ["l1", "l2", "huber(delta=2)", "cauchy(c=1.5)"]


def test_plot_into_given_axes() -> None:
    first = plot("hinge", orders=(0,))
    assert plot("ramp", orders=(0,), axes=first)[0] is first[0]
    assert len(lines(first[0])) == 2


@pytest.mark.parametrize("name", [*LEDGER, *DIVERGENCES])
def test_every_loss_can_be_drawn(name: str) -> None:
    for ax in plot(name):
        assert all(np.isfinite(y).all() for _, y in lines(ax))
        low, high = ax.get_xlim()
        assert all(low <= k <= high for k in properties.of(ledger.find(name)).kinks)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: plot(["hinge", "huber"]), InputError, "one family at a time"),
        (lambda: plot([]), InputError, "no loss to draw"),
        (lambda: plot("hinge", orders=(3,)), InputError, "orders"),
        (lambda: plot("hinge", axes=[]), InputError, "as many axes"),
        (lambda: plot("hinge", parameters={"gamma": 1.0}), ParameterError, "no parameter 'gamma'"),
        (lambda: plot("huber", parameters={"delta": -1.0}), ParameterError, "outside"),
        (lambda: plot("hunger"), InputError, "no loss is called"),
    ],
)
def test_plot_says_what_is_wrong(call: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        call()
