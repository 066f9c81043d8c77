"""A real Chromium, driven by Playwright, on a console that is made up."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import geteuid
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from dstk_doctor import Facts
from dstk_metrics.console.server import ConsoleServer
from kit import console
from kit.fake_metrics import FakeMetrics

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
WIDE, NARROW = (3840, 2160), (1280, 800)


def chromium() -> str:
    """The path of a Chromium. Raises AssertionError where there is none."""
    found = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    assert found, (
        f"none of {', '.join(PROGRAMS)} is on PATH: install one, such as Debian's chromium, and run `make observe`"
    )
    return found


@contextmanager
def launched() -> Iterator[Browser]:
    """A browser without a window."""
    options = ["--no-sandbox"] if geteuid() == 0 else []  # Chromium has no sandbox for root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=options)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Opened:
    """A page of a console. `wrong`: what the browser complained about, and what left for another server."""

    page: Page
    server: ConsoleServer
    api: FakeMetrics
    wrong: list[str] = field(default_factory=list)

    def go(self, view: str) -> Page:
        """Opens a view, and waits until it has data."""
        self.page.goto(f"http://{self.server.address}/#/{view}")
        self.page.wait_for_selector(f"[data-view={view.partition('?')[0]}]")
        return self.page

    def call(self, method: str, request: dict[str, Any] | None = None) -> Any:
        """What an RPC answers, asked by the page's own browser."""
        script = "async ([method, request]) => (await import('/js/api.js')).call(method, request)"
        return self.page.evaluate(script, [method, request or {}])

    def forgive(self, status: str) -> None:
        """Leaves out the browser's complaints about answers with this status, which the test caused."""
        self.wrong = [each for each in self.wrong if f"status of {status}" not in each]

    def written(self, how: str, value: Any) -> str:
        """A value as the page writes it: `how` is a function of format.js."""
        script = "async ([how, value]) => (await import('/js/format.js'))[how](value)"
        return str(self.page.evaluate(script, [how, value]))


@contextmanager
def opened(
    browser: Browser,
    api: FakeMetrics,
    facts: Callable[[], Facts] = console.well,
    *,
    size: tuple[int, int] = NARROW,
    dark: bool = False,
) -> Iterator[Opened]:
    """A page of a console of its own. Raises AssertionError at the end if the browser complained."""
    with console.in_thread(api, facts) as server:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light", timezone_id="UTC"
        )
        made = Opened(context.new_page(), server, api)
        _watch(made)
        try:
            yield made
        finally:
            context.close()
        assert not made.wrong, made.wrong


def _watch(made: Opened) -> None:
    page, home = made.page, f"http://{made.server.address}/"
    page.set_default_timeout(30_000)
    page.on("pageerror", lambda error: made.wrong.append(f"error: {error}"))
    page.on("console", lambda line: made.wrong.append(f"console: {line.text}") if line.type == "error" else None)
    page.on(
        "request",
        lambda request: None if request.url.startswith((home, "data:", "blob:")) else made.wrong.append(request.url),
    )
