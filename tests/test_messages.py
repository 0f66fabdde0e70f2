"""jobs/messages.py: what goes through the queue comes out as it went in, and fits."""

import base64
import io
import json

import boto3
import numpy as np
import pytest
from PIL import Image

from inference import Candidate, Identification
from inference.line import LaterError
from inference.photo import open_photo
from jobs.client import RemoteClassifier
from jobs.messages import (
    SQS_LIMIT,
    BadMessageError,
    decode_identification,
    decode_pixels,
    encode_identification,
    encode_pixels,
)
from jobs.register import Register, Worker

from . import brokers
from .drawings import encoded
from .photographs import bird

NOISE = np.random.default_rng(6).integers(0, 256, (224, 224, 3), dtype="uint8")  # nothing compresses it


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


def picture(file_format: str, size: tuple[int, int] = (224, 224)) -> str:
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
        picture("PNG"),
        picture("WEBP", (223, 224)),
        picture("WEBP", (4000, 4000)),
        picture("WEBP")[:60],
        "A" * 300_000,
    ],
)
def test_a_message_without_pixels_is_told_from_one_with(text):
    with pytest.raises(BadMessageError):
        decode_pixels(text)


def test_what_the_network_says_arrives_with_its_own_labels():
    said = Identification("Sora", 0.75, (Candidate("Sora", 0.75), Candidate("<Rook> & ñ", 0.25)), "c0ffee", 0.04)
    arrived = decode_identification(json.loads(json.dumps(encode_identification(said))))
    assert arrived == said
    assert arrived.seconds == said.seconds


@pytest.mark.parametrize(
    "change",
    [{"confidence": "much"}, {"confidence": None}, {"candidates": 7}, {"candidates": ["Sora"]}, {"seconds": []}],
)
def test_an_answer_that_cannot_be_shown_is_told_from_one_that_can(change):
    with pytest.raises(BadMessageError):
        decode_identification(encode_identification(Identification("Sora", 0.75, ())) | change)
    with pytest.raises(BadMessageError):
        decode_identification({})


def test_the_largest_message_fits_into_amazons_queue_as_it_is_sent(tmp_path):
    with brokers.started(brokers.sqs(tmp_path)) as broker, brokers.started(brokers.redis(tmp_path)) as results:
        Register(results.url).beat(Worker("nobody", "", 2))  # so that a job is accepted
        client = RemoteClassifier(broker.url, results.url, labels=(), sha256="", max_waiting=5, result_wait=0)
        with pytest.raises(LaterError):
            client.classify(NOISE)
        queue = boto3.resource(
            "sqs",
            endpoint_url=f"http://127.0.0.1:{broker.port}",
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
        ).get_queue_by_name(QueueName="birds")
        (message,) = queue.receive_messages()
    assert len(base64.b64encode(NOISE.tobytes())) < len(message.body) < SQS_LIMIT
    arguments, *_ = json.loads(json.loads(message.body)["body"])
    np.testing.assert_array_equal(decode_pixels(arguments[0]), NOISE)
