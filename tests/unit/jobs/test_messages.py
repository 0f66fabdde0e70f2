"""jobs/messages.py: messages arrive as they were sent, and are not too large."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from inference import Candidate, Identification
from inference.photo import open_photo
from jobs.messages import (
    BadMessageError,
    decode_identification,
    decode_pixels,
    encode_identification,
    encode_pixels,
)
from tests.support.drawings import encoded
from tests.support.photographs import bird

NOISE = np.random.default_rng(6).integers(0, 256, (224, 224, 3), dtype="uint8")  # cannot be compressed


@pytest.mark.parametrize(
    "pixels",
    [NOISE, np.zeros_like(NOISE), np.full_like(NOISE, 255), open_photo(io.BytesIO(encoded(bird(), "JPEG"))).pixels()],
    ids=["noise", "black", "white", "photo"],
)
def test_pixels_arrive_as_they_were_sent(pixels):
    text = json.loads(json.dumps(encode_pixels(pixels)))
    arrived = decode_pixels(text)
    assert arrived.dtype == np.uint8
    np.testing.assert_array_equal(arrived, pixels)


def test_a_photo_is_compressed():
    pixels = open_photo(io.BytesIO(encoded(bird(), "JPEG"))).pixels()
    assert len(encode_pixels(pixels)) < 0.8 * len(base64.b64encode(pixels.tobytes()))


def image_message(file_format: str, size: tuple[int, int] = (224, 224)) -> str:
    file = io.BytesIO()
    Image.new("RGB", size).save(file, file_format)
    return base64.b64encode(file.getvalue()).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no base64!",
        "Zm9v",
        None,
        7,
        ["x"],
        image_message("PNG"),
        image_message("WEBP", (223, 224)),
        image_message("WEBP", (4000, 4000)),
        image_message("WEBP")[:60],
        "A" * 300_000,
    ],
)
def test_a_message_without_pixels_raises_an_error(text):
    with pytest.raises(BadMessageError):
        decode_pixels(text)


def test_an_answer_arrives_with_the_labels_of_the_worker():
    sent = Identification("Sora", 0.75, (Candidate("Sora", 0.75), Candidate("<Rook> & ñ", 0.25)), "c0ffee", 0.04)
    arrived = decode_identification(json.loads(json.dumps(encode_identification(sent))))
    assert arrived == sent
    assert arrived.seconds == sent.seconds


@pytest.mark.parametrize(
    "change",
    [{"confidence": "much"}, {"confidence": None}, {"candidates": 7}, {"candidates": ["Sora"]}, {"seconds": []}],
)
def test_an_answer_that_cannot_be_shown_raises_an_error(change):
    with pytest.raises(BadMessageError):
        decode_identification(encode_identification(Identification("Sora", 0.75, ())) | change)
    with pytest.raises(BadMessageError):
        decode_identification({})
