"""A headless Chromium for tests, over the DevTools protocol and the standard library alone."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 60.0  # seconds for an answer, on a machine that is busy
# Chromium reads commands from descriptor 3 and answers on 4.
_START = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(n), fcntl.F_DUPFD, 10) for n in sys.argv[1:3])
os.dup2(read, 3), os.dup2(write, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def program() -> str | None:
    """Where a browser is, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """A tab: commands, what they answer, and what the browser reported meanwhile."""

    def __init__(self, read: int, write: int) -> None:
        self.read, self.write = read, write
        self.events: list[dict[str, Any]] = []
        self.rest, self.count, self.session = b"", 0, ""
        tab = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
        for part in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{part}.enable")

    def ask(self, method: str, **given: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": given}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") == self.count:
                assert "error" not in found, (method, found["error"])
                return dict(found["result"])
            self.events.append(found)

    def open(self, path: Path) -> None:
        """Load a file, and wait until it is there."""
        before = len(self.events)
        self.ask("Page.navigate", url=path.as_uri())
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events[before:]):
            self.events.append(self._next())

    def value(self, script: str) -> Any:
        """What a JavaScript expression gives."""
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key: str, code: int, text: str = "") -> None:
        """A key of a person's keyboard, which scripts cannot tell from a real one."""
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.ask(
                "Input.dispatchKeyEvent",
                **{"type": kind, "key": key, "windowsVirtualKeyCode": code, **more},
            )

    def complaints(self) -> list[str]:
        """Errors and warnings of the console: exceptions, refused requests, broken rules."""
        found = []
        for event in self.events:
            given = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(json.dumps(given["exceptionDetails"]))
            if event.get("method") == "Log.entryAdded" and given["entry"]["level"] != "info":
                found.append(given["entry"]["text"])
            if event.get("method") == "Runtime.consoleAPICalled":
                found.append(json.dumps(given["args"]))
        return found

    def requests(self) -> list[str]:
        """Every address that was asked for."""
        asked = [e for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in asked]

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.read], [], [], max(0.0, end - time.monotonic()))
            block = os.read(self.read, 1 << 16) if ready else b""
            assert block, f"the browser has said nothing for {PATIENCE:g} s, or is gone"
            self.rest += block
        text, _, self.rest = self.rest.partition(b"\0")
        return dict(json.loads(text))


@contextmanager
def page(chromium: str, home: Path) -> Iterator[Page]:
    """A tab of a browser of its own, whose settings lie in `home`."""
    their_read, our_write = os.pipe()
    our_read, their_write = os.pipe()
    words = [sys.executable, "-S", "-c", _START, str(their_read), str(their_write), chromium]
    words += ["--headless", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe"]
    words += ["--disable-background-networking", f"--user-data-dir={home}"]
    if os.geteuid() == 0:
        words.append("--no-sandbox")  # Chromium's own condition for running as root
    with subprocess.Popen(
        words,
        pass_fds=(their_read, their_write),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(their_read)
        os.close(their_write)
        try:
            yield Page(our_read, our_write)
        finally:
            os.close(our_write)  # the browser ends with the pipe
            os.close(our_read)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
