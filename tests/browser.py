"""A headless browser, driven by the WebDriver protocol, which is JSON over HTTP: no library is needed for one test."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

CHROMIUM = next((path for name in ("chromium", "google-chrome", "chrome") if (path := shutil.which(name))), None)
DRIVER = shutil.which("chromedriver")

_QUIET = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"]


class Browser:
    """Chromium without a screen, for ``with``.

    Args:
        profile: an empty folder.
        size: of the window.
    """

    def __init__(self, profile: Path, size: tuple[int, int] = (1440, 1000)) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        assert DRIVER is not None and CHROMIUM is not None
        self._root = f"http://127.0.0.1:{port}"
        self._driver = subprocess.Popen([DRIVER, f"--port={port}"], stdout=subprocess.DEVNULL)
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-sync", *_QUIET]
        arguments += [f"--window-size={size[0]},{size[1]}", f"--user-data-dir={profile}"]
        options = {"binary": CHROMIUM, "args": arguments}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        try:
            self._await_driver()
            body = {"capabilities": {"alwaysMatch": wanted}}
            self._session = "/session/" + self._call("POST", "/session", body)["sessionId"]
        except BaseException:
            self._driver.kill()
            raise

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._call("DELETE", self._session)
        finally:
            self._driver.terminate()
            self._driver.wait(30)

    def open(self, address: str) -> None:
        """Load a page."""
        self._call("POST", self._session + "/url", {"url": address})

    def run(self, script: str) -> Any:
        """The value that a script returns."""
        return self._call("POST", self._session + "/execute/sync", {"script": script, "args": []})

    def type(self, selector: str, keys: str) -> None:
        """Send keys to an element."""
        query = {"using": "css selector", "value": selector}
        element = next(iter(self._call("POST", self._session + "/element", query).values()))
        self._call("POST", f"{self._session}/element/{element}/value", {"text": keys})

    def press(self, keys: str) -> None:
        """Send keys to whatever has the focus."""
        self._call("POST", f"{self._session}/element/{self._focus()}/value", {"text": keys})

    def focused(self) -> tuple[str, str]:
        """What has the focus: its tag, and its name as a screen reader says it."""
        element = f"{self._session}/element/{self._focus()}"
        # Some versions keep the space between a label and the control inside it.
        return self._call("GET", element + "/name"), self._call("GET", element + "/computedlabel").strip()

    def _focus(self) -> str:
        return str(next(iter(self._call("GET", self._session + "/element/active").values())))

    def until(self, script: str, seconds: float) -> Any:
        """Wait for a script to return something true, and return that."""
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"never true: {script}; the page says {self.complaints()}"
            time.sleep(0.2)
        return value

    def complaints(self) -> list[str]:
        """What the page has written to its console: errors and violations of its policy."""
        return [entry["message"] for entry in self._call("POST", self._session + "/se/log", {"type": "browser"})]

    def wait_for(self, promise: str) -> Any:
        """What a promise of the page becomes."""
        script = f"const done = arguments[arguments.length - 1]; ({promise}).then(done, (error) => done(String(error)))"
        return self._call("POST", self._session + "/execute/async", {"script": script, "args": []})

    def prefer(self, scheme: str) -> None:
        """Turn the system ``light`` or ``dark``, as far as pages see it."""
        wanted = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        body = {"cmd": "Emulation.setEmulatedMedia", "params": wanted}
        self._call("POST", self._session + "/goog/cdp/execute", body)

    def resize(self, size: tuple[int, int]) -> None:
        """Give the window another size, its frame included."""
        self._call("POST", self._session + "/window/rect", {"width": size[0], "height": size[1]})

    def screenshot(self, path: Path) -> None:
        """Write the window as PNG."""
        path.write_bytes(base64.b64decode(self._call("GET", self._session + "/screenshot")))

    def _await_driver(self) -> None:
        for attempt in range(100):
            try:
                self._call("GET", "/status")
                return
            except OSError:
                if attempt == 99:
                    raise
                time.sleep(0.1)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._root + path, data, {"content-type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=300) as response:
            return json.load(response)["value"]
