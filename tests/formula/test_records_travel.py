"""Records are pickled by their place and copied as themselves, as functions are."""

import copy
import pickle
import sys
import types
from typing import Any

import pytest

import lossmith
from lossmith.errors import UnsupportedError
from lossmith.formula import penalty
from lossmith.formula.ledger import DIVERGENCES, LEDGER
from lossmith.formula.record import Formula

RECORDS = [*LEDGER.values(), *DIVERGENCES.values()]
RECORDS += [r for r in vars(penalty).values() if isinstance(r, Formula)]


@lossmith.residual
def mine(u: Any, c: lossmith.Positive = 2.0) -> Any:
    return u**2 / (c + u**2)


class Shelf:
    @staticmethod
    @lossmith.margin
    def inner(u: Any) -> Any:
        return lossmith.primitives.softplus(-u)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_record_is_the_same_record(protocol: int) -> None:
    for record in [*RECORDS, mine.formula, Shelf.inner.formula]:
        assert pickle.loads(pickle.dumps(record, protocol)) is record


def test_a_copied_record_is_itself() -> None:
    for record in [*RECORDS, mine.formula]:
        assert copy.copy(record) is record
        assert copy.deepcopy({"a": [record]})["a"][0] is record


def test_a_record_that_cannot_be_found_again_says_so() -> None:
    @lossmith.residual
    def hidden(u: Any) -> Any:
        return u**2

    scope: dict[str, Any] = {"lossmith": lossmith}
    exec("@lossmith.residual\ndef placeless(u): return u**2", scope)
    for loss in (hidden, scope["placeless"]):
        with pytest.raises(UnsupportedError, match="at the top of a module"):
            pickle.dumps(loss.formula)
        assert copy.deepcopy(loss.formula) is loss.formula


def test_another_loss_of_that_name_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("shelf_of_losses")
    monkeypatch.setitem(sys.modules, "shelf_of_losses", module)
    source = "import lossmith\n@lossmith.residual\ndef twice(u): return u**2"
    exec(source, vars(module))
    first = module.twice.formula
    kept = pickle.dumps(first)
    assert pickle.loads(kept) is first
    exec(source, vars(module))
    with pytest.raises(UnsupportedError, match="no twice that is this loss"):
        pickle.dumps(first)
    del module.twice
    with pytest.raises(AttributeError, match="twice"):
        pickle.loads(kept)
