"""jobs/messages.py: messages arrive as they were sent, and are not too large."""

import base64
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from inference import Candidate, Identification
from inference.photo import open_photo
from inference.regions import Region
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
    ],
)
def test_an_answer_that_cannot_be_shown_raises_an_error(change):
    with pytest.raises(BadMessageError):
        decode_identification(encode_identification(Identification("Sora", 0.75, ())) | change)
    with pytest.raises(BadMessageError):
        decode_identification({})
