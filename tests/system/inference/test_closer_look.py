"""The second look with the pair that ships: small birds are found and named, and the maps show what the network saw."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference import LABELS_FILE, MODEL_FILE, Identification
from inference.classifier import Classifier
from inference.closer_look import SURE
from inference.photo import Photo, open_photo
from inference.regions import Region
from tests.conftest import BIRDS
from tests.support.deletion import confidence_drops
from tests.support.drawings import draw_goldfinch, encoded
from tests.support.scenes import STYLES, SceneArtist
from tests.support.servers import ROOT
from tests.system.inference.test_classifier import load

BACKGROUNDS = BIRDS.parent / "others" / "not_birds"
SIZE = (1600, 1200)


@pytest.fixture(scope="module")
def shipped() -> Classifier:
    """The pair in ``models/``."""
    return load(ROOT / "models" / MODEL_FILE, ROOT / "models" / LABELS_FILE)


@pytest.fixture
def backgrounds(birds: Path) -> Path:
    """Real photos without birds, beside those of birds."""
    if not BACKGROUNDS.is_dir():
        pytest.skip(f"{BACKGROUNDS} with photos without birds is not here")
    return BACKGROUNDS


def opened(image: Image.Image) -> Photo:
    return open_photo(io.BytesIO(encoded(image, "JPEG", quality=92)), for_picture=True)


def looked_at_closely(classifier: Classifier, image: Image.Image) -> Identification:
    """The answer about a photo, as the app asks for it."""
    photo = opened(image)
    return classifier.classify(photo.pixels(), photo.picture())


def artist(birds: Path, backgrounds: Path, size: tuple[int, int]) -> SceneArtist:
    return SceneArtist(sorted(birds.glob("test/*/*.jpg")), sorted(backgrounds.glob("*.jpg")), size, seed=4)


def plain_scene(bird: Image.Image, x: int, y: int) -> tuple[Image.Image, Region]:
    """A bird somewhere in a gray sky, and where it is."""
    image = Image.new("RGB", SIZE, "#9fb0bd")
    image.paste(bird, (x, y))
    return image, Region(x / SIZE[0], y / SIZE[1], bird.width / SIZE[0], bird.height / SIZE[1])


@pytest.mark.parametrize(("x", "y"), [(200, 150), (1150, 800)])
def test_a_drawn_bird_is_found_where_it_is(shipped, x, y):
    image, place = plain_scene(draw_goldfinch(320, 240), x, y)
    answer = looked_at_closely(shipped, image)
    assert answer.region is not None
    assert answer.region.overlap(place) >= 0.3
    assert np.shape(answer.activation) == (5, 5)
    assert not answer.wants_closer_look


def test_an_answer_without_a_picture_is_the_one_of_the_whole_photo(shipped, goldfinch):
    photo = open_photo(io.BytesIO(goldfinch))
    scores, features = shipped.engine.run(photo.pixels()[np.newaxis])
    of_head = shipped.engine.head.scores(features.mean(axis=(1, 2)))[0]
    weights = np.exp(of_head - of_head.max())
    np.testing.assert_allclose(scores[0], weights / weights.sum(), atol=1e-5)
    answer = shipped.classify(photo.pixels())
    assert answer.confidence == pytest.approx(float(scores.max()), abs=1e-7)
    assert (answer.region, answer.others) == (None, ())
    assert answer.wants_closer_look == (answer.confidence < SURE)
    (same,) = shipped.classify_batch(photo.pixels()[np.newaxis])
    assert same.confidence == pytest.approx(answer.confidence, abs=1e-5)


def test_a_closer_look_that_fails_leaves_the_answer_about_the_whole_photo(shipped, monkeypatch, caplog):
    def fail(*_arguments: object) -> None:
        raise RuntimeError("out of memory")

    photo = opened(plain_scene(draw_goldfinch(320, 240), 200, 150)[0])
    whole = shipped.classify(photo.pixels())
    assert whole.wants_closer_look
    monkeypatch.setattr(shipped._closer_look, "birds", fail)
    assert shipped.classify(photo.pixels(), photo.picture()) == replace(whole, wants_closer_look=False)
    assert "A closer look failed: out of memory" in caplog.text


def test_a_photo_of_which_the_network_is_sure_gets_no_closer_look(shipped, birds):
    paths = sorted(birds.glob("test/*/*.jpg"))[::60]
    photos = [open_photo(path) for path in paths]
    sure = 0
    for photo in photos:
        answer = shipped.classify(photo.pixels())
        if not answer.wants_closer_look:
            sure += 1
            assert answer.confidence >= SURE
            assert shipped.classify(photo.pixels(), photo.picture()) == answer
    assert sure >= len(paths) / 2


def test_small_birds_in_scenes_are_found_and_named(shipped, birds, backgrounds):
    named = found = 0
    drawn = list(artist(birds, backgrounds, SIZE).with_one_bird(12, [0.2]))
    assert {scene.style for scene in drawn} == set(STYLES)
    for scene in drawn:
        (bird,) = scene.birds
        answer = looked_at_closely(shipped, scene.image)
        named += answer.label == bird.label
        found += answer.region is not None and answer.region.overlap(bird.box) >= 0.3
    assert named >= 9
    assert found >= 9


def test_the_same_scenes_are_drawn_again(birds, backgrounds):
    def draw() -> Iterator[object]:
        drawing = artist(birds, backgrounds, (400, 300))
        for scene in [*drawing.with_one_bird(4, [0.1, 0.5]), *drawing.with_two_birds(2, 0.4)]:
            yield replace(scene, image=scene.image.tobytes())

    assert list(draw()) == list(draw())


def test_what_a_map_marks_is_what_the_network_looked_at(shipped, birds):
    paths = sorted(birds.glob("test/*/*.jpg"))[::24][:40]
    drops = confidence_drops(shipped, [open_photo(path).pixels() for path in paths])
    marked, patches, _pixels = drops.T
    assert len(marked) == 40
    assert marked.mean() > 2 * patches.mean()
    assert np.mean(marked > patches) > 0.6


def test_a_bird_that_fills_a_photo_is_hardly_ever_taken_for_one_of_its_parts(shipped, birds):
    paths = sorted(birds.glob("validation/*/*.jpg"))[::5]
    right_without = right = looked = 0
    for path in paths:
        with Image.open(path) as photo:
            large = photo.convert("RGB").resize((4 * photo.width, 4 * photo.height), Image.Resampling.BICUBIC)
        photo = opened(large)
        whole = shipped.classify(photo.pixels())
        answer = shipped.classify(photo.pixels(), photo.picture()) if whole.wants_closer_look else whole
        looked += whole.wants_closer_look
        right_without += whole.label == path.parent.name
        right += answer.label == path.parent.name
    assert looked >= 20
    assert right >= right_without - 0.015 * len(paths)
