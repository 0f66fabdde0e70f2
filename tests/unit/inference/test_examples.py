"""inference/examples.py: what the app accepts of the files in ``examples/``."""

import json
import os
from pathlib import Path

import pytest

from inference import MODEL_FILE
from inference.examples import (
    EXAMPLES_FILE,
    EXAMPLES_FOLDER,
    MAX_EXAMPLE_SIZE,
    ExampleList,
    Examples,
    example_file,
    load_examples,
    write_example_list,
)

SHA256 = "5eed" * 16
JPEG = b"\xff\xd8\xff\xe0 and so on"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of examples, with two of the second label."""
    folder = tmp_path / EXAMPLES_FOLDER
    folder.mkdir()
    write_example_list(folder, ExampleList(SHA256, [0, 2]))
    for number in (1, 2):
        (folder / example_file(SHA256, 1, number)).write_bytes(JPEG)
    return folder


def load(folder: Path, sha256: str = SHA256) -> Examples | None:
    return load_examples(folder.with_name(MODEL_FILE), sha256)


def test_the_examples_that_are_listed_are_found(folder):
    examples = load(folder)
    assert [examples.numbers(index) for index in (0, 1, 2, 10**30)] == [[], [1, 2], [], []]
    assert examples.read(1, 2) == JPEG
    assert [examples.read(*which) for which in ((0, 1), (1, 0), (1, 3), (1, 10**30), (2, 1))] == [None] * 5


def test_a_file_that_is_not_listed_is_not_found(folder):
    (folder / example_file(SHA256, 0, 1)).write_bytes(JPEG)
    (folder / example_file(SHA256, 1, 3)).write_bytes(JPEG)
    assert (load(folder).read(0, 1), load(folder).read(1, 3)) == (None, None)


def test_where_there_are_no_examples_nothing_is_logged(tmp_path, caplog):
    assert load(tmp_path / EXAMPLES_FOLDER) is None
    assert caplog.messages == []


def test_examples_of_another_model_are_ignored_with_one_logged_line(folder, caplog):
    assert load(folder, "0" * 64) is None
    [line] = caplog.messages
    assert line == f"{folder / EXAMPLES_FILE} is ignored: it belongs to another model than {MODEL_FILE}."


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"\xff\xfe", b"[]", b"3", b"null", b"{}", b"[" * 100_000, b'{"photos": ' + b'{"a": ' * 100_000),
        *(
            json.dumps(listed).encode()
            for listed in (
                {"model_sha256": SHA256},
                {"photos": [1]},
                {"model_sha256": SHA256, "photos": [4]},
                {"model_sha256": SHA256, "photos": [-1]},
                {"model_sha256": SHA256, "photos": [0.5]},
                {"model_sha256": SHA256, "photos": [10**400]},
                {"model_sha256": SHA256, "photos": ["../../secret.jpg"]},
                {"model_sha256": SHA256, "photos": {"0": "/etc/passwd"}},
                {"model_sha256": "../..", "photos": [1]},
                {"model_sha256": SHA256, "photos": [0] * 2**20},
            )
        ),
    ],
    ids=lambda content: repr(content[-40:]),
)
def test_a_list_that_training_does_not_write_is_ignored_with_one_logged_line(folder, content, caplog):
    (folder / EXAMPLES_FILE).write_bytes(content)
    assert load(folder) is None
    [line] = caplog.messages
    assert line == f"{folder / EXAMPLES_FILE} is ignored: it is not a list of examples that training wrote."


def put_link(path: Path) -> None:
    secret = path.parents[1] / "secret.jpg"
    secret.write_bytes(JPEG)
    path.symlink_to(secret)


@pytest.mark.parametrize(
    "put",
    [
        put_link,
        Path.mkdir,
        os.mkfifo,  # whoever opened it would wait for ever
        lambda path: path.write_bytes(b"<html><script>alert(1)</script>"),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(JPEG + bytes(MAX_EXAMPLE_SIZE)),
        lambda _path: None,
    ],
    ids=["link", "folder", "pipe", "page", "empty", "large", "missing"],
)
def test_what_is_no_small_jpeg_file_is_not_shown(folder, put):
    path = folder / example_file(SHA256, 1, 1)
    path.unlink()
    put(path)
    examples = load(folder)
    assert examples.numbers(1) == [2]
    assert examples.read(1, 1) is None
