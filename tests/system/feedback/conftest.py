"""What the tests of corrections share: PostgreSQL, and photos in a stand-in for S3."""

from collections.abc import Callable, Iterator

import pytest

from tests.support import databases
from tests.support.databases import Bucket, PostgreSQL
from tests.unit.feedback.conftest import corrections, opened  # noqa: F401  fixtures


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A server."""
    with databases.postgresql() as server:
        yield server


@pytest.fixture(scope="module")  # what boto3 needs to find it would mislead other tests
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """A bucket."""
    with databases.s3(tmp_path_factory.mktemp("s3")) as bucket:
        yield bucket


@pytest.fixture
def places(postgresql: PostgreSQL, bucket: Bucket) -> tuple[str, str]:
    """BIRD_DATABASE_URL and BIRD_PHOTO_STORE, both empty."""
    postgresql.empty()
    bucket.empty()
    return postgresql.url, bucket.place


@pytest.fixture
def stored(bucket: Bucket) -> Callable[[], int]:
    """How many photos are in the photo store."""
    return lambda: len(bucket.photos())
