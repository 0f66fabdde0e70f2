"""A browser of the app with the model that ships; each test leaves a screenshot."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browsing import Open, keep_screenshot


@pytest.fixture
def open_page(browser: Browser, server: tuple[str, Path], request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens the app, or one of its pages, in a new window; ``options`` are Playwright's of a context.

    At the end the browser must have complained of nothing, and a screenshot of the page is kept.
    """
    opened: list[Page] = []
    complaints: list[str] = []

    def open_page(path: str = "/", *, address: str = server[0], **options: object) -> Page:
        page = browser.new_context(**({"viewport": {"width": 800, "height": 700}} | options)).new_page()
        page.set_default_timeout(30_000)  # milliseconds
        page.on("console", lambda message: is_status(message.text) or complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address + path)
        opened.append(page)
        return page

    yield open_page
    for page in opened:
        keep_screenshot(page, request.node.name)
        page.context.close()
    assert complaints == []


def is_status(complaint: str) -> bool:
    """Whether a message is about the status of an answer, which the page's script deals with."""
    return complaint.startswith("Failed to load resource")


@pytest.fixture(scope="session")
def bird(goldfinch: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JPEG file of a drawn bird."""
    path = tmp_path_factory.mktemp("photos") / "goldfinch.jpg"
    path.write_bytes(goldfinch)
    return path
