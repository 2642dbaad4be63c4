"""Pictures, by their numbers: curves, boundaries, embeddings, landscapes."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.contour import QuadContourSet
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from torch import nn

import lossmith
from lossmith.errors import InputError, ShapeError
from lossmith.lab.picture.landscape import landscape


def drawn(axes: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What was drawn, by its name in the legend."""
    return {
        str(line.get_label()): (np.asarray(line.get_xdata()), np.asarray(line.get_ydata()))
        for line in axes.get_lines()
    }


def small(seed: int = 0, classes: int = 3) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, classes))


@pytest.fixture(scope="module")
def iris() -> tuple[torch.Tensor, torch.Tensor]:
    rows, labels = load_iris(return_X_y=True)
    return torch.tensor(rows, dtype=torch.float32), torch.tensor(labels)


def test_a_sweep_draws_a_curve_for_every_number() -> None:
    axes = lossmith.plot("focal", sweep={"gamma": [0, 1, 2, 5]})
    for order, ax in enumerate(axes):
        found = drawn(ax)
        for gamma in (0, 1, 2, 5):
            u, y = found[f"focal(gamma={gamma})"]
            np.testing.assert_array_equal(y, lossmith.curve("focal", u, order=order, gamma=gamma))
        looks = {(line.get_color(), str(line.get_linestyle())) for line in ax.get_lines()}
        assert len(looks) == 4


def test_a_sweep_combines_parameters_and_draws_the_others_once() -> None:
    (ax,) = lossmith.plot(
        ["l2", "huber", "cauchy"], orders=(0,), sweep={"delta": [1, 2], "c": [1, 3]}
    )
    names = [text.get_text() for text in ax.texts]
    assert sorted(names) == [
        "cauchy(c=1)", "cauchy(c=3)", "huber(delta=1)", "huber(delta=2)", "l2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: lossmith.plot("focal", sweep={"gamma": []}), "0 combinations"),
        (lambda: lossmith.plot("focal", sweep={"gamma": range(21)}), "21 combinations"),
        (lambda: lossmith.plot("focal", sweep={"delta": [1.0]}), "no parameter 'delta'"),
        (
            lambda: lossmith.plot("focal", parameters={"gamma": 1}, sweep={"gamma": [1]}),
            "stands in parameters and in sweep",
        ),
    ],
)
def test_a_sweep_says_what_is_wrong(call: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        call()


def test_the_boundary_of_a_linear_model_is_its_line() -> None:
    model = nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.5, -2.0]]))
        model.bias.fill_(0.25)
    model.train()
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(40, 2))
    ax = lossmith.plot_decision_boundary(model, rows, rows[:, 0] > 0, resolution=60)
    edge, margins = (c for c in ax.collections if isinstance(c, QuadContourSet) and not c.filled)
    for contours, scores in ((edge, {0.0}), (margins, {-1.0, 1.0})):
        (all_of_it,) = [np.concatenate([p.vertices for p in contours.get_paths()])]
        reached = all_of_it @ [1.5, -2.0] + 0.25
        assert {round(float(score), 5) for score in reached} == scores
    assert model.training


def test_the_regions_are_those_of_the_classifier() -> None:
    rows, labels = load_iris(return_X_y=True)
    classifier = LogisticRegression(max_iter=1000).fit(rows, labels)
    ax = lossmith.plot_decision_boundary(
        classifier, rows, labels, columns=(2, 3), resolution=50, names=["a", "b", "c"]
    )
    (filled,) = (c for c in ax.collections if isinstance(c, QuadContourSet) and c.filled)
    middle = np.median(rows, axis=0)
    generator = np.random.default_rng(1)
    rows_seen = 0
    for at in generator.uniform([0.6, 0.0], [7.2, 2.6], size=(60, 2)):
        row = np.array([[middle[0], middle[1], *at]])
        scores = np.sort(classifier.decision_function(row)[0])
        if scores[-1] - scores[-2] < 0.3:
            continue  # nearer to an edge than the grid can tell
        region = [path.contains_point(at) for path in filled.get_paths()]
        assert region == [k == classifier.predict(row)[0] for k in range(3)]
        rows_seen += 1
    assert rows_seen > 30
    np.testing.assert_array_equal(drawn(ax)["b"], rows[labels == 1][:, [2, 3]].T)


def test_a_boundary_leaves_the_model_in_its_modes(iris: tuple[torch.Tensor, torch.Tensor]) -> None:
    model = small()
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    lossmith.plot_decision_boundary(model, *iris, resolution=10)
    assert [part.training for part in model.modules()] == [True, True, False, True, True]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_two_features_are_drawn_as_they_are() -> None:
    points = torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]], requires_grad=True)
    ax = lossmith.plot_embedding(points, torch.tensor([0, 1, 1]), [[1.0, 2.0], [3.0, 4.0]])
    found = drawn(ax)
    np.testing.assert_array_equal(found["0"], [[0.0], [1.0]])
    np.testing.assert_array_equal(found["1"], [[2.0, 4.0], [3.0, 5.0]])
    np.testing.assert_array_equal(found["centres"], [[1.0, 3.0], [2.0, 4.0]])


def test_more_features_are_projected_with_their_centres(
    iris: tuple[torch.Tensor, torch.Tensor],
) -> None:
    rows, labels = iris
    center = lossmith.CenterLoss(3, 4)
    with torch.no_grad():
        center.centers.copy_(torch.stack([rows[labels == k].mean(0) for k in range(3)]))
    ax = lossmith.plot_embedding(rows, labels, center.centers, names=["s", "e", "i"])
    wanted = PCA(2).fit_transform(rows.double().numpy())
    found = drawn(ax)
    for k, name in enumerate("sei"):
        own = wanted[labels.numpy() == k]
        np.testing.assert_allclose(np.abs(found[name]), np.abs(own.T), atol=1e-9)
        # A projection is linear: the centre of a class lies in the middle of its points.
        middle = np.array(found["centres"])[:, k]
        np.testing.assert_allclose(middle, np.mean(found[name], axis=1), atol=1e-5)
    assert ax.get_xlabel() == "92 % of the variance"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_landscape_has_the_loss_in_its_middle_and_changes_nothing(
    iris: tuple[torch.Tensor, torch.Tensor], dtype: torch.dtype
) -> None:
    model, loss = small().to(dtype), lossmith.CrossEntropy()
    rows, labels = iris[0].to(dtype), iris[1]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    steps, heights = landscape(model, loss, (rows, labels), points=5, span=0.5)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(part.training for part in model.modules())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert steps.tolist() == [-0.5, -0.25, 0.0, 0.25, 0.5]
    with torch.no_grad():
        assert heights[2, 2] == float(loss(model.eval()(rows), labels))
    assert len(np.unique(heights)) == 25
    again = landscape(model, loss, [(rows, labels)], points=5, span=0.5)[1]
    np.testing.assert_array_equal(heights, again)
    assert (landscape(model, loss, (rows, labels), points=5, seed=1)[1] != heights).any()


def test_a_landscape_of_one_matrix_follows_the_rule() -> None:
    """A linear model with squared error: f(a, b) is a known quadratic, directions of θ's length."""
    model = nn.Linear(3, 2)
    rows = torch.eye(3, dtype=torch.float64)
    model.double()
    target = torch.zeros(3, 2, dtype=torch.float64)

    def loss(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        # Rows of the unit matrix see the weights themselves: Σ over them is ‖θ + aδ + bη‖².
        return ((prediction - model.bias - target) ** 2).sum()

    heights = landscape(model, loss, (rows, target), points=3, span=1.0)[1]
    size = float((model.weight.detach() ** 2).sum())
    assert heights[1, 1] == pytest.approx(size, rel=1e-12)
    # ‖θ ± δ‖² add up to 2‖θ‖² + 2‖δ‖², and each row of δ is as long as that of θ.
    assert heights[1, 0] + heights[1, 2] == pytest.approx(4 * size, rel=1e-12)
    assert heights[0, 1] + heights[2, 1] == pytest.approx(4 * size, rel=1e-12)
    # ‖θ + δ + η‖² + ‖θ + δ - η‖² = 2‖θ + δ‖² + 2‖η‖², and the same the other way round.
    assert heights[2, 2] + heights[0, 2] == pytest.approx(2 * heights[1, 2] + 2 * size, rel=1e-12)


def test_batches_of_a_landscape_add_up(iris: tuple[torch.Tensor, torch.Tensor]) -> None:
    model, loss = small(), lossmith.Focal(gamma=1.0)
    rows, labels = iris
    parts = list(zip(rows.split([100, 50]), labels.split([100, 50]), strict=True))
    whole = landscape(model, loss, (rows, labels), points=3)[1]
    for same in (loss, lambda prediction, target: loss(prediction, target)):
        np.testing.assert_allclose(landscape(model, same, parts, points=3)[1], whole, rtol=1e-6)


def test_the_picture_of_a_landscape(iris: tuple[torch.Tensor, torch.Tensor]) -> None:
    model = small()
    ax = lossmith.plot_landscape(model, lossmith.CrossEntropy(), iris, points=7)
    heights = landscape(model, lossmith.CrossEntropy(), iris, points=7)[1]
    filled, lines = (c for c in ax.collections if isinstance(c, QuadContourSet))
    assert filled.zmin == heights.min()
    assert filled.zmax == heights.max()
    assert (np.diff(lines.levels) > 0).all()


DATA = (np.zeros((4, 2)), np.zeros(4, dtype=int))
PAIR = (torch.zeros(2, 4), torch.zeros(2, dtype=torch.int64))


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: lossmith.plot_embedding(np.zeros((4, 1)), DATA[1]), ShapeError, "D of 2 or more"),
        (lambda: lossmith.plot_embedding(DATA[0], np.zeros(3)), ShapeError, r"need \(4,\)"),
        (lambda: lossmith.plot_embedding(DATA[0], [0, 1, 1.5, 0]), InputError, "whole numbers"),
        (lambda: lossmith.plot_embedding(DATA[0] + np.nan, DATA[1]), InputError, "finite"),
        (lambda: lossmith.plot_embedding(*DATA, np.zeros((1, 3))), ShapeError, "3 features"),
        (lambda: lossmith.plot_embedding(*DATA, axes="here"), InputError, "matplotlib Axes"),
        (lambda: lossmith.plot_decision_boundary("m", *DATA), InputError, "str is no model"),
        (
            lambda: lossmith.plot_decision_boundary(lambda x: x[:1], *DATA),
            ShapeError,
            "to every row",
        ),
        (
            lambda: lossmith.plot_decision_boundary(lambda x: x[:, 0] / 0, *DATA),
            InputError,
            "not finite on the grid",
        ),
        (
            lambda: lossmith.plot_decision_boundary(len, *DATA, columns=(0, 2)),
            InputError,
            "two of the features",
        ),
        (
            lambda: lossmith.plot_landscape(small(), lossmith.CrossEntropy(), [1, 2]),
            InputError,
            r"\(inputs, target\)",
        ),
        (
            lambda: lossmith.plot_landscape(nn.BatchNorm1d(4), lossmith.CrossEntropy(), PAIR),
            InputError,
            "no weight matrix",
        ),
        (
            lambda: lossmith.plot_landscape(
                small(), lossmith.CrossEntropy(reduction="none"), PAIR
            ),
            InputError,
            "needs one number",
        ),
        (
            lambda: lossmith.plot_landscape(small(), lambda p, t: p.sum() / 0, PAIR),
            InputError,
            "no landscape",
        ),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:(divide|invalid)")
def test_pictures_say_what_is_wrong(call: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        call()


def test_pictures_are_headless_and_load_matplotlib_late() -> None:
    code = (
        "import sys, lossmith; plot = lossmith.plot; late = 'matplotlib' not in sys.modules\n"
        "lossmith.plot('l2'); print(late, 'matplotlib.pyplot' in sys.modules)\n"
        "for name in [*sys.modules]:\n"
        "    if name.startswith('matplotlib'): del sys.modules[name]\n"
        "sys.modules['matplotlib'] = None\n"
        "try: lossmith.plot_embedding([[0, 0]], [0])\n"
        "except lossmith.UnsupportedError as error: print(error)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    first, second = found.stdout.splitlines()
    assert first == "True False", found.stderr
    assert "pip install 'lossmith[lab]'" in second
