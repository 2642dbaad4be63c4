"""The typed page is what the records say now."""

from lossmith.face import stubs


def test_stub_has_not_drifted():
    found = stubs.path().read_text(encoding="utf-8")
    assert found == stubs.write(), "run: python -m lossmith.face.stubs"
