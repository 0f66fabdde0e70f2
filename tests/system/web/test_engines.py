"""Both engines serve the model that ships, and answer the same photos alike."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import servers
from tests.support.drawings import draw_goldfinch, encoded
from tests.support.pages import percent_on, species_on
from tests.support.servers import send_photo

BIRDS = servers.ROOT.parent / "shared" / "birds" / "test"
ENGINES = {
    "tensorflow": {"BIRD_ENGINE": "tensorflow", "BIRD_PRECISION": "float32"},
    "float32": {"BIRD_ENGINE": "onnx", "BIRD_PRECISION": "float32"},
    "default": {},
}


@pytest.fixture(scope="module")
def addresses(tmp_path_factory) -> Iterator[dict[str, str]]:
    """A server for each engine."""
    folder = tmp_path_factory.mktemp("engines")
    running = [servers.running(servers.GUNICORN, folder / name, **each) for name, each in ENGINES.items()]
    with servers.together(*running) as found:
        yield dict(zip(ENGINES, found, strict=True))


def answers(address: str, photos: list[bytes]) -> tuple[list[str], list[float]]:
    """The species and the confidences in percent."""
    pages = [send_photo(address, photo).page for photo in photos]
    return [species_on(page) for page in pages], [percent_on(page) for page in pages]


def test_drawings_get_the_same_answers(addresses):
    photos = [encoded(draw_goldfinch(width, width * 3 // 4), "JPEG") for width in (160, 224, 400)]
    expected = answers(addresses["tensorflow"], photos)
    species, percent = answers(addresses["float32"], photos)
    assert species == expected[0]
    assert percent == pytest.approx(expected[1], abs=0.01)


def test_photos_get_the_same_answers(addresses):
    paths = sorted(BIRDS.glob("*/*.jpg"))[::20]
    if not paths:
        pytest.skip(f"{BIRDS} is not here")
    photos = [Path(path).read_bytes() for path in paths]
    expected = answers(addresses["tensorflow"], photos)
    species, percent = answers(addresses["float32"], photos)
    assert species == expected[0]
    assert percent == pytest.approx(expected[1], abs=0.01)
    species, _percent = answers(addresses["default"], photos)
    assert sum(this != that for this, that in zip(species, expected[0], strict=True)) <= 1
