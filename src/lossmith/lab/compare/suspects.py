"""What may be wrong with the rows themselves: labels, contradicting twins, a column that tells."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict, cross_val_score
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from threadpoolctl import threadpool_limits

from lossmith.lab.data.dataset import Dataset

Array = NDArray[np.float64]
Rows = NDArray[np.intp]
MOST = 2000  # rows of a first fit
WIDEST = 400  # columns of a first fit, and columns that are looked through
PARTS = 3  # of the cross-validation
LOOSENESS = (1.0, 0.1, 0.01)  # of the logistic fit: 1 over the weight of its penalty
GIVES_AWAY = 0.99  # what one column alone must reach to be suspected
_LARGE = 200_000  # rows among which twins are looked for


def some_rows(dataset: Dataset, most: int = MOST) -> Rows:
    """Rows to look at, evenly chosen, each class or range of the target in its share."""
    order = np.argsort(dataset.target, kind="stable")
    if len(order) > most:
        order = order[np.linspace(0, len(order) - 1, most).astype(int)]
    return np.sort(order)


def features(dataset: Dataset, rows: Rows) -> Array:
    """Their prepared columns, of very many an even choice."""
    made = dataset.arrays(rows)[0].reshape(len(rows), -1).astype(np.float64)
    if made.shape[1] > WIDEST:
        made = made[:, np.linspace(0, made.shape[1] - 1, WIDEST).astype(int)]
    return made


@dataclass(frozen=True, eq=False)
class Guess:
    """What a logistic fit to the other rows says of each row."""

    rows: Rows
    target: NDArray[np.int64]  # codes among `classes`
    classes: NDArray[np.int64]  # codes of the data set that could be looked at
    probability: Array


def guess(dataset: Dataset) -> Guess | None:
    """Cross-validated probabilities of the classes that have rows enough."""
    rows = some_rows(dataset)
    kinds, target, counts = np.unique(dataset.target[rows], return_inverse=True, return_counts=True)
    kept = np.flatnonzero(counts >= PARTS)
    if len(kept) < 2:
        return None
    inside = np.isin(target, kept)
    rows, target = rows[inside], np.searchsorted(kept, target[inside])
    parts = StratifiedKFold(PARTS, shuffle=True, random_state=0)
    made = features(dataset, rows)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # The penalty by log-loss on rows left out: a fit that learns wrong labels by heart doubts
        # right ones.
        models = [LogisticRegression(C=c, max_iter=100) for c in LOOSENESS]
        tried = [
            cross_val_predict(model, made, target, cv=parts, method="predict_proba")
            for model in models
        ]
    found = min(tried, key=lambda probability: float(log_loss(target, probability)))
    return Guess(rows, target.astype(np.int64), kinds[kept].astype(np.int64), found)


def wrong_labels(seen: Guess) -> tuple[float, Rows]:
    """The share of labels that look wrong, and these rows, the clearest first.

    Confident learning (Northcutt, Jiang & Chuang 2021, JAIR 70:1373, sec. 3), counted by cleanlab:
    a row counts as of class j if its probability of j reaches the mean of the rows that are called
    j. The counts of class given by class found are scaled to the number of rows called each, and
    what lies beside the diagonal is the share. Scaled here, because cleanlab would round to rows.
    """
    # Late: its package imports all of itself, and only a first look at classes needs it.
    from cleanlab.count import compute_confident_joint
    from cleanlab.rank import get_label_quality_scores

    joint, wrong = compute_confident_joint(
        seen.target, seen.probability, calibrate=False, return_indices_of_off_diagonals=True
    )
    right = joint.diagonal() / joint.sum(1)
    share = 1 - float(np.average(right, weights=np.bincount(seen.target)))
    margin = get_label_quality_scores(seen.target, seen.probability, method="normalized_margin")
    return share, seen.rows[wrong[np.argsort(margin[wrong], kind="stable")]]


def contradictions(dataset: Dataset) -> tuple[float, float]:
    """The share of rows with a twin of another class, and the highest accuracy that is left."""
    rows = some_rows(dataset, _LARGE)
    flat = dataset.source
    if not isinstance(flat, pd.DataFrame):
        flat = pd.DataFrame(np.asarray(flat).reshape(len(flat), -1), copy=False)
    mark = pd.util.hash_pandas_object(flat.iloc[rows], index=False).to_numpy()
    table = pd.DataFrame({"mark": mark, "target": dataset.target[rows]})
    counts = table.groupby(["mark", "target"]).size()
    largest = counts.groupby(level="mark").max()
    apart = counts.groupby(level="mark").size() > 1
    inside = counts.groupby(level="mark").sum()[apart].sum()
    return float(inside / len(rows)), float(largest.sum() / len(rows))


def giveaways(dataset: Dataset) -> list[tuple[str, float]]:
    """Columns that alone tell the target nearly without error, and how well.

    A small tree on one column, cross-validated: balanced accuracy of classes, R² of numbers.
    """
    rows = some_rows(dataset, MOST // 2)
    target = dataset.target[rows]
    model: Any
    if dataset.task == "regression":
        model, score = DecisionTreeRegressor(max_leaf_nodes=100, random_state=0), "r2"
        parts: Any = KFold(PARTS, shuffle=True, random_state=0)
    else:
        counts = np.bincount(target, minlength=len(dataset.classes))
        rows, target = rows[counts[target] >= PARTS], target[counts[target] >= PARTS]
        leaves = max(2, 2 * len(np.unique(target)))
        model = DecisionTreeClassifier(max_leaf_nodes=leaves, random_state=0)
        score = "balanced_accuracy"
        parts = StratifiedKFold(PARTS, shuffle=True, random_state=0)
    if len(rows) < 10 * PARTS or len(np.unique(target)) < 2:
        return []
    found = []
    for name, values in _columns(dataset, rows):
        reached = cross_val_score(model, values[:, None], target, cv=parts, scoring=score).mean()
        if reached >= GIVES_AWAY:
            found.append((name, float(reached)))
    return found


def _columns(dataset: Dataset, rows: Rows) -> list[tuple[str, Array]]:
    """Each column of a table as numbers; pictures have none that could give an answer away."""
    if dataset.images:
        return []
    source = dataset.source
    if not isinstance(source, pd.DataFrame):
        some = np.asarray(source)[rows, :WIDEST]
        return [(f"column {i + 1}", some[:, i].astype(np.float64)) for i in range(some.shape[1])]
    made = []
    for name, column in source.iloc[rows, :WIDEST].items():
        if isinstance(column.dtype, pd.CategoricalDtype):
            made.append((str(name), column.cat.codes.to_numpy().astype(np.float64)))
        elif column.dtype.kind in "biuf":
            made.append((str(name), column.to_numpy().astype(np.float64)))
    return made
