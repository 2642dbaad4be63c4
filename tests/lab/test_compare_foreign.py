"""A folder for the output may hold anything: what no manifest of ours names stays there."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.compare_tools import SMALL, call
from lossmith.errors import InputError
from lossmith.lab.compare import models, owned, report
from lossmith.lab.compare.store import Store

KEYS = [f"clean-r0-f{fold}-l{place}" for fold in range(2) for place in range(2)]
OURS = {
    "settings": {"seed": 0}, "data": "d", "task": "binary", "own losses": None, "own model": None,
    "decided by": {}, "environment": {}, "code": "c",
}  # fmt: skip
OTHER = {**OURS, "settings": {"seed": 1}}
LENT = f"lossmith-data-{'0' * 16}"
# What others may have there: files (a text), folders (None), links (what they lead to).
FOREIGN = {
    "lossmith-data-abc/data": "theirs",
    f"{LENT}/data": "theirs",
    "lossmith-data-notes.txt": "theirs",
    "trials/notes.json": "theirs",
    "trials/sub/deep.json": "theirs",
    "trials/label_noise=0.4-r0-f0-l0.json": "theirs",
    f"trials/.{KEYS[0]}.json.part": "theirs",
    "manifest.json.bak": "theirs",
    "lock": "theirs",
    "notes.txt": "theirs",
}
MANIFESTS = ("{}", "[]", '{"name": "an app", "icons": []}', "no JSON", "", "[" * 100_000)


def contents(folder: Path) -> dict[str, str | None]:
    """Everything in a folder: texts of files, where links lead."""
    found: dict[str, str | None] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"
        elif path.is_file():
            found[name] = path.read_text()
    return found


def put(folder: Path, name: str, text: str = "theirs") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def run(folder: Path, manifest: dict, fresh: bool, results: dict[str, dict]) -> dict:
    """What a comparison does with its folder, without the trainings."""
    store = Store(folder, manifest, KEYS)
    with store.opened(fresh):
        found = store.load()
        with store.lent() as lent:
            (lent / "data").write_text("rows")
        for key, result in results.items():
            store.save(key, result)
        return found


def done(value: int) -> dict:
    return {"status": "done", "value": value}


def killed(folder: Path, manifest: dict) -> None:
    """A run that was killed while it lent its data and wrote a trial."""
    run(folder, manifest, False, {KEYS[0]: done(0)})
    path = folder / "manifest.json"
    named = json.loads(path.read_text())
    path.write_text(json.dumps({**named, "lent": [f"lossmith-data-{'f' * 16}"]}))
    put(folder, f"lossmith-data-{'f' * 16}/data", "ours")
    put(folder, f"trials/.{KEYS[1]}.json.{'f' * 16}.part", "ours")


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.data())
def test_nothing_of_another_is_removed_or_changed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    home = tmp_path_factory.mktemp("foreign")
    folder, outside = home / "out", home / "outside"
    put(outside, "precious.json", '{"status": "done"}')
    put(outside, f"{KEYS[0]}.json", '{"status": "done"}')
    folder.mkdir(mode=0o700)
    before_us = data.draw(st.sampled_from(["nothing", "ours", "another's", "killed"]))
    if before_us == "killed":
        killed(folder, OURS)
    elif before_us != "nothing":
        run(folder, OURS if before_us == "ours" else OTHER, False, {KEYS[0]: done(0)})
    chosen = data.draw(st.sets(st.sampled_from(sorted(FOREIGN)), max_size=4))
    for name in sorted(chosen):
        put(folder, name)
    twist = data.draw(
        st.sampled_from(["none", "linked trial", "linked trials", "linked lock", "manifest"])
    )
    if twist == "linked trial":
        put(folder, f"trials/{KEYS[1]}.json")
        (folder / f"trials/{KEYS[1]}.json").unlink()
        (folder / f"trials/{KEYS[1]}.json").symlink_to(outside / f"{KEYS[0]}.json")
    elif twist == "linked trials" and not (folder / "trials").exists():
        (folder / "trials").symlink_to(outside)
    elif twist == "linked lock" and not (folder / "lock").exists():
        (folder / "lock").symlink_to(outside / "precious.json")
    elif twist == "manifest":
        put(folder, "manifest.json", data.draw(st.sampled_from(MANIFESTS)))
    foreign = {
        name: text
        for name, text in contents(home).items()
        if name.startswith("outside/")
        or name.removeprefix("out/") in chosen
        or (text or "").startswith("->")
        or (twist == "manifest" and name == "out/manifest.json")
    }
    for fresh in data.draw(st.lists(st.booleans(), min_size=1, max_size=3)):
        with suppress(InputError):
            found = run(folder, OURS, fresh, {KEYS[1]: done(1)})
            assert found.items() <= {KEYS[0]: done(0), KEYS[1]: done(1)}.items()
            if fresh:
                assert found == {}
        after = contents(home)
        assert {name: after.get(name) for name in foreign} == foreign


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.data())
def test_a_hostile_manifest_leads_nowhere(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    home = tmp_path_factory.mktemp("hostile")
    folder = home / "out"
    for name in (
        "x.json",
        "x/data",
        "out/x/data",
        "out/data",
        "out/keep.json",
        "out/trials/keep.json",
    ):
        put(home, name)
    (folder / LENT).symlink_to(home / "x")
    put(folder, f"lossmith-data-{'1' * 16}/more.txt")
    (folder / f"trials/{KEYS[2]}.json").symlink_to(home / "x.json")
    bad = st.sampled_from(
        ["../../x", "../x", "..", ".", "", "/", str(home / "x"), "x", "keep", "lossmith-data-",
         "lossmith-data-../x", LENT, f"lossmith-data-{'1' * 16}", f"{LENT}/../../x", KEYS[2],
         f"{KEYS[0]}/../keep", "keep\x00", None, 3, ["x"], {"x": "x"}]
    )  # fmt: skip
    names = {what: data.draw(bad | st.lists(bad, max_size=4)) for what in ("trials", "lent")}
    put(folder, "manifest.json", json.dumps({**OURS, **names}))
    (folder / "lock").touch()
    before = contents(home)
    with_links = data.draw(st.booleans())
    with pytest.raises(InputError, match="move it away"):  # one of the trials is a link
        run(folder, OURS, with_links, {})
    after = contents(home)
    for name in before.keys() - {"out/manifest.json"}:
        assert after.get(name) == before[name], name


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    killed(folder, OURS)
    assert run(folder, OURS, False, {}) == {KEYS[0]: done(0)}
    assert sorted(contents(folder)) == ["lock", "manifest.json", f"trials/{KEYS[0]}.json"]
    assert run(folder, OURS, True, {}) == {}
    assert sorted(contents(folder)) == ["lock", "manifest.json"]


def test_the_command_removes_nothing_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without --fresh, beside a finished comparison and in a folder that is not ours."""
    monkeypatch.setattr(report, "page", lambda record: '<meta content="lossmith compare">')
    words = ["iris", *SMALL, "--folds", "2", "--epochs", "1", "--outliers", "0", "--losses"]
    place = ["hinge", "--jobs", "1", "--output", str(tmp_path / "out")]
    foreign = ("lossmith-data-mine/a.csv", "trials/mine.json", "trials/sub/b.json")
    for name in foreign:
        put(tmp_path, f"strange/{name}")
        put(tmp_path, f"out/{name}") if not name.startswith("trials") else None
    assert call(*words, *place).exit_code == 0
    for name in foreign:
        put(tmp_path, f"out/{name}")
    for fresh in ([], ["--fresh"]):
        assert call(*words, *place, *fresh).exit_code == 0
        strange = call(*words, *place[:-1], str(tmp_path / "strange"), *fresh)
        assert strange.exit_code == 2
        assert "move them away" in strange.stderr
        for name in foreign:
            assert (tmp_path / "out" / name).read_text() == "theirs"
            assert (tmp_path / "strange" / name).read_text() == "theirs"


def test_a_trial_of_another_comparison_or_of_another_name_counts_as_none(tmp_path: Path) -> None:
    """Put there by hand or left behind: {"status": "done"} was enough to be believed."""
    one, two = tmp_path / "one", tmp_path / "two"
    run(one, OURS, False, {KEYS[0]: done(0)})
    run(two, OTHER, False, {KEYS[1]: done(1), KEYS[2]: done(2)})
    for source, target in ((two, KEYS[1]), (one, KEYS[3])):
        text = (source / f"trials/{KEYS[1] if source == two else KEYS[0]}.json").read_text()
        (one / f"trials/{target}.json").write_text(text)
    (one / f"trials/{KEYS[2]}.json").write_text('{"status": "done"}')
    assert run(one, OURS, False, {}) == {KEYS[0]: done(0)}


def test_a_folder_that_goes_while_trials_run_is_an_error_in_words(tmp_path: Path) -> None:
    store = Store(tmp_path / "out", OURS, KEYS)
    with store.opened(False):
        (tmp_path / "out").rename(tmp_path / "gone")
        with pytest.raises(InputError, match="cannot write"):
            store.save(KEYS[0], done(0))
        (tmp_path / "gone").rename(tmp_path / "out")


def test_data_are_lent_where_nobody_else_can_put_others_in_their_place(tmp_path: Path) -> None:
    """Processes unpickle them, which can run code."""
    folder = tmp_path / "out"
    store = Store(folder, OURS, KEYS)
    with store.opened(False):
        folder.chmod(0o700)
        with store.lent() as lent:
            assert lent.parent == folder
            assert lent.stat().st_mode & 0o777 == 0o700
        folder.chmod(0o777)
        with store.lent() as lent:
            assert folder not in lent.parents
            assert lent.stat().st_mode & 0o077 == 0
        assert not lent.exists()


def test_a_file_and_a_module_are_executed_only_when_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    text = "from pathlib import Path\nPath('ran').touch()\ndef loss(score, target): return score\n"
    put(tmp_path, "executed_when_named.py", text)
    assert models.text_of("mlp") is None
    assert owned.text_of("executed_when_named.py") == text
    assert not Path("ran").exists()
    assert models.text_of("executed_when_named:loss") == text
    assert Path("ran").exists()
    Path("ran").unlink()
    assert list(owned.losses(text, "executed_when_named.py")) == ["loss"]
    assert Path("ran").exists()


def test_conditions_of_one_name_are_refused() -> None:
    """Their trials would be one file, and the second condition a copy of the first."""
    from lossmith.lab.compare import conditions

    for shares in ((0.4, 0.4), (0.4, 0.40000001)):
        with pytest.raises(InputError, match="twice"):
            conditions.read(shares, (), ())
        with pytest.raises(InputError, match="twice"):
            conditions.read((), (), tuple(10 * share for share in shares))
