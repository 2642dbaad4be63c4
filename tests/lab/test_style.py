"""One look for one loss: colours that every eye tells apart, and the same look in every picture."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lossmith.formula.ledger import DIVERGENCES, LEDGER
from lossmith.lab.page import drawing
from lossmith.lab.picture import canvas, curves, style
from lossmith.lab.picture.style import DARK, LIGHT, Theme

# How linear RGB looks to eyes without one kind of cone: Machado et al. 2009,
# doi:10.1109/TVCG.2009.113, severity 1.
VISIONS = {
    "all cones": np.eye(3),
    "no long": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "no middle": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "no short": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
PAPER = {"light": "#fcfcfa", "dark": "#14181c"}  # behind the cards
THEMES = {"light": LIGHT, "dark": DARK}
Array = NDArray[np.float64]


def linear(colour: str) -> Array:
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(one: str, two: str) -> float:
    """WCAG 2.2, relative luminance."""
    low, high = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, two))
    return (high + 0.05) / (low + 0.05)


def lab(rgb: Array) -> Array:
    """CIELAB, D65."""
    to_xyz = [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
    t = np.array(to_xyz) @ np.clip(rgb, 0, 1) / [0.95047, 1.0, 1.08883]
    x, y, z = np.where(t > 216 / 24389, np.cbrt(t), (24389 / 27 * t + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def difference(one: Array, two: Array) -> float:
    """CIEDE2000, as Sharma, Wu and Dalal 2005, doi:10.1002/col.20070, write it."""
    (l1, a1, b1), (l2, a2, b2) = one, two
    c7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    g = (1 - np.sqrt(c7 / (c7 + 25.0**7))) / 2
    a1, a2 = a1 * (1 + g), a2 * (1 + g)
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360
    turn = 0.0 if c1 * c2 == 0 else (h2 - h1 + 180) % 360 - 180
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    hue = h1 + h2 if c1 * c2 == 0 else (h1 + turn / 2) % 360
    k = 1 - 0.17 * np.cos(np.radians(hue - 30)) + 0.24 * np.cos(np.radians(2 * hue))
    k += 0.32 * np.cos(np.radians(3 * hue + 6)) - 0.2 * np.cos(np.radians(4 * hue - 63))
    of_l = (l2 - l1) / (1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2))
    of_c = (c2 - c1) / (1 + 0.045 * chroma)
    of_h = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * chroma * k)
    r = 2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7))
    r *= np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2))))
    return float(np.sqrt(of_l**2 + of_c**2 + of_h**2 - r * of_c * of_h))


@pytest.mark.parametrize(
    ("one", "two", "wanted"),
    [  # from the paper's table of test data
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ],
)
def test_the_measure_is_that_of_the_paper(one: Any, two: Any, wanted: float) -> None:
    assert difference(np.array(one, float), np.array(two, float)) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("name", THEMES)
def test_every_series_stands_out_from_its_page(name: str) -> None:
    theme: Theme = THEMES[name]
    for colour in theme.series:
        assert contrast(colour, theme.card) >= 3, colour
        assert contrast(colour, PAPER[name]) >= 3, colour
    for colour in (theme.ink, theme.muted):
        assert contrast(colour, theme.card) >= 4.5


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("name", THEMES)
def test_hues_stay_apart_for_every_eye(name: str, vision: str) -> None:
    series = THEMES[name].series
    seen = [lab(VISIONS[vision] @ linear(colour)) for colour in series]
    for j, k in itertools.combinations(range(len(seen)), 2):
        least = 20 if max(j, k) < style.APART else 12
        assert difference(seen[j], seen[k]) >= least, (series[j], series[k])


def test_a_hue_keeps_its_character_on_the_dark_page() -> None:
    for light, dark in zip(LIGHT.series[1:], DARK.series[1:], strict=True):
        (_, *one), (_, *two) = (lab(linear(colour)) for colour in (light, dark))
        turned = np.degrees(np.arctan2(one[1], one[0]) - np.arctan2(two[1], two[0]))
        assert abs((turned + 180) % 360 - 180) <= 30, (light, dark)


@pytest.mark.parametrize("families", [("residual",), ("margin", "probability"), ("divergence",)])
def test_losses_that_may_meet_look_different(families: tuple[str, ...]) -> None:
    names = [n for n, r in (LEDGER | DIVERGENCES).items() if r.family in families]
    # The baselines of two tasks are the same loss, with one class more or less.
    plain = [n for n in names if style.look(n).hue == 0]
    assert set(plain) <= {"l2", "cross_entropy", "binary_cross_entropy"}
    rest = [style.look(n) for n in names if n not in plain]
    assert len({(k.hue, k.dash) for k in rest}) == len({(k.hue, k.mark) for k in rest}) == len(rest)
    assert all(k.hue < style.APART for k in rest)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.booleans(), st.data())
def test_a_loss_looks_the_same_in_any_company_and_no_two_look_alike(
    residual: bool, data: st.DataObject
) -> None:
    known = [
        name for name, record in LEDGER.items()
        if (record.family == "residual") == residual and name != "binary_cross_entropy"
    ]  # fmt: skip
    company = st.lists(st.sampled_from([*known, "mine", "yours"]), min_size=1, max_size=20)
    kept = data.draw(company)
    made = style.looks(kept)
    assert len({(k.hue, k.dash) for k in made}) == len(kept)
    for name in {*kept} & {*LEDGER}:
        places = [k for k, other in enumerate(kept) if other == name]
        assert made[places[0]] == style.look(name)
        if len(kept) <= 4 and len({*kept}) > 1:  # other parameters: the hue says the loss
            assert len({made[k].hue for k in places}) == 1


def test_a_sweep_of_one_loss_has_a_hue_for_each_curve() -> None:
    made = style.looks(["focal"] * 5)
    assert len({k.hue for k in made}) == 5


def test_plots_and_pages_draw_a_loss_alike() -> None:
    (ax,) = curves.plot(["l2", "cauchy", "l1"], orders=(0,))
    drawn = {str(line.get_label()).partition("(")[0]: line.get_color() for line in ax.get_lines()}
    for name in ("l2", "cauchy", "l1"):
        assert drawn[name] == style.look(name).colour
    with drawing.style():
        page = str(drawing.svg(ax.figure, "n", "t", "d"))
    for name in ("l2", "cauchy", "l1"):
        assert f"var(--s{style.look(name).hue})" in page.replace("var(--ink)", "var(--s0)")
    assert "stroke: #" not in page


@settings(derandomize=True, deadline=None, max_examples=8)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=9))
def test_names_at_the_ends_of_lines_never_meet(heights: list[float]) -> None:
    with canvas.style():
        figure, (ax,) = canvas.panels(height=4.0)
        for place, height in enumerate(heights):
            ax.plot([0, 1], [0, height], label=f"line {place}")
        canvas.ends(ax)
        figure.draw_without_rendering()
        canvas.ends(ax)  # again: the old names go
        figure.draw_without_rendering()
    assert [text.get_text() for text in ax.texts] == [f"line {k}" for k in range(len(heights))]
    boxes = [text.get_window_extent() for text in ax.texts]
    right = ax.get_window_extent().x1
    assert all(box.x0 > right for box in boxes)
    middles = sorted((b.y0 + b.y1) / 2 for b in boxes)
    apart = np.diff(middles) * 72 / figure.dpi
    assert (apart > canvas.LEADING - 0.1).all()
    # In the order of the lines' ends, top to bottom.
    order = np.argsort([b.y0 for b in boxes], kind="stable")
    assert (np.diff(np.array(heights)[order]) >= -1e-9).all()
