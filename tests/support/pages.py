"""What a page shows, read from its HTML."""

import base64
import io
import re
from html import unescape

from PIL import Image


def sentence_on(page: str) -> str:
    """The only message on a page."""
    (sentence,) = re.findall(r'<p class="message" role="alert">(.*?)</p>', page)
    return unescape(sentence)


def headings_on(page: str) -> list[str]:
    """What the answers on a page say, in order, without markup."""
    headings = re.findall(r'<h\d class="(?:species|unsure|unnamed)">(.+?)</h\d>', page, re.DOTALL)
    return [unescape(re.sub("<.*?>", "", heading)) for heading in headings]


def species_on(page: str) -> str:
    """The species that the only answer on a page names."""
    (species,) = re.findall(r"Predicted : (.*?)<", page)
    return unescape(species)


def percent_on(page: str) -> float:
    """The confidence of the only answer on a page, in percent."""
    (percent,) = re.findall(r"Confidence \[0-100\]% : (\d+(?:\.\d{1,4})?) %", page)
    return float(percent)


def thumbnail_file_on(page: str) -> bytes:
    """The JPEG file of the only thumbnail on a page."""
    (jpeg,) = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", page)
    return base64.b64decode(jpeg)


def thumbnail_on(page: str) -> Image.Image:
    """The only thumbnail on a page."""
    with Image.open(io.BytesIO(thumbnail_file_on(page))) as image:
        assert image.format == "JPEG"
        return image.copy()


def color_on(page: str) -> tuple[int, ...]:
    """The color of the only thumbnail on a page, RGB."""
    return thumbnail_on(page).convert("RGB").getpixel((50, 50))
