"""inference/formats.py: which files count as photos."""

import os

import pytest

from inference.formats import is_photo_file
from tests.support.drawings import encoded
from tests.support.photographs import bird

JPEG = encoded(bird(), "JPEG")


@pytest.mark.parametrize(
    "name",
    ["from-chrome.jfif", "from-ie.JPE", "1000012345", "saved.jpg_large", "bird.jpg?width=200", "IMG_1.JPG ", "blob"],
)
def test_a_file_in_a_folder_is_a_photo_whatever_its_name_if_it_begins_like_one(tmp_path, name):
    (tmp_path / name).write_bytes(JPEG)
    assert is_photo_file(tmp_path / name)


@pytest.mark.parametrize("name", ["bird.JPG", "bird.webp", "DSC00012.HIF"])
def test_a_file_named_like_a_photo_is_one_without_being_opened(tmp_path, name):
    assert is_photo_file(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("scan.tif", encoded(bird(), "TIFF")),
        ("notes.txt", b"a goldfinch"),
        ("empty", b""),
        ("VID_1.mp4", b"\0\0\0\x20ftypisom\0\0\2\0"),
        ("IMG_2.CR3", b"\0\0\0\x18ftypcrx \0\0\0\1"),
    ],
)
def test_a_file_of_another_kind_is_none(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert not is_photo_file(tmp_path / name)


def test_a_named_pipe_is_none_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert not is_photo_file(tmp_path / "pipe")
