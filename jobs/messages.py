"""The messages of the queue, as JSON values: pixels to a worker, and its answer back."""

import base64
import binascii
import io
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from inference import IMAGE_SIZE, PICTURE_SIDE, Candidate, Identification
from inference.regions import Region
from inference.verdict import Familiarity, Verdict

#: Bytes of a message that every Amazon SQS queue takes. SQS allowed no more until 2025; it allows 1 MiB now, but each
#: queue has a limit of its own, which may be the old one
#: (https://aws.amazon.com/blogs/compute/more-room-to-build-serverless-services-now-support-payloads-up-to-1-mb).
SQS_LIMIT = 256 * 2**10
PICTURE_QUALITY = 85  # JPEG quality
# What Pillow raises over bytes that are no image, or are one of enormous size.
_NO_IMAGE = (OSError, SyntaxError, Image.DecompressionBombError)
MAX_ENCODED_PIXELS = 240_000  # characters; noise, which cannot be compressed, takes 200,000 as lossless WebP


class BadMessageError(ValueError):
    """A message cannot be decoded."""


def encode_pixels(pixels: npt.NDArray[np.uint8]) -> str:
    """Encode pixels as text, without loss.

    Lossless WebP takes 0.4 of the bytes of a photo; PNG takes 0.6, and twice the time.

    :param pixels: ``uint8[224, 224, 3]``, RGB.
    :return: a WebP file in base64.
    """
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", lossless=True, quality=0, method=0)
    return base64.b64encode(file.getvalue()).decode("ascii")


def decode_pixels(text: object) -> npt.NDArray[np.uint8]:
    """Decode what ``encode_pixels`` returned.

    :return: ``uint8[224, 224, 3]``, RGB.
    :raises BadMessageError: it is not a WebP file of 224×224 pixels in base64.
    """
    if not isinstance(text, str) or len(text) > MAX_ENCODED_PIXELS:
        raise BadMessageError("the message holds no image, or one that is too large")
    try:
        file = io.BytesIO(base64.b64decode(text, validate=True))
        with Image.open(file, formats=["WEBP"]) as image:
            if image.size != (IMAGE_SIZE, IMAGE_SIZE):
                raise BadMessageError(f"the image has {image.width}×{image.height} pixels")
            return np.asarray(image.convert("RGB"))
    except (binascii.Error, *_NO_IMAGE) as error:
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
    return asdict(identification)


def decode_identification(message: Any) -> Identification:
    """Decode what ``encode_identification`` returned. The labels are those of the worker's pair.

    A worker of an earlier release says less.

    :raises BadMessageError: it is not an answer of this release; the worker may be of another one.
    """
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
