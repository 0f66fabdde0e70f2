"""Unit tests need no TensorFlow: importing it takes seconds and nearly a gigabyte."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
#: Keras imports TensorFlow.
FORBIDDEN = ("tensorflow", "keras")


def _imported() -> list[str]:
    return [name for name in FORBIDDEN if name in sys.modules]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fail the session if a unit test's module imports TensorFlow; a run with system tests may import it."""
    if _imported() and all(item.path.is_relative_to(HERE) for item in session.items):
        raise pytest.UsageError(
            f"Collecting the unit tests has imported {', '.join(_imported())}: run those in system/."
        )


@pytest.fixture(autouse=True)
def no_tensorflow() -> Iterator[None]:
    """Fail the test that imports TensorFlow."""
    before = _imported()
    yield
    assert _imported() == before, f"A unit test has imported {', '.join(_imported())}: move it to tests/system."
