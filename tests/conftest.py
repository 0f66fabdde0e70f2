"""What the tests share."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Browser, sync_playwright

from . import servers
from .drawings import draw_goldfinch, encoded

# The app assumes that its process learns nothing; this one may, and it convolves outside of traced networks.
os.environ["TF_ONEDNN_ASSUME_FROZEN_WEIGHTS"] = "0"

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
#: Without these Chromium asks its makers' servers for updates and the like.
OFFLINE = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
BIRDS = servers.ROOT.parent / "shared" / "birds"


@pytest.fixture(scope="session")
def goldfinch() -> bytes:
    """A JPEG file of a drawn bird."""
    return encoded(draw_goldfinch(), "JPEG")


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """The folder in which ``client`` and servers keep uploads."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    return folder


@pytest.fixture
def client(uploads: Path, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """A browser without JavaScript, inside this process, of the app with the model that ships."""
    from application import application

    monkeypatch.setitem(application.config, "UPLOADS", str(uploads))
    return application.test_client()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of the app under Flask's own server, and its folder of uploads."""
    uploads = tmp_path_factory.mktemp("served") / "uploads"
    with servers.running(servers.FLASK, uploads) as address:
        yield address, uploads


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OFFLINE)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def birds() -> Path:
    """Real photographs, ``<split>/<species>/*.jpg``; they are not part of the project."""
    if not BIRDS.is_dir():
        pytest.skip(f"{BIRDS} with the labelled photographs is not here")
    return BIRDS
