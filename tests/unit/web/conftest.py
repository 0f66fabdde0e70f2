"""The app with a stand-in for the network (``tests.support.seam``)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image

from inference.sandbox import Sandbox
from jobs import retry_after
from tests.support import seam
from tests.support.drawings import encoded
from web.services import PhotoClassifier


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A decoder process, which all of these tests share."""
    sandbox = Sandbox()
    sandbox.start()
    yield sandbox
    sandbox.stop()


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """The uploads folder of the app."""
    return tmp_path / "uploads"


@pytest.fixture
def app_module(uploads: Path, sandbox: Sandbox) -> ModuleType:
    """``application.py`` with default settings and a stand-in for the network."""
    module = seam.new_application(uploads)
    seam.install(module.application, sandbox)
    return module


@pytest.fixture
def client(app_module: ModuleType) -> FlaskClient:
    """A browser without JavaScript, inside this process."""
    return app_module.application.test_client()


@pytest.fixture
def make_client(uploads: Path, sandbox: Sandbox) -> Callable[..., FlaskClient]:
    """Make a client of an app that differs from the default: see ``seam.new_application`` and ``seam.install``."""

    def make(
        classifier: PhotoClassifier | None = None, *, env: dict[str, str] | None = None, **parts: Any
    ) -> FlaskClient:
        app = seam.new_application(uploads, **(env or {})).application
        seam.install(app, sandbox, classifier, **parts)
        return app.test_client()

    return make


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A small yellow photo, which the stand-in takes for a goldfinch."""
    return encoded(Image.new("RGB", (64, 48), "yellow"), "PNG")


@pytest.fixture(autouse=True)
def everybody_comes_again_after_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of chance, so that the answers of two requests can be compared."""
    monkeypatch.setattr(retry_after, "when_it_is_back", lambda: retry_after.UNAVAILABLE)
