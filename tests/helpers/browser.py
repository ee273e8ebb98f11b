"""A headless Chromium for pages, and what they must not do in it."""

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


def until(tab: Any, expression: str, within_s: float = 20.0) -> None:
    """Wait until something holds in a page, whose policy forbids the driver's own waiting."""
    end = time.monotonic() + within_s
    while not tab.evaluate(expression):
        assert time.monotonic() < end, f"{expression}: not within {within_s} s"
        tab.wait_for_timeout(50)


@contextlib.contextmanager
def opened(page: Path) -> Iterator[Any]:
    """A page from disk; at the end it must have asked for nothing and complained of nothing."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no Chromium: install the Debian package chromium")
    arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--mute-audio"]
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=arguments)
        try:
            tab = browser.new_page(viewport={"width": 390, "height": 800})
            asked: list[str] = []
            said: list[str] = []
            tab.on("request", lambda request: asked.append(request.url))
            tab.on("console", lambda message: said.append(message.text))
            tab.on("pageerror", lambda error: said.append(str(error)))
            tab.goto(page.as_uri())
            yield tab
            assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
            assert said == []
        finally:
            browser.close()
