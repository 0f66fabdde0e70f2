"""The instance that the rehearsal looks at."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import bundle
from tests.drawings import draw_goldfinch, encoded
from tests.servers import free_port

from .beanstalk import Instance
from .visits import wait_until_ready


@pytest.fixture(scope="session")
def goldfinch() -> bytes:
    """A JPEG file of a drawn bird."""
    return encoded(draw_goldfinch(), "JPEG")


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """The bundle, unpacked and installed, with nginx in front of an app that has not been started."""
    if shutil.which("nginx") is None:
        pytest.exit("nginx is needed: apt install nginx", returncode=1)
    folder = tmp_path_factory.mktemp("instance")
    bundle.write(folder / "bundle.zip")
    instance = Instance(folder / "bundle.zip", folder, free_port())
    instance.install()
    instance.configure_nginx()
    with instance.proxied():
        yield instance


@pytest.fixture
def site(instance: Instance) -> Instance:
    """The same, with the app running: the one that the test before has left, or another one."""
    if not instance.is_running():
        instance.start()
        wait_until_ready(instance.address)
    return instance


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_running(instance: Instance) -> Iterator[None]:
    """End the app after the last test."""
    yield
    if instance.is_running():
        instance.service.kill()


@pytest.fixture
def uploads(instance: Instance) -> Path:
    """The folder in which photos lie."""
    return instance.current / "uploads"
