"""The verdicts of the pair that ships, on real photos: known birds get an answer, other things do not."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference import LABELS_FILE, MODEL_FILE, Identification
from inference.classifier import Classifier
from inference.photo import open_photo
from inference.verdict import Verdict
from tests.conftest import BIRDS
from tests.support.drawings import draw_goldfinch
from tests.support.servers import ROOT
from tests.system.inference.test_classifier import load

OTHERS = BIRDS.parent / "others"


@pytest.fixture(scope="module")
def shipped() -> Classifier:
    """The pair in ``models/``."""
    return load(ROOT / "models" / MODEL_FILE, ROOT / "models" / LABELS_FILE)


@pytest.fixture
def others() -> Path:
    """Real photos of none of the species."""
    if not OTHERS.is_dir():
        pytest.skip(f"{OTHERS} with photos of none of the species is not here")
    return OTHERS


def answers(classifier: Classifier, photos: Sequence[Path]) -> list[Identification]:
    pixels = np.stack([open_photo(path).pixels() for path in photos])
    size = classifier.batch_size
    return [
        answer
        for first in range(0, len(pixels), size)
        for answer in classifier.classify_batch(pixels[first : first + size])
    ]


def refused(found: list[Identification]) -> float:
    """The share of answers that name no species."""
    return float(np.mean([not answer.verdict.names_species for answer in found]))


def test_most_photos_of_known_species_get_an_answer_and_it_is_right_if_it_is_sure(shipped, birds):
    photos = sorted(birds.glob("test/*/*.jpg"))[::10]
    found = answers(shipped, photos)
    assert refused(found) < 0.13
    assert np.mean([answer.verdict is Verdict.NO_BIRD for answer in found]) < 0.03
    sure = [(answer, photo) for answer, photo in zip(found, photos, strict=True) if answer.verdict is Verdict.SURE]
    assert len(sure) > 0.7 * len(photos)
    assert np.mean([answer.label == photo.parent.name for answer, photo in sure]) > 0.95


def test_nearly_all_photos_without_a_bird_and_most_of_unknown_birds_are_refused(shipped, others):
    things = answers(shipped, sorted(others.glob("not_birds/*.jpg"))[::15])
    assert refused(things) > 0.9
    birds = answers(shipped, sorted(others.glob("other_birds/*/*.jpg"))[::11])
    assert refused(birds) > 0.6
    assert np.mean([answer.verdict is Verdict.SURE for answer in birds]) < 0.2
    called_no_bird = [np.mean([answer.verdict is Verdict.NO_BIRD for answer in found]) for found in (things, birds)]
    assert called_no_bird[0] > 0.5 > 2 * called_no_bird[1]


def test_noise_and_a_blank_image_show_no_bird(shipped):
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype="uint8")
    for pixels in (noise, np.full((224, 224, 3), 128, "uint8")):
        assert shipped.classify(pixels).verdict is Verdict.NO_BIRD


def test_a_bird_that_a_closer_look_found_has_a_verdict_of_its_own(shipped):
    scene = Image.new("RGB", (1600, 1200), "#9fb0bd")
    scene.paste(draw_goldfinch(320, 240), (200, 150))
    pixels = np.asarray(scene.resize((224, 224), Image.Resampling.LANCZOS))
    whole, closer = shipped.classify(pixels), shipped.classify(pixels, np.asarray(scene))
    assert closer.region is not None
    assert closer.verdict is not None
    assert closer.familiarity.bird > whole.familiarity.bird
