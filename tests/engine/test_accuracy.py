"""A small draw of `lossmith accuracy`, and proof that it sees what it is there to see."""

import json
import math

import mpmath as mp
import numpy as np
import pytest
from click.testing import CliRunner

import lossmith
from lossmith.formula import exact
from lossmith.formula.calculus import base, curvature, slope
from lossmith.formula.ledger import LEDGER
from lossmith.lab.accuracy import measure as accuracy_measure
from lossmith.lab.accuracy.command import accuracy
from lossmith.lab.accuracy.measure import Subject, error, measure, truths
from lossmith.lab.accuracy.points import kinks, points

F32 = np.finfo(np.float32)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LEDGER)
def test_every_formula_meets_its_target(name, dtype):
    rows = measure(LEDGER[name], dtype, ("cpu", "reference", "numpy"), count=150)
    assert {row.engine for row in rows} == {"cpu", "reference", "numpy"}
    assert [row for row in rows if not row.passed] == []


@pytest.mark.parametrize("name", LEDGER)
def test_the_truth_is_the_derivative(name):
    """ψ' and ψ'' at 60 digits against central differences of ψ at 60 digits."""
    record = LEDGER[name]
    values = {p.name: p.default for p in record.shape}
    for u in (-3.3, -0.7, -0.2) if record.family == "probability" else (-3.3, -0.2, 0.4, 2.6):
        with mp.workdps(60):
            h = mp.mpf(10) ** -15

            def at(x, values=values, record=record):
                run = exact.function(base(record), ("u", *values))
                return run(x, *(mp.mpf(v) for v in values.values()))

            before, here, after = (at(mp.mpf(u) + k * h) for k in (-1, 0, 1))
            first, second = (after - before) / (2 * h), (after - 2 * here + before) / h**2
            assert abs(exact.evaluate(slope(record), u, values) - first) < 1e-25
            assert abs(exact.evaluate(curvature(record), u, values) - second) < 1e-25


def test_the_truth_through_the_margin_and_with_a_scale():
    with mp.workdps(40):
        (row,) = truths(Subject(LEDGER["cross_entropy"], "float64", "m"), [-0.5])
        p = 1 / (1 + mp.exp(0.5))
        expected = (-mp.log(p), p - 1, p * (1 - p), p * (1 - p) * (1 - 2 * p))
        assert all(abs(a - b) < 1e-30 for a, b in zip(row, expected, strict=True))
        (row,) = truths(Subject(LEDGER["huber"], "float64", "u", (("delta", 2.0),)), [3.0])
        assert [float(x) for x in row[:3]] == [4.0, 2.0, 0.0]


@pytest.mark.parametrize(
    ("got", "truth", "bound", "expected"),
    [
        (1.0, "1", "2", 0.0),
        (1.1, "1", "2", 0.05),
        (0.0, "1e-39", "1e-39", 0.0),  # underflow
        (0.0, "1e-37", "1e-37", 1.0),
        (math.inf, "1e39", "1e39", 0.0),  # the truth overflows as well
        (-math.inf, "1e39", "1e39", math.inf),
        (3.0, "1e39", "1e39", math.inf),
        (math.inf, "1e30", "1e30", math.inf),
        (math.nan, "1", "1", math.inf),
        (math.nan, "1e39", "1", math.inf),
        (1.0, "0", "0", math.inf),
    ],
)
def test_the_measure(got, truth, bound, expected):
    found = error(got, mp.mpf(truth), mp.mpf(bound), F32)
    assert found == pytest.approx(expected, rel=1e-6)


def test_the_points_cover_the_range():
    record = LEDGER["epsilon_insensitive"]
    x = points(record, {"epsilon": float(np.float32(0.1))}, np.float32, 1000)
    edge = np.float32(0.1)
    for wanted in (0, F32.max, -F32.max, F32.tiny, edge, -edge, np.nextafter(edge, np.float32(1))):
        assert wanted in x
    size = np.abs(x[x != 0])
    for decade in range(-30, 31):
        assert ((size > 10.0**decade / 3) & (size < 10.0**decade * 3)).any(), decade
    assert (np.abs(x) < 20).sum() > 300
    assert kinks(LEDGER["ramp"], {"s": -0.5}) == [-0.5, 1.0]
    assert {-1.0, 1.0} <= {*kinks(LEDGER["huber"], {"delta": 3.0})}
    assert (points(LEDGER["focal"], {"gamma": 2.0}, np.float64, 300) <= 0).all()


def test_a_wrong_digit_is_seen(monkeypatch):
    right = accuracy_measure.reference

    def wrong(subject, x):
        results = right(subject, x)
        results[1] = results[1] * np.float32(1 + 1e-5)
        return results

    monkeypatch.setattr(accuracy_measure, "reference", wrong)
    rows = {r.quantity: r for r in measure(LEDGER["cauchy"], "float32", ["reference"], 150)}
    assert rows["value"].passed
    assert not rows["slope"].passed
    assert rows["slope"].error == pytest.approx(1e-5, rel=0.3)


def test_a_nan_is_seen_and_its_place_named(monkeypatch):
    right = lossmith.hinge

    def wrong(z, *rest, **options):
        value = right(z, *rest, **options)
        return value.where(z != 16.0, math.nan)

    monkeypatch.setattr(lossmith, "hinge", wrong)
    rows = {r.quantity: r for r in measure(LEDGER["hinge"], "float32", ["cpu"], 150)}
    assert rows["value"].error == math.inf
    assert rows["value"].where == 16.0


def test_the_command(tmp_path):
    path = tmp_path / "rows.json"
    done = CliRunner().invoke(
        accuracy, ["l1", "focal", "--engine", "cpu", "--points", "60", "--json", str(path)]
    )
    assert done.exit_code == 0, done.output
    assert "every target is met" in done.output
    rows = json.loads(path.read_text())
    # Two dtypes × value and slope; focal through the margin, for kernels take logits.
    assert [(r["loss"], r["variable"]) for r in rows] == [("l1", "u")] * 4 + [("focal", "m")] * 4
    assert all(r["passed"] and r["points"] > 100 for r in rows)


def test_a_missed_target_is_exit_code_1(monkeypatch):
    monkeypatch.setitem(accuracy_measure.TARGETS, "float32", 1e-12)
    done = CliRunner().invoke(accuracy, ["logistic", "--engine", "reference", "--points", "20"])
    assert done.exit_code == 1
    assert "MISS" in done.output


def test_an_unknown_name_and_an_unwritable_file(tmp_path):
    unknown = CliRunner().invoke(accuracy, ["hubert"])
    assert isinstance(unknown.exception, lossmith.InputError)
    nowhere = CliRunner().invoke(accuracy, ["l1", "--json", str(tmp_path / "no" / "x.json")])
    assert isinstance(nowhere.exception, lossmith.InputError)
