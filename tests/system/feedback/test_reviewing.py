"""With PostgreSQL the review page shows and decides the same as with SQLite."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.claims import Kept
from tests.support.databases import PostgreSQL
from tests.unit.feedback.test_review import *  # noqa: F403


@pytest.fixture
def kept(tmp_path: Path, postgresql: PostgreSQL) -> Iterator[Kept]:
    """An empty database and an empty photo store."""
    postgresql.empty()
    kept = Kept(tmp_path, postgresql.url)
    yield kept
    kept.corrections.engine.dispose()
