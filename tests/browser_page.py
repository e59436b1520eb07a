"""A page in a real browser: headless Chromium, spoken to by its DevTools protocol, ended by its process id.

Protocol: https://chromedevtools.github.io/devtools-protocol/, domains Target, Page, Runtime, Input, Emulation, Network.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

#: Programs that speak the protocol, the likeliest first.
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge")
_SECONDS = 60


class Browser:
    """A browser and one page of it at a time.

    Attributes
    ----------
    complaints
        What the console of the page now open said as a warning or an error, and exceptions of its scripts.
    requests
        URLs that it asked for, without those that are part of the page.
    """

    def __init__(self, program: str, profile: Path) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._count = 0
        self._session = ""
        self._log = (profile / "stderr.log").open("wb")
        self._process = subprocess.Popen(
            [
                program,
                "--headless=new",
                "--remote-debugging-port=0",
                "--no-sandbox",
                "--no-first-run",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--force-color-profile=srgb",
                "--hide-scrollbars",
                f"--user-data-dir={profile}",
                "about:blank",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
        )
        try:
            self._run(self._connect(self._address(profile)))
        except BaseException:
            self._end()
            raise

    def _address(self, profile: Path) -> str:
        """Return where the browser listens; it writes that into its profile."""
        file = profile / "DevToolsActivePort"
        until = time.monotonic() + _SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            lines = file.read_text().splitlines() if file.is_file() else []
            if len(lines) == 2:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            time.sleep(0.05)
        raise RuntimeError("the browser did not start: " + (profile / "stderr.log").read_text(errors="replace")[-2000:])

    async def _connect(self, address: str) -> None:
        import aiohttp

        self._client = aiohttp.ClientSession()
        self._socket = await self._client.ws_connect(address, max_msg_size=0)

    def _run(self, coroutine: Any) -> Any:
        return self._loop.run_until_complete(asyncio.wait_for(coroutine, _SECONDS))

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call one method of the protocol, of the page that is open, and return its result."""
        result: dict[str, Any] = self._run(self._call(method, parameters))
        return result

    async def _call(self, method: str, parameters: dict[str, Any]) -> Any:
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session and not method.startswith(("Target.", "Browser.")):
            message["sessionId"] = self._session
        await self._socket.send_json(message)
        while True:
            answer = await self._socket.receive_json()
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self._note(answer.get("method", ""), answer.get("params", {}))

    def _note(self, event: str, told: dict[str, Any]) -> None:
        if event == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(told["args"]))
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(told["exceptionDetails"]))
        elif event == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.complaints.append(told["entry"]["text"])
        elif event == "Network.requestWillBeSent" and not told["request"]["url"].startswith("data:"):
            self.requests.append(told["request"]["url"])

    def open(
        self, path: Path, *, width: int = 1300, height: int = 900, dark: bool = False, script: bool = True
    ) -> None:
        """Open a file in a new page, with the network off, and wait until all of it is there."""
        self.close_page()
        self.complaints.clear()
        self.requests.clear()
        self._target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=self._target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": _scheme(dark)}])
        self.resize(width, height)
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait_for("location.protocol === 'file:' && document.readyState === 'complete'")
        self.wait_for("[...document.images].every(image => image.complete)")

    def close_page(self) -> None:
        """Close the page that is open, if one is."""
        if self._session:
            self.call("Target.closeTarget", targetId=self._target)
            self._session = ""

    def resize(self, width: int, height: int) -> None:
        """Give the page a size in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(json.dumps(found["exceptionDetails"]))
        return found["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until an expression in the page is true."""
        until = time.monotonic() + _SECONDS
        while not self.evaluate(condition):
            if time.monotonic() > until:
                raise TimeoutError(f"never true: {condition}")
            time.sleep(0.02)

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key, as ``press("ArrowRight", 39)``; `text` is what it writes: ``\\r`` of the enter key."""
        typed = {"text": text} if text else {}
        for kind, more in (("keyDown" if text else "rawKeyDown", typed), ("keyUp", {})):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **more)

    def drag(self, start: tuple[float, float], stop: tuple[float, float]) -> None:
        """Press the mouse at one place of the window and let it go at another; one place is a click."""
        places = [("mouseMoved", start, 0), ("mousePressed", start, 1), ("mouseMoved", stop, 1)]
        for kind, (x, y), held in [*places, ("mouseReleased", stop, 0)]:
            button = "left" if kind != "mouseMoved" or held else "none"
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=held, clickCount=1)

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """Write what the page looks like as a PNG file: all of it, or what the window shows."""
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **self._clip(whole))
        path.write_bytes(base64.b64decode(found["data"]))

    def _clip(self, whole: bool) -> dict[str, Any]:
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}} if whole else {}

    def end(self) -> None:
        """Close the browser."""
        with contextlib.suppress(Exception):
            self._run(self._call("Browser.close", {}))
        with contextlib.suppress(Exception):
            self._run(self._socket.close())
        self._run(self._client.close())
        self._end()

    def _end(self) -> None:
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=10)
        self._log.close()
        self._loop.close()


def _scheme(dark: bool) -> str:
    return "dark" if dark else "light"


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Start a browser, or skip where none is installed."""
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser is installed: none of {', '.join(PROGRAMS)} is on PATH")
    running = Browser(program, tmp_path_factory.mktemp("browser"))
    try:
        yield running
    finally:
        running.end()
