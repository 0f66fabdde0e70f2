"""What the tests of the command line share."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.support.drawings import encoded

MakePhotos = Callable[[dict[str, str | bytes]], list[Path]]


@pytest.fixture
def photos(tmp_path: Path) -> MakePhotos:
    """Writes files: a color in the place of the content is a photo of that color."""

    def photos(contents: dict[str, str | bytes]) -> list[Path]:
        for name, content in contents.items():
            if isinstance(content, str):
                content = encoded(Image.new("RGB", (40, 30), content), "PNG")
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
        return [tmp_path / name for name in contents]

    return photos
