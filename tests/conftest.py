"""Fixtures of all tests, and how pytest-xdist shares the tests out among two processes."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Browser, expect, sync_playwright
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.support import servers
from tests.support.drawings import draw_goldfinch, encoded

# The app lets oneDNN assume that weights never change. In a process of tests that is wrong: some train.
os.environ["TF_ONEDNN_ASSUME_FROZEN_WEIGHTS"] = "0"

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
#: Without these Chromium asks its makers' servers for updates and the like.
OFFLINE = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
#: Names of sites that are not this machine for Chromium, as in a local network.
OTHER_NAMES = "--host-resolver-rules=MAP *.example 127.0.0.1"
expect.set_options(timeout=20_000)  # milliseconds; on a busy machine the default of five seconds is too short
BIRDS = servers.ROOT.parent / "shared" / "birds"

#: The files that take longest. They come first, so that neither process ends long after the other.
LONGEST = [
    "system/training/test_training",
    "system/jobs/test_queue",
    "system/jobs/test_worker",
    "system/web/test_api",
    "system/web/test_startup",
    "system/training/test_more",
    "system/feedback/test_loop",
    "system/web/test_load",
    "system/inference/test_closer_look",
    "system/web/test_files",
    "system/jobs/test_releases",
    "system/web/browser/test_obstacles",
    "system/web/browser/test_regions",
    "system/web/browser/test_sending",
]
#: Tests that measure time or memory, by the beginnings of their names: the other process must run none meanwhile.
ALONE = (
    "tests/unit/web/test_admission.py::",  # milliseconds decide which photo comes first
    "tests/system/web/test_startup.py::test_the_last_line_that_is_printed",
    "tests/system/jobs/test_queue.py::test_a_broker_that_is_gone_for_a_while",
    "tests/system/web/test_load.py::test_sixty_four_people",
    "tests/system/web/test_load.py::test_gunicorn_told_to_stop",
    "tests/system/web/test_files.py::test_no_file_costs_more",
    "tests/system/web/test_new_pair.py::test_visitors_are_all_answered",
)
# Files to hold locks on; nothing is written to them.
ENTRANCE_LOCK, RUNNING_LOCK = Path(__file__), Path(__file__).with_name("__init__.py")


class ByFile(LoadScopeScheduling):
    """Give all tests of a file to one process, which then starts the servers that they share only once."""

    def _split_scope(self, nodeid: str) -> str:
        return "alone" if nodeid.startswith(ALONE) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """Share out the tests by file."""
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first, and tests that run alone last."""

    def order(item: pytest.Item) -> tuple[bool, int]:
        name = item.nodeid.partition(".py::")[0].removeprefix("tests/")
        return item.nodeid.startswith(ALONE), LONGEST.index(name) if name in LONGEST else len(LONGEST)

    items.sort(key=order)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Run a test that is to be alone while the other process runs none."""
    is_alone = item.nodeid.startswith(ALONE)
    with contextlib.ExitStack() as running:
        # While one process waits here for the other to finish its test, that one cannot begin its next.
        with locked(ENTRANCE_LOCK, fcntl.LOCK_EX):
            running.enter_context(locked(RUNNING_LOCK, fcntl.LOCK_EX if is_alone else fcntl.LOCK_SH))
        return (yield)


@contextlib.contextmanager
def locked(path: Path, how: int) -> Iterator[None]:
    """Hold a lock on a file until the block ends.

    :param how: as in flock(2).
    """
    with path.open() as file:
        fcntl.flock(file, how)
        yield


@pytest.fixture(scope="session")
def goldfinch() -> bytes:
    """A JPEG file of a drawn bird."""
    return encoded(draw_goldfinch(), "JPEG")


@pytest.fixture(scope="session")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The uploads folder of ``app_module``, and of any server that a test starts with it."""
    folder = tmp_path_factory.mktemp("uploads")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("BIRD_UPLOADS", str(folder))
        yield folder


@pytest.fixture(scope="session")
def app_module(uploads: Path) -> ModuleType:
    """``application.py``, imported into this process: the model that ships is loaded."""
    import application

    assert application.application.config["UPLOADS"] == str(uploads), "something has imported it before"
    return application


@pytest.fixture
def client(app_module: ModuleType) -> FlaskClient:
    """A browser without JavaScript, inside this process, of the app with the model that ships."""
    return app_module.application.test_client()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of the app under Flask's own server, and its uploads folder."""
    uploads = tmp_path_factory.mktemp("served") / "uploads"
    with servers.running(servers.FLASK, uploads) as address:
        yield address, uploads


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*OFFLINE, OTHER_NAMES])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def birds() -> Path:
    """Real photos, ``<split>/<species>/*.jpg``; they are not part of the project."""
    if not BIRDS.is_dir():
        pytest.skip(f"{BIRDS} with the labelled photos is not here")
    return BIRDS
