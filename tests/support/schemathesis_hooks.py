"""What schemathesis cannot generate from the description alone: real photos, and parts that lie within a photo."""

import schemathesis
from hypothesis import strategies

from inference.regions import SMALLEST

from .fuzz import files_of_each_format

PHOTOS = strategies.sampled_from([content for _name, content in files_of_each_format()])

for media_type in ("jpeg", "png", "gif", "webp", "heic", "heif", "avif"):
    schemathesis.openapi.media_type(f"image/{media_type}", PHOTOS)
schemathesis.openapi.format("binary", PHOTOS)  # of the file in a form


@strategies.composite
def crops(draw: strategies.DrawFn) -> str:
    """Four numbers that are a part of a photo."""
    x, y = draw(strategies.floats(0, 1 - SMALLEST)), draw(strategies.floats(0, 1 - SMALLEST))
    return f"{x},{y},{draw(strategies.floats(SMALLEST, 1 - x))},{draw(strategies.floats(SMALLEST, 1 - y))}"


schemathesis.openapi.format("crop", crops())
