"""What goes through the queue, as JSON: pixels to a worker, and what the network says of them back."""

import base64
import binascii
import io
from dataclasses import asdict
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from inference import IMAGE_SIZE, Candidate, Identification

#: Bytes of a message that any Amazon SQS queue takes. That was the limit until 2025; it is 1 MiB now, but a queue has a
#: limit of its own, which may be the old one
#: (https://aws.amazon.com/blogs/compute/more-room-to-build-serverless-services-now-support-payloads-up-to-1-mb).
SQS_LIMIT = 256 * 2**10
MAX_PICTURE = 240_000  # characters; of noise, which nothing compresses, lossless WebP makes 200 thousand


class BadMessageError(ValueError):
    """A message holds no pixels, or no answer."""


def encode_pixels(pixels: np.ndarray) -> str:
    """Pixels as text, without loss.

    Lossless WebP takes 0.4 of the bytes of a photograph, PNG 0.6 and twice the time.

    :param pixels: ``uint8[224, 224, 3]``, RGB.
    :return: base64 of a WebP file.
    """
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", lossless=True, quality=0, method=0)
    return base64.b64encode(file.getvalue()).decode("ascii")


def decode_pixels(picture: str) -> np.ndarray:
    """What ``encode_pixels`` was given.

    :raises BadMessageError: it is not a WebP file of 224×224 pixels.
    """
    if not isinstance(picture, str) or len(picture) > MAX_PICTURE:
        raise BadMessageError("the message holds no picture, or one that is too large")
    try:
        file = io.BytesIO(base64.b64decode(picture, validate=True))
        with Image.open(file, formats=["WEBP"]) as image:
            if image.size != (IMAGE_SIZE, IMAGE_SIZE):
                raise BadMessageError(f"the picture has {image.width}×{image.height} pixels")
            return np.asarray(image.convert("RGB"))
    except (binascii.Error, UnidentifiedImageError, OSError, SyntaxError) as error:
        raise BadMessageError("the message holds no picture") from error


def encode_identification(identification: Identification) -> dict[str, Any]:
    """What the network says, for JSON."""
    return asdict(identification)


def decode_identification(message: dict[str, Any]) -> Identification:
    """What ``encode_identification`` was given: the labels are those of the worker's model, whatever the web's are.

    :raises BadMessageError: it is not; the worker may be of another release.
    """
    try:
        candidates = tuple(Candidate(str(each["label"]), float(each["confidence"])) for each in message["candidates"])
        return Identification(
            str(message["label"]),
            float(message["confidence"]),
            candidates,
            str(message["model"]),
            float(message["seconds"]),
        )
    except (LookupError, TypeError, ValueError) as error:
        raise BadMessageError("the message holds no answer") from error
