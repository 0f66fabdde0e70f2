"""cli.identify.find_photos: which files of the paths that a person names are identified, and in which order."""

import os
from pathlib import Path

import pytest

from cli.identify import find_photos


def found_in(*paths: Path) -> list[Path]:
    """The files; every folder can be opened."""
    files, unreadable = find_photos(paths)
    assert unreadable == []
    return files


def test_folders_are_searched_in_alphabetical_order_for_files_with_the_extension_of_a_photo(tmp_path, photos):
    expected = photos({"a.JPG": "red", "b/c.png": "red", "b/d/e.heic": b"", "f.webp": b""})
    photos({"notes.txt": b"", "b/no extension": b"", "b/film.mp4": b""})
    assert found_in(tmp_path) == expected


def test_hidden_files_and_folders_are_left_out(tmp_path, photos):
    photos({"._a.jpg": b"what a Mac leaves", ".trash/b.jpg": "red"})
    assert found_in(tmp_path) == []


def test_a_file_that_is_named_is_taken_whatever_its_name(photos):
    paths = photos({"notes.txt": b"", "no extension": "red", ".hidden.jpg": "red"})
    assert found_in(*paths) == paths


def test_paths_are_searched_in_the_order_in_which_they_are_named(photos):
    second, first = photos({"a.jpg": "red", "b.jpg": "red"})
    assert found_in(first, second) == [first, second]


def test_a_file_that_is_reached_twice_is_taken_once(tmp_path, photos):
    (path,) = photos({"a.jpg": "red"})
    (tmp_path / "again.jpg").symlink_to(path)
    assert found_in(path, path, tmp_path, tmp_path) == [path]


def test_a_folder_that_leads_back_to_itself_is_searched_once(tmp_path, photos):
    (path,) = photos({"a/b.jpg": "red"})
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert found_in(tmp_path) == [path]


def test_a_link_that_leads_nowhere_is_taken_so_that_it_is_reported(tmp_path):
    link = tmp_path / "nowhere.jpg"
    link.symlink_to(tmp_path / "none.jpg")
    assert found_in(tmp_path) == [link]


def test_a_folder_that_cannot_be_opened_fails_with_a_sentence_and_the_others_are_searched(
    tmp_path, photos, monkeypatch
):
    (path,) = photos({"open/a.jpg": "red"})
    (tmp_path / "closed").mkdir()
    listdir = os.listdir

    # root may open every folder: the refusal stands in for the rights that others lack.
    def refuse(folder: Path) -> list[str]:
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied")
        return listdir(folder)

    monkeypatch.setattr(os, "listdir", refuse)
    files, (closed,) = find_photos([tmp_path])
    assert files == [path]
    assert (closed.path, closed.error) == (tmp_path / "closed", "The folder cannot be opened: Permission denied.")


@pytest.mark.parametrize("paths", [[], [Path(__file__).parent / "conftest.py" / ".."]], ids=["none", "no photos"])
def test_where_no_photo_is_none_is_found(paths):
    assert found_in(*[path.resolve() for path in paths]) == []
