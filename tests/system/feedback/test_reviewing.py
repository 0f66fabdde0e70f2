"""With PostgreSQL the review page shows and decides the same as with SQLite."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.corrections import CorrectionFolder
from tests.support.databases import PostgreSQL
from tests.unit.feedback.test_review import *  # noqa: F403


@pytest.fixture
def kept(tmp_path: Path, postgresql: PostgreSQL) -> Iterator[CorrectionFolder]:
    """An empty database and an empty photo store."""
    postgresql.empty()
    kept = CorrectionFolder(tmp_path, postgresql.url)
    yield kept
    kept.corrections.engine.dispose()
