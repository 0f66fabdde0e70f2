"""A browser of the app with the model that ships, or with a stand-in; each test leaves a screenshot."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from inference.sandbox import Sandbox
from tests.support import seam
from tests.support.browsing import Open, Serve, keep_screenshot
from tests.support.seam import ColorClassifier
from web.model_info import ModelInfo


@pytest.fixture
def open_page(browser: Browser, server: tuple[str, Path], request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens the app, or one of its pages, in a new window; ``options`` are Playwright's of a context.

    The window gets a service worker only with ``service_workers="allow"``: that would stand between the others and what
    they look at. At the end the browser must have complained of nothing, and a screenshot of the page is kept.
    """
    opened: list[Page] = []
    complaints: list[str] = []

    def open_page(path: str = "/", *, address: str = server[0], **options: object) -> Page:
        defaults = {"viewport": {"width": 800, "height": 700}, "service_workers": "block"}
        page = browser.new_context(**(defaults | options)).new_page()
        page.set_default_timeout(30_000)  # milliseconds
        page.on("console", lambda message: is_expected(message.text) or complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address + path)
        opened.append(page)
        return page

    yield open_page
    for page in opened:
        keep_screenshot(page, request.node.name)
        page.context.close()
    assert complaints == []


def is_expected(complaint: str) -> bool:
    """Whether a message is about the status of an answer, which the page's script deals with, or a service worker."""
    return complaint.startswith(("Failed to load resource", "Service Worker registration blocked by Playwright"))


@pytest.fixture(scope="session")
def bird(goldfinch: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JPEG file of a drawn bird."""
    path = tmp_path_factory.mktemp("photos") / "goldfinch.jpg"
    path.write_bytes(goldfinch)
    return path


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A decoder process."""
    sandbox = Sandbox()
    sandbox.start()
    yield sandbox
    sandbox.stop()


@pytest.fixture
def serve(tmp_path: Path, sandbox: Sandbox) -> Iterator[Serve]:
    """Serves the app with a stand-in for the network, what it knows of its model, and settings; returns its address."""
    with ExitStack() as stack:

        def serve(classifier: ColorClassifier, *, model_info: ModelInfo | None = None, **settings: str) -> str:
            app = seam.new_application(tmp_path / "uploads", **settings).application
            seam.install(app, sandbox, classifier, model_info=model_info)
            return stack.enter_context(seam.served(app))

        yield serve
