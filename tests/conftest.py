"""What the tests share."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Browser, expect, sync_playwright
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.support import servers
from tests.support.drawings import draw_goldfinch, encoded

# The app assumes that its process learns nothing; this one may, and it convolves outside of traced networks.
os.environ["TF_ONEDNN_ASSUME_FROZEN_WEIGHTS"] = "0"

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
#: Without these Chromium asks its makers' servers for updates and the like.
OFFLINE = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
expect.set_options(timeout=20_000)  # milliseconds; by default five seconds, which a busy machine may need
BIRDS = servers.ROOT.parent / "shared" / "birds"

# --- Two processes run the tests (pytest-xdist), for most wait for servers, and each start of one keeps one core busy.

#: Files that take longest, first: neither process then ends long after the other.
LONGEST = ["test_queue", "test_application", "test_api", "test_training", "test_load", "test_uploads", "test_browser"]
#: How the names begin of those that measure what another test beside them changes, such as how soon something is done.
ALONE = (
    "tests/unit/web/test_admission.py::",  # milliseconds decide who comes when
    "tests/system/web/test_application.py::test_the_last_line_that_is_printed",
    "tests/system/jobs/test_queue.py::test_a_broker_that_is_gone_for_a_while",
    "tests/system/web/test_load.py::test_sixty_four_people",
    "tests/system/web/test_load.py::test_gunicorn_told_to_stop",
    "tests/system/web/test_uploads.py::test_no_file_costs_more",
)
DOOR, ROOM = Path(__file__), Path(__file__).with_name("__init__.py")  # to hold locks on; nothing is written there


class ByFile(LoadScopeScheduling):
    """Gives each file of tests to one process, which starts its servers once."""

    def _split_scope(self, nodeid: str) -> str:
        return "alone" if nodeid.startswith(ALONE) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """How the tests are shared out."""
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest first, and last what is to run alone."""

    def place(item: pytest.Item) -> tuple[bool, int]:
        name = item.path.stem
        return item.nodeid.startswith(ALONE), LONGEST.index(name) if name in LONGEST else len(LONGEST)

    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Run a test while the other process runs none, if it is to be alone, and else beside whatever that runs."""
    is_alone = item.nodeid.startswith(ALONE)
    with contextlib.ExitStack() as room:
        with locked(DOOR, fcntl.LOCK_EX):  # whoever waits here for an empty room keeps others from going in again
            room.enter_context(locked(ROOM, fcntl.LOCK_EX if is_alone else fcntl.LOCK_SH))
        return (yield)


@contextlib.contextmanager
def locked(path: Path, how: int) -> Iterator[None]:
    """Hold a lock on a file, as flock(2) describes them."""
    with path.open() as file:
        fcntl.flock(file, how)
        yield


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
