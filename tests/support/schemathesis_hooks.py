"""What schemathesis cannot draw from the description alone: real pictures, in the place of random bytes."""

import schemathesis
from hypothesis import strategies

from .fuzz import files_of_each_format

PICTURES = strategies.sampled_from([content for _name, content in files_of_each_format()])

for media_type in ("jpeg", "png", "gif", "webp", "heic", "heif", "avif"):
    schemathesis.openapi.media_type(f"image/{media_type}", PICTURES)
schemathesis.openapi.format("binary", PICTURES)  # of the file in a form
