"""What the tests of corrections share: corrections in SQLite, with photos in a folder."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from feedback.corrections import Corrections
from feedback.opening import open_corrections
from settings import FeedbackSettings

LABELS = ("American_Goldfinch", "Cardinal", "Blue Jay")
LIMITS = {"max_bytes": 2**30, "per_day": 50, "days": 90}

Open = Callable[..., Corrections]


@pytest.fixture
def places(tmp_path: Path) -> tuple[str, str]:
    """BIRD_DATABASE_URL and BIRD_PHOTO_STORE."""
    return f"sqlite:///{tmp_path / 'kept' / 'feedback.db'}", str(tmp_path / "photos")


@pytest.fixture
def stored(places: tuple[str, str]) -> Callable[[], int]:
    """How many files are in the photo store."""
    return lambda: len(list(Path(places[1]).iterdir()))


@pytest.fixture
def opened(places: tuple[str, str]) -> Iterator[Open]:
    """Opens the corrections as another process would; takes limits."""
    engines = []

    def open_(**limits: Any) -> Corrections:
        corrections = open_corrections(FeedbackSettings(*places, review_key="", **LIMITS | limits), LABELS)
        engines.append(corrections.engine)
        return corrections

    yield open_
    for engine in engines:
        engine.dispose()


@pytest.fixture
def corrections(opened: Open) -> Corrections:
    """No corrections yet."""
    return opened()
