"""What crosses the queue: pixels to a worker, its answer back, and the versions of both."""

import base64
import binascii
import io
import json
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from inference import IMAGE_SIZE, PICTURE_SIDE, Candidate, Identification
from inference.regions import Region
from inference.verdict import Familiarity, Verdict

from .errors import JobFailedError

#: The version of messages and answers. With 1, the release before, a message held the pixels of its job; with 2, it is
#: a token. A worker says which it reads, and gets no later one; a later answer cannot be read.
VERSION = 2
PICTURE_QUALITY = 85  # JPEG quality
# What Pillow raises over bytes that are no image, or are one of enormous size.
_NO_IMAGE = (OSError, SyntaxError, Image.DecompressionBombError)
MAX_PIXELS = 180_000  # bytes; noise, which cannot be compressed, takes 150,000 as lossless WebP


class BadMessageError(ValueError):
    """A message cannot be decoded."""


def encode_pixels(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Encode pixels without loss.

    Lossless WebP takes 0.4 of the bytes of a photo; PNG takes 0.6, and twice the time.

    :param pixels: ``uint8[224, 224, 3]``, RGB.
    :return: a WebP file.
    """
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", lossless=True, quality=0, method=0)
    return file.getvalue()


def decode_pixels(content: bytes) -> npt.NDArray[np.uint8]:
    """Decode what ``encode_pixels`` returned.

    :return: ``uint8[224, 224, 3]``, RGB.
    :raises BadMessageError: it is not a WebP file of 224×224 pixels.
    """
    if len(content) > MAX_PIXELS:
        raise BadMessageError("the job holds an image that is too large")
    try:
        with Image.open(io.BytesIO(content), formats=["WEBP"]) as image:
            if image.size != (IMAGE_SIZE, IMAGE_SIZE):
                raise BadMessageError(f"the image has {image.width}×{image.height} pixels")
            return np.asarray(image.convert("RGB"))
    except _NO_IMAGE as error:
        raise BadMessageError("the job holds no image") from error


def encode_version_1(content: bytes) -> str:
    """Pixels, as ``encode_pixels`` returned them, in a message to a worker of the release before."""
    return base64.b64encode(content).decode("ascii")


def decode_version_1(message: object) -> bytes:
    """Pixels, as ``decode_pixels`` takes them, from a message of a web process of the release before.

    :raises BadMessageError: the message is none.
    """
    if not isinstance(message, str) or len(message) > MAX_PIXELS * 4 // 3:
        raise BadMessageError("the message holds no image, or one that is too large")
    try:
        return base64.b64decode(message, validate=True)
    except binascii.Error as error:
        raise BadMessageError("the message holds no image") from error


def encode_picture(picture: npt.NDArray[np.uint8]) -> bytes:
    """Encode a picture for a worker, in less space than pixels take without loss.

    :param picture: ``uint8[height, width, 3]``, RGB.
    :return: a JPEG file.
    """
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=PICTURE_QUALITY)
    return file.getvalue()


def decode_picture(content: bytes) -> npt.NDArray[np.uint8]:
    """Decode what ``encode_picture`` returned.

    :return: ``uint8[height, width, 3]``, RGB.
    :raises BadMessageError: it is not a JPEG file, or its sides are longer than a picture's.
    """
    try:
        with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
            if max(image.size) > PICTURE_SIDE:
                raise BadMessageError(f"the picture has {image.width}×{image.height} pixels")
            return np.asarray(image.convert("RGB"))
    except _NO_IMAGE as error:
        raise BadMessageError("the job's picture is none") from error


def encode_identification(identification: Identification) -> dict[str, Any]:
    """Encode an answer as a JSON object."""
    return asdict(identification) | {"version": VERSION}


def encode_result(job_id: str, answer: dict[str, Any] | None) -> str:
    """Encode what becomes of a job as Celery's clients expect it.

    Its format is that of Celery's result backends (``celery.backends.base.Backend``, which writes it as JSON).

    :param answer: what ``encode_identification`` returned; None if the workers failed on the job.
    """
    failure = {"exc_type": JobFailedError.__name__, "exc_module": JobFailedError.__module__, "exc_message": []}
    status, result = ("FAILURE", failure) if answer is None else ("SUCCESS", answer)
    return json.dumps(
        {"task_id": job_id, "status": status, "result": result, "traceback": None, "children": [], "date_done": None}
    )


def decode_identification(message: Any) -> Identification:
    """Decode what ``encode_identification`` returned. The labels are those of the worker's pair.

    A worker of an earlier release says less.

    :raises BadMessageError: it is not an answer of this release; the worker may be of another one.
    """
    if isinstance(message, dict) and message.get("version", 1) > VERSION:
        raise BadMessageError("the answer is of a later release")
    try:
        candidates = tuple(Candidate(str(each["label"]), float(each["confidence"])) for each in message["candidates"])
        return Identification(
            str(message["label"]),
            float(message["confidence"]),
            candidates,
            str(message["model"]),
            float(message["seconds"]),
            Region(**message["region"]) if message.get("region") else None,
            tuple(tuple(map(float, row)) for row in message.get("activation", ())),
            tuple(decode_identification(each) for each in message.get("others", ())),
            bool(message.get("wants_closer_look")),
            Verdict(message["verdict"]) if message.get("verdict") else None,
            int(message.get("likely", 1)),
            _familiarity(message.get("familiarity")),
        )
    except (LookupError, TypeError, ValueError) as error:
        raise BadMessageError("the message holds no answer") from error


def _familiarity(message: Any) -> Familiarity | None:
    return Familiarity(float(message["species"]), float(message["bird"])) if message else None
