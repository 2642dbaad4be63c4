"""What is kept of each row gives every metric again; its influence is the metric's own slope."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lossmith.lab.compare import kept
from lossmith.lab.compare.influence import Said
from lossmith.lab.compare.metrics import METRICS, Judged, judge
from lossmith.lab.data.dataset import Dataset

CALIBRATED = "calibration_error"


def drawn(seed: int, task: str, rows: int = 240) -> Judged:
    luck = np.random.default_rng(seed)
    if task == "regression":
        return Judged(task, luck.normal(0, 1, rows), luck.normal(0, 1, rows), level=0.8)
    classes = 2 if task == "binary" else 4
    target = np.arange(rows) % classes if seed % 2 else luck.integers(0, classes, rows)
    scores = luck.normal(0, 1, (rows, classes)) + np.eye(classes)[target]
    scores[:, 0] -= 0.7  # so that one class is the worst beyond doubt
    if task == "binary":
        scores = (scores[:, 1] - scores[:, 0]).astype(np.float32).astype(float)
    return Judged(task, scores, target, classes, classes - 1, True)


def said(judged: Judged, folds: int = 1, weight: np.ndarray | None = None) -> Said:
    rows = len(judged.target)
    facts = {name: values[None] for name, values in kept.facts(judged).items()}
    fold = np.arange(rows)[None] % folds
    one = np.ones(rows) if weight is None else weight
    return Said(facts, fold, judged.target, one, judged.classes, judged.rarest)


@pytest.mark.parametrize("task", ["classification", "binary", "regression"])
@given(seed=st.integers(0, 2**31))
@example(seed=222)  # a confidence within rounding of a bin's edge
def test_the_mean_over_the_rows_is_the_metric(task: str, seed: int) -> None:
    judged = drawn(seed, task)
    expected = judge(judged)
    for name, value in expected.items():
        rows = METRICS[name].rows(said(judged))
        assert rows is not None
        assert rows.shape == (1, len(judged.target))
        assert rows.mean() == pytest.approx(value, rel=1e-6), name


@pytest.mark.parametrize("task", ["classification", "binary", "regression"])
def test_influence_predicts_what_leaving_a_few_rows_out_does(task: str) -> None:
    """The oracle is the metric itself, over the other rows: to first order the two agree."""
    judged = drawn(5, task, 6000)
    luck = np.random.default_rng(3)
    for name, value in judge(judged).items():
        rows = METRICS[name].rows(said(judged))
        assert rows is not None
        moved, foreseen = [], []
        for _ in range(40):
            stay = luck.permutation(len(judged.target))[200:]
            part = Judged(
                task, judged.scores[stay], judged.target[stay],
                judged.classes, judged.rarest, judged.probabilities, judged.level,
            )  # fmt: skip
            moved.append((judge(part)[name] or 0) - (value or 0))
            foreseen.append(rows[0, stay].mean() - rows.mean())
        close = np.corrcoef(moved, foreseen)[0, 1]
        # Quantiles jump from row to row, and bins change their signs.
        assert close > (0.8 if name in ("median_error", "p95_error", CALIBRATED) else 0.98), name
        assert np.std(foreseen) == pytest.approx(np.std(moved), rel=0.4), name


def test_the_area_is_that_within_the_folds() -> None:
    from sklearn.metrics import roc_auc_score

    judged = drawn(1, "binary")
    given = said(judged, folds=3)
    rows = METRICS["auc"].rows(given)
    assert rows is not None
    for fold in range(3):
        here = given.fold[0] == fold
        expected = roc_auc_score(judged.target[here], judged.scores[here])
        assert rows[0, here].mean() == pytest.approx(expected)
    # A fold with one class alone says nothing, and takes the mean of the others.
    lonely = np.where(judged.target == 1, given.fold, 0 * given.fold + 1)
    rows = METRICS["auc"].rows(Said(given.facts, lonely, judged.target, given.weight, 2, 1))
    assert rows is not None
    assert np.isfinite(rows).all()


def test_a_loss_without_probabilities_has_no_row_values_of_them() -> None:
    judged = drawn(2, "binary")
    margins = Judged("binary", judged.scores, judged.target, 2, 1, probabilities=False)
    given = said(margins)
    assert METRICS["log_loss"].rows(given) is None
    assert METRICS[CALIBRATED].rows(given) is None
    assert METRICS["accuracy"].rows(given) is not None


def test_log_loss_is_never_clipped() -> None:
    sure = Judged("binary", np.array([800.0, -1.0]), np.array([0, 0]), 2, 0, True)
    assert kept.facts(sure)["surprise"][0] == 800


def test_of_many_rows_the_same_are_kept_and_small_classes_whole() -> None:
    target = np.zeros(90_000, np.int64)
    target[::100] = 1  # 900 rows
    target[1::3000] = 2  # 30 rows
    data = Dataset("many", "classification", target, ("a", "b", "c"), (), target, "x")
    rows = kept.chosen(data)
    assert kept.MOST - 3 <= len(rows.place) <= kept.MOST
    assert (np.diff(rows.place) > 0).all()
    counts = np.bincount(target[rows.place])
    assert counts.tolist()[1:] == [900, 30]
    # Weighted, the kept rows have the classes' own shares.
    shares = np.bincount(target[rows.place], rows.weight) / len(rows.place)
    assert shares == pytest.approx(np.bincount(target) / len(target))
    assert rows.weight.mean() == pytest.approx(1)
    everywhere = np.histogram(rows.place, 10, (0, len(target)))[0]
    assert everywhere.min() > 0.9 * everywhere.max()


def test_numbers_are_chosen_evenly() -> None:
    target = np.arange(50_000.0)
    data = Dataset("many", "regression", target, (), (), target, "x")
    place = kept.chosen(data).place
    assert len(place) == kept.MOST
    assert set(np.diff(place)) <= {2, 3}


@given(st.binary(max_size=60))
def test_what_was_not_packed_is_refused(text: bytes) -> None:
    import base64

    for hostile in (base64.b64encode(text).decode(), text.decode("latin1"), None, 3, ["x"]):
        with pytest.raises(ValueError):  # noqa: PT011 - any words
            kept.unpacked(hostile)


def test_an_object_array_is_not_unpickled() -> None:
    import base64
    import io

    out = io.BytesIO()
    np.savez(out, said=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="pickle"):
        kept.unpacked(base64.b64encode(out.getvalue()).decode())


def test_arrays_survive_packing_to_the_bit() -> None:
    judged = drawn(3, "binary")
    facts = kept.facts(judged)
    again = kept.unpacked(kept.packed(facts))
    assert again.keys() == facts.keys()
    for name, values in facts.items():
        assert again[name].dtype == values.dtype
        assert (again[name] == values).all()
