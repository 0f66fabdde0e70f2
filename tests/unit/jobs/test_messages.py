"""jobs/messages.py: messages arrive as they were sent, and are not too large."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from inference import Candidate, Identification
from inference.photo import open_photo
from inference.regions import Region
from inference.verdict import Familiarity, Verdict
from jobs.messages import (
    VERSION,
    BadMessageError,
    decode_identification,
    decode_picture,
    decode_pixels,
    decode_version_1,
    encode_identification,
    encode_picture,
    encode_pixels,
    encode_version_1,
)
from tests.support.drawings import encoded
from tests.support.photographs import bird

NOISE = np.random.default_rng(6).integers(0, 256, (224, 224, 3), dtype="uint8")  # cannot be compressed


@pytest.fixture(autouse=True)
def pillows_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's own limit on pixels, which is in force in a worker: it does not import what lifts it."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2**30 // 12)


@pytest.mark.parametrize(
    "pixels",
    [NOISE, np.zeros_like(NOISE), np.full_like(NOISE, 255), open_photo(io.BytesIO(encoded(bird(), "JPEG"))).pixels()],
    ids=["noise", "black", "white", "photo"],
)
def test_pixels_arrive_as_they_were_sent(pixels):
    content = encode_pixels(pixels)
    assert decode_version_1(json.loads(json.dumps(encode_version_1(content)))) == content
    arrived = decode_pixels(content)
    assert arrived.dtype == np.uint8
    np.testing.assert_array_equal(arrived, pixels)


def test_a_photo_is_compressed():
    pixels = open_photo(io.BytesIO(encoded(bird(), "JPEG"))).pixels()
    assert len(encode_pixels(pixels)) < 0.8 * pixels.nbytes


def image_file(file_format: str, size: tuple[int, int] = (224, 224)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size).save(file, file_format)
    return file.getvalue()


def webp_of_enormous_size() -> bytes:
    """A lossy WebP that says that it has 16,000 × 16,000 pixels (RFC 9649, section 2.5)."""
    content = image_file("WEBP")
    assert content[12:16] == b"VP8 "
    return content[:26] + (16_000).to_bytes(2, "little") * 2 + content[30:]


def of_enormous_size(jpeg: bytes) -> bytes:
    """A JPEG that says that it has 65,000 × 65,000 pixels."""
    size = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:size] + (65_000).to_bytes(2) * 2 + jpeg[size + 4 :]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no image",
        image_file("PNG"),
        image_file("WEBP", (223, 224)),
        image_file("WEBP", (4000, 4000)),
        webp_of_enormous_size(),
        image_file("WEBP")[:40],
        b"A" * 300_000,
    ],
)
def test_pixels_that_are_none_raise_an_error(content):
    with pytest.raises(BadMessageError):
        decode_pixels(content)


@pytest.mark.parametrize("message", ["no base64!", None, 7, ["x"], "A" * 300_000])
def test_a_message_of_the_release_before_without_pixels_raises_an_error(message):
    with pytest.raises(BadMessageError):
        decode_version_1(message)


def test_an_answer_of_a_later_release_raises_an_error():
    answer = encode_identification(Identification("Sora", 0.75, ()))
    assert answer["version"] == VERSION
    with pytest.raises(BadMessageError, match="later release"):
        decode_identification(answer | {"version": VERSION + 1})


@pytest.mark.parametrize("size", [(1792, 1344), (1344, 1792), (448, 200), (1, 1)])
def test_a_picture_arrives_nearly_as_it_was_sent(size):
    picture = np.asarray(bird().resize(size))
    content = encode_picture(picture)
    arrived = decode_picture(content)
    assert arrived.dtype == np.uint8
    assert arrived.shape == picture.shape
    assert abs(arrived.astype(float) - picture).mean() < 4
    if min(size) > 1000:
        assert len(content) < picture.nbytes / 20


def test_a_gray_picture_has_three_colors_as_every_other():
    assert decode_picture(encoded(bird().convert("L"), "JPEG")).shape == (360, 450, 3)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xd8",
        b"no image",
        encoded(bird(), "PNG"),
        encoded(bird(), "JPEG")[:-200],
        encoded(bird(), "JPEG")[:100],
        encoded(Image.new("RGB", (1793, 20)), "JPEG"),
        encoded(Image.new("RGB", (20, 1793)), "JPEG"),
        encoded(Image.new("L", (7000, 7000)), "JPEG"),
        of_enormous_size(encoded(bird(), "JPEG")),
    ],
    ids=[
        "nothing",
        "its start",
        "text",
        "another format",
        "cut short",
        "its head alone",
        "too wide",
        "too high",
        "49 megapixels",
        "4 gigapixels",
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_is_no_picture_raises_an_error(content):
    with pytest.raises(BadMessageError):
        decode_picture(content)


def test_random_bytes_in_a_picture_give_a_picture_or_an_error():
    random = np.random.default_rng(9)
    content = np.frombuffer(encode_picture(np.asarray(bird())), "uint8")
    outcomes = set()
    for _ in range(200):
        damaged = content.copy()
        damaged[random.integers(0, len(content), 20)] = random.integers(0, 256, 20)
        try:
            outcomes.add(decode_picture(damaged.tobytes()).shape[2])
        except BadMessageError:
            outcomes.add("error")
    assert outcomes == {3, "error"}


def test_an_answer_arrives_with_the_labels_of_the_worker():
    sent = Identification("Sora", 0.75, (Candidate("Sora", 0.75), Candidate("<Rook> & ñ", 0.25)), "c0ffee", 0.04)
    arrived = decode_identification(json.loads(json.dumps(encode_identification(sent))))
    assert arrived == sent
    assert arrived.seconds == sent.seconds


def test_an_answer_arrives_with_its_region_its_explanation_and_the_other_birds():
    jay = Identification(
        "Blue Jay",
        0.9,
        (Candidate("Blue Jay", 0.9),),
        "c0ffee",
        region=Region(0.5, 0, 0.25, 1),
        activation=((1.0, 0.5),),
    )
    sent = replace(jay, label="Sora", region=Region(0.1, 0.2, 0.3, 0.4), others=(jay, replace(jay, activation=())))
    assert decode_identification(json.loads(json.dumps(encode_identification(sent)))) == sent


@pytest.mark.parametrize("verdict", [*Verdict, None])
def test_an_answer_arrives_with_its_verdict_and_those_of_the_other_birds(verdict):
    jay = Identification("Blue Jay", 0.9, (Candidate("Blue Jay", 0.9),), "c0ffee", verdict=Verdict.UNSURE, likely=3)
    familiarity = Familiarity(0.25, 0.5) if verdict else None
    sent = replace(jay, verdict=verdict, likely=2, familiarity=familiarity, others=(jay,))
    arrived = decode_identification(json.loads(json.dumps(encode_identification(sent))))
    assert arrived == sent
    assert arrived.verdict is verdict


def test_an_answer_of_an_earlier_release_is_about_the_whole_photo_and_names_no_other_birds():
    message = {
        "label": "Sora",
        "confidence": 0.75,
        "candidates": [{"label": "Sora", "confidence": 0.75}],
        "model": "c0ffee",
        "seconds": 0.04,
    }
    arrived = decode_identification(message)
    assert arrived == Identification("Sora", 0.75, (Candidate("Sora", 0.75),), "c0ffee")
    assert (arrived.region, arrived.activation, arrived.others, arrived.seconds) == (None, (), (), 0.04)
    assert (arrived.verdict, arrived.likely, arrived.familiarity) == (None, 1, None)


@pytest.mark.parametrize(
    "change",
    [
        {"confidence": "much"},
        {"confidence": None},
        {"candidates": 7},
        {"candidates": ["Sora"]},
        {"seconds": []},
        {"region": "0,0,1,1"},
        {"region": {"left": 0}},
        {"activation": 7},
        {"activation": [["much"]]},
        {"others": 7},
        {"others": [{"label": "Sora"}]},
        {"verdict": "certain"},
        {"verdict": 7},
        {"likely": "many"},
        {"likely": None},
        {"familiarity": 0.5},
        {"familiarity": {"species": 0.5}},
    ],
)
def test_an_answer_that_cannot_be_shown_raises_an_error(change):
    with pytest.raises(BadMessageError):
        decode_identification(encode_identification(Identification("Sora", 0.75, ())) | change)
    with pytest.raises(BadMessageError):
        decode_identification({})
