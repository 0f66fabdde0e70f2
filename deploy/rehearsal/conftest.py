"""The instance that the rehearsal tests."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import bundle
from tests.support import brokers, nginx
from tests.support.drawings import draw_goldfinch, encoded
from tests.support.servers import answers, free_port

from .beanstalk import APP_PORT, Instance
from .visits import wait_until_ready


@pytest.fixture(scope="session")
def goldfinch() -> bytes:
    """A drawing of a bird as a JPEG file."""
    return encoded(draw_goldfinch(), "JPEG")


@pytest.fixture(scope="session")
def source_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle that ``make bundle`` writes."""
    if nginx.NGINX is None:
        pytest.exit("nginx is needed: apt install nginx", returncode=1)
    if answers(APP_PORT):
        pytest.exit(f"Port {APP_PORT} is in use. The rehearsal needs it, as Elastic Beanstalk does.", returncode=1)
    file = tmp_path_factory.mktemp("bundle") / "bundle.zip"
    bundle.write_bundle(file)
    return file


@contextlib.contextmanager
def deployed(source_bundle: Path, folder: Path, **properties: str) -> Iterator[Instance]:
    """An instance with the bundle installed and nginx running; the app has not been started."""
    instance = Instance(source_bundle, folder, free_port(), **properties)
    instance.install()
    instance.configure_nginx()
    with nginx.running(instance.nginx, instance.port):
        try:
            yield instance
        finally:
            if instance.is_running():
                instance.service.kill()


@pytest.fixture(scope="session")
def instance(source_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """The instance that most tests share."""
    with deployed(source_bundle, tmp_path_factory.mktemp("instance")) as instance:
        yield instance


@pytest.fixture
def with_tensorflow(source_bundle: Path, tmp_path: Path) -> Iterator[Instance]:
    """An instance whose operator wants TensorFlow."""
    with deployed(source_bundle, tmp_path, BIRD_ENGINE="tensorflow") as instance:
        yield instance


@pytest.fixture
def split_web(source_bundle: Path, queue: brokers.Broker, tmp_path: Path) -> Iterator[Instance]:
    """An instance that is the web process of a split deployment."""
    with deployed(source_bundle, tmp_path, BIRD_QUEUE_URL=queue.url) as instance:
        yield instance


@pytest.fixture
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[brokers.Broker]:
    """A Redis server, in place of ElastiCache."""
    with brokers.started(brokers.redis(tmp_path_factory.mktemp("redis"))) as broker:
        yield broker


@pytest.fixture
def site(instance: Instance) -> Instance:
    """The shared instance with the app running and ready; started if the test before has stopped it."""
    if not instance.is_running():
        instance.start()
        wait_until_ready(instance.address)
    return instance


@pytest.fixture
def uploads(instance: Instance) -> Path:
    """The folder that holds photos while they are identified."""
    return instance.current / "uploads"
