"""A real headless Chromium, driven over its debugging pipe; tests that use it skip where none is installed."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), " ": (32, " ")}
# Chromium reads from 3 and writes to 4.
CONNECT = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """A headless Chromium with one tab: `requests` are the URLs it asked for, `complaints` its errors."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-c", CONNECT, str(theirs_in), str(theirs_out)),
                *(CHROMIUM, *FLAGS, f"--user-data-dir={profile}"),
            ],
            pass_fds=(theirs_in, theirs_out),
            start_new_session=True,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._read = os.fdopen(self._in, "rb", buffering=0)
        self._left = b""
        self._number = 0
        self._session: str | None = None
        self.requests: list[str] = []
        self.complaints: list[Any] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command; what the page does meanwhile is noted."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        command |= {"sessionId": self._session} if self._session else {}
        os.write(self._out, json.dumps(command).encode() + b"\0")
        while (message := self._receive()).get("id") != self._number:
            self._note(message)
        assert "error" not in message, message
        return message["result"]

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            more = self._read.read(1 << 20)
            assert more, "Chromium has ended"
            self._left += more
        first, _, self._left = self._left.partition(b"\0")
        return json.loads(first)

    def _note(self, message: dict[str, Any]) -> None:
        told = message.get("params", {})
        if message["method"] == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        if message["method"] in ("Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(told)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; a promise is awaited."""
        told = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until the JavaScript `condition` holds, for at most 20 seconds."""
        look = f"const look = () => ({condition}) ? done(true) : Date.now() > end ? done(false) : setTimeout(look, 20)"
        assert self.run(f"new Promise((done) => {{ const end = Date.now() + 20000; {look}; look(); }})"), condition

    def open(self, url: str) -> None:
        """Go to `url` and wait until the page has asked for the ladder, or told why it could not."""
        self.send("Page.navigate", url=url)
        self.wait("location.href !== 'about:blank' && document.readyState === 'complete'")
        self.wait("!document.getElementById('ladder').hidden || document.getElementById('problem').textContent")

    def press(self, key: str, modifiers: int = 0) -> None:
        """A key of KEYS down and up; modifiers 2 is Ctrl."""
        code, text = KEYS[key]
        known = {"key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        self.send(
            "Input.dispatchKeyEvent", type="keyDown", **known, **({"text": text} if text and not modifiers else {})
        )
        self.send("Input.dispatchKeyEvent", type="keyUp", **known)

    def close(self) -> None:
        """End the browser and all its processes."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._read.close()
        os.close(self._out)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    chromium.requests.clear()
    chromium.complaints.clear()
    return chromium
