"""Micro-batches and ranks, real processes over gloo: gradients are those of one process."""

import pytest
import torch

from patience import HANG
from risk import normalise_cases as nc
from risk import normalise_rank
from risk.processes import run_ranks

pytestmark = pytest.mark.slow
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}


def expected(engine, micro, world, dtype):
    """One process, the joined batch, the mean divided by hand; by the case's name."""
    model = nc.All(nc.chosen(engine), dtype)
    found = {}
    for one in model.ones:
        with nc.using(engine):
            total, mass = one(*nc.joined(one.case, micro, world, dtype))
            (total / mass).backward()
        for name, p in one.named_parameters():
            found[one.case.name, name] = p.grad
        found[one.case.name, "value"] = (total / mass).detach()
    return found


def distance(found, truth):
    """Largest difference, relative to the largest entry of the truth."""
    scale = truth.abs().max()
    return ((found - truth).abs().max() / torch.where(scale == 0, 1.0, scale)).item()


def by_case(cases, gradients):
    """Under the names of cases, not of their places."""
    places = (name.split(".", 2)[1:] for name in gradients)
    return {
        (cases[int(place)].name, name): gradient
        for (place, name), gradient in zip(places, gradients.values(), strict=True)
    }


@pytest.fixture(scope="module")
def truths():
    """Before the ranks start, so that they find the compiled kernels."""
    return {
        (world, dtype, engine, micro): expected(engine, micro, world, dtype)
        for world in (1, 2, 3)
        for dtype in TOLERANCE
        for engine in normalise_rank.ENGINES
        for micro in normalise_rank.MICRO
    }


@pytest.fixture(scope="module")
def results(truths, tmp_path_factory):
    """Run the ranks to their end, or end them; the rows of FSDP2's gradients put together."""
    ranks = run_ranks(normalise_rank.run, 3, tmp_path_factory.mktemp("ranks"), HANG)
    for key in (key for key in ranks[0] if "FSDP2" in key):
        inside = [rank[key] for rank in ranks[: key[0]]]
        for road in inside[0]:
            whole = {
                name: torch.cat([one[road][name] for one in inside])
                for name, rows in inside[0][road].items()
                if rows.dim()
            }
            for one in inside:
                one[road] |= whole
    return ranks


@pytest.mark.parametrize("wrapper", ["DDP", "FSDP2"])
@pytest.mark.parametrize("engine", normalise_rank.ENGINES)
@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
@pytest.mark.parametrize("world", [1, 2, 3])
def test_gradients_are_those_of_one_process(world, dtype, engine, wrapper, results, truths):
    cases = nc.chosen(engine)
    wrong = []
    for rank in range(world):
        for micro in normalise_rank.MICRO:
            truth = truths[world, dtype, engine, micro]
            for road in "AB":
                found = by_case(cases, results[rank][world, dtype, engine, wrapper][micro, road])
                names = {case.name for case in cases}
                assert found.keys() == {
                    (case, name)
                    for case, name in truth
                    if case in names and (road == "B" or name != "value")
                }
                wrong += [
                    f"{key}: {off:.2e} (road {road}, {micro} micro-batches)"
                    for key, gradient in found.items()
                    if not (off := distance(gradient, truth[key])) <= TOLERANCE[dtype]
                ]
    assert wrong == []


@pytest.mark.parametrize(("world", "micro"), normalise_rank.NAIVE)
def test_the_mean_of_means_is_another_gradient(world, micro, results, truths):
    """By more than 1 %, in every case with a gradient."""
    dtype, engine = torch.float64, "reference"
    cases = nc.chosen(engine)
    found = by_case(cases, results[0][world, dtype, engine, "DDP"][micro, "naive"])
    truth = truths[world, dtype, engine, micro]
    off = {
        case.name: distance(found[key], truth[key])
        for case in cases
        if not case.flat
        for key in [(case.name, "layer.weight")]
    }
    assert {name: far for name, far in off.items() if far <= 0.01} == {}


def test_ranks_may_differ_in_their_number_of_micro_batches(results):
    case = next(case for case in nc.cases() if case.name == "cross_entropy, all")
    one = nc.One(case, torch.float64)
    with nc.using("reference"):
        pairs = [
            one(*case.rows(10 * rank + i, 5 * rank + i, torch.float64))
            for rank in range(3)
            for i in range(rank + 1)
        ]
        (sum(total for total, _ in pairs) / sum(mass for _, mass in pairs)).backward()
    for result in results:
        for road in "AB":
            for name, p in one.named_parameters():
                assert distance(result["uneven"][road][f"ones.0.{name}"], p.grad) <= 1e-10


def test_no_rows_anywhere_give_gradients_of_zero(results):
    for result in results:
        for found in result["nothing"].values():
            assert found
            assert all(not value.any() for value in found.values())  # NaN is not False


def test_models_whose_gradients_do_not_meet_are_refused(results):
    for result in results:
        plain, outside = result["refused"]
        assert "3 ranks, but Linear is neither" in plain
        assert "1 parameter(s) of the optimiser, shapes [(4, 4)], lie outside" in outside
