"""A headless browser, driven over the DevTools protocol: what it shows, says and asks for."""

import asyncio
import base64
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

# So long a page may take for anything: the machine may be busy.
PATIENCE = 90.0


class Browser:
    """One page of a browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._session: str | None = None
        self.faults: list[str] = []
        self.requests: list[str] = []
        self.expected: tuple[str, ...] = ()

    async def begin(self) -> None:
        """Open the page."""
        self._task = asyncio.create_task(self._read())
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask the browser for something."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        answer = self._waiting[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send_str(json.dumps(message))
        return await asyncio.wait_for(answer, PATIENCE)

    async def _read(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            answer = self._waiting.pop(told.get("id", 0), None)
            if answer is not None:
                if answer.cancelled():
                    continue
                if "error" in told:
                    answer.set_exception(RuntimeError(told["error"]["message"]))
                else:
                    answer.set_result(told["result"])
            elif "method" in told:
                self._note(told["method"], told.get("params", {}))

    def _note(self, method: str, about: dict[str, Any]) -> None:
        match method:
            case "Runtime.exceptionThrown":
                details = about["exceptionDetails"]
                self.faults.append(details.get("exception", {}).get("description") or details["text"])
            case "Runtime.consoleAPICalled" if about["type"] in ("error", "warning", "assert"):
                self.faults.append(" ".join(str(each.get("value")) for each in about["args"]))
            case "Log.entryAdded" if about["entry"]["level"] in ("error", "warning"):
                entry = about["entry"]
                text = f"{entry['text']} {entry.get('url', '')}"
                if not any(each in text for each in self.expected):
                    self.faults.append(text)
            case "Network.requestWillBeSent":
                self.requests.append(about["request"]["url"])
            case "Page.javascriptDialogOpening":
                self.faults.append(f"a dialog opened: {about['message']}")

    async def run(self, code: str) -> Any:
        """Return what an expression has for its value."""
        found = await self.call("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise AssertionError(found["exceptionDetails"].get("exception", {}).get("description"))
        return found["result"].get("value")

    async def until(self, code: str) -> Any:
        """Wait for an expression to be true, and return it."""
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE
        while True:
            with contextlib.suppress(AssertionError):
                if found := await self.run(code):
                    return found
            if loop.time() > end:
                shown = await self.run("document.body.innerText.slice(0, 3000)")
                raise AssertionError(f"never came true: {code}\nfaults: {self.faults}\nshown: {shown}")
            await asyncio.sleep(0.05)

    async def text(self, selector: str = "main") -> str:
        found: str = await self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")
        return found

    async def look(self, width: int, height: int, theme: str) -> None:
        """Be a screen of that size, whose owner prefers that theme."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        features = [
            {"name": "prefers-color-scheme", "value": theme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        await self.call("Emulation.setEmulatedMedia", features=features)

    async def type(self, selector: str, text: str) -> None:
        """Write into a field, as a person does."""
        where = json.dumps(selector)
        await self.run(f"(() => {{ const e = document.querySelector({where}); e.focus(); e.select?.(); }})()")
        if text:
            await self.call("Input.insertText", text=text)

    async def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key."""
        about = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        await self.call("Input.dispatchKeyEvent", type="keyDown", **about, **({"text": text} if text else {}))
        await self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    async def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Take a picture, of what lies below the screen, too, if it is to be `whole`."""
        found = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))


@asynccontextmanager
async def browser(program: list[str], environment: dict[str, str], directory: Path) -> AsyncIterator[Browser]:
    """Start a browser with a profile of its own in `directory`, and open a page."""
    profile = directory / "profile"
    arguments = [
        *program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio",
        "--hide-scrollbars", "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank",
    ]  # fmt: skip
    with (directory / "browser.log").open("wb") as log:
        process = subprocess.Popen(
            arguments, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        address = await _address(profile / "DevToolsActivePort", process, directory / "browser.log")
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(address, max_msg_size=0, heartbeat=None) as socket,
        ):
            page = Browser(socket)
            await page.begin()
            try:
                yield page
            finally:
                await page.end()
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _address(file: Path, process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Return where it is asked, once it has written both lines of that."""
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE
    while loop.time() < end and process.poll() is None:
        with contextlib.suppress(OSError):
            lines = file.read_text().splitlines()
            if len(lines) >= 2 and lines[1].startswith("/devtools/"):
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        await asyncio.sleep(0.05)
    raise RuntimeError(f"the browser did not start: {log.read_text(errors='replace')[-2000:]}")
