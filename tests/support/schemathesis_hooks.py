"""What schemathesis cannot generate from the description alone: real photos instead of random bytes."""

import schemathesis
from hypothesis import strategies

from .fuzz import files_of_each_format

PHOTOS = strategies.sampled_from([content for _name, content in files_of_each_format()])

for media_type in ("jpeg", "png", "gif", "webp", "heic", "heif", "avif"):
    schemathesis.openapi.media_type(f"image/{media_type}", PHOTOS)
schemathesis.openapi.format("binary", PHOTOS)  # of the file in a form
