"""The instance that the rehearsal looks at."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import bundle
from tests import brokers
from tests.drawings import draw_goldfinch, encoded
from tests.servers import free_port

from .beanstalk import APP_PORT, NGINX, Instance, nginx_running
from .visits import answers, wait_until_ready


@pytest.fixture(scope="session")
def goldfinch() -> bytes:
    """A JPEG file of a drawn bird."""
    return encoded(draw_goldfinch(), "JPEG")


@pytest.fixture(scope="session")
def source_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one that ``make bundle`` writes."""
    if NGINX is None:
        pytest.exit("nginx is needed: apt install nginx", returncode=1)
    if answers(APP_PORT):
        pytest.exit(f"Port {APP_PORT} is taken. The rehearsal needs it, as Elastic Beanstalk does.", returncode=1)
    file = tmp_path_factory.mktemp("bundle") / "bundle.zip"
    bundle.write(file)
    return file


@contextlib.contextmanager
def deployed(source_bundle: Path, folder: Path, **properties: str) -> Iterator[Instance]:
    """A bundle, unpacked and installed, with nginx in front of an app that has not been started."""
    instance = Instance(source_bundle, folder, free_port(), **properties)
    instance.install()
    instance.configure_nginx()
    with nginx_running(instance.nginx, instance.port):
        try:
            yield instance
        finally:
            if instance.is_running():
                instance.service.kill()


@pytest.fixture(scope="session")
def instance(source_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """The instance that most of the rehearsal looks at."""
    with deployed(source_bundle, tmp_path_factory.mktemp("instance")) as instance:
        yield instance


@pytest.fixture
def split_web(source_bundle: Path, queue: brokers.Broker, tmp_path: Path) -> Iterator[Instance]:
    """The web, where workers have the network."""
    with deployed(source_bundle, tmp_path, BIRD_QUEUE_URL=queue.url) as instance:
        yield instance


@pytest.fixture
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[brokers.Broker]:
    """Redis, as ElastiCache has it."""
    with brokers.started(brokers.redis(tmp_path_factory.mktemp("redis"))) as broker:
        yield broker


@pytest.fixture
def site(instance: Instance) -> Instance:
    """The same, with the app running: the one that the test before has left, or another one."""
    if not instance.is_running():
        instance.start()
        wait_until_ready(instance.address)
    return instance


@pytest.fixture
def uploads(instance: Instance) -> Path:
    """The folder in which photos lie."""
    return instance.current / "uploads"
