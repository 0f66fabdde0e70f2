"""cli.photo_files: which files of the paths that a person names are identified, in which order, and which are not."""

import os
from pathlib import Path

import pytest

from cli.photo_files import PhotoFiles, find_photos


def found_in(*paths: Path) -> list[Path]:
    """The photos; every folder can be opened."""
    found = find_photos(paths)
    assert found.unreadable == []
    return found.photos


def test_folders_are_searched_in_alphabetical_order_for_files_that_are_named_like_photos_or_are_photos(
    tmp_path, photos
):
    expected = photos(
        {
            "1000012345": "red",
            "a.JPG": "red",
            "b/blob": "red",
            "b/c.png": "red",
            "b/d/e.heic": b"",
            "f.webp": b"",
            "g.jfif": "red",
            "h.jpg_large": "red",
            "i.odd": "red",
        }
    )
    photos({"notes.txt": b"", "b/no extension": b"", "b/film.mp4": b""})
    assert found_in(tmp_path) == expected


def test_other_files_of_folders_are_counted_by_kind(tmp_path, photos):
    photos(
        {"a.jpg": "red", "b.NEF": b"II*\0", "c/d.nef": b"II*\0", "c/e.tif": b"II*\0", "c/film": b"", "d.odd name": b""}
    )
    others = find_photos([tmp_path]).others_listed
    assert others == (
        "Not looked at: 5 files that are none of AVIF, GIF, HEIF, JPEG, PNG, WEBP: "
        "2 .nef, 2 without an extension, 1 .tif."
    )


def test_one_other_file_is_counted_in_the_singular_and_none_in_no_sentence(tmp_path, photos):
    photos({"a.jpg": "red"})
    assert find_photos([tmp_path]).others_listed == ""
    photos({"b.tif": b"II*\0"})
    others = find_photos([tmp_path]).others_listed
    assert others == "Not looked at: 1 file that is none of AVIF, GIF, HEIF, JPEG, PNG, WEBP: 1 .tif."


def test_rare_kinds_of_many_are_counted_together(tmp_path, photos):
    photos({f"film.{number:03}": b"" for number in range(12)})
    assert find_photos([tmp_path]).others_listed.endswith(": 1 .000, 1 .001, 1 .002, 1 .003, 1 .004, 1 .005, 1 .006, "
                                                          "1 .007, 1 .008, 1 .009, 2 of other kinds.")  # fmt: skip


@pytest.mark.parametrize(
    ("name", "may_be_a_picture"),
    [
        ("a.nef", True),
        ("a.TIF", True),
        ("a.mp4", True),
        ("blob", True),
        ("a.xmp", False),
        ("a.TXT", False),
        ("a.CTG", False),
    ],
)
def test_notes_beside_photos_are_no_pictures_that_were_passed_over(tmp_path, photos, name, may_be_a_picture):
    photos({"a.jpg": "red", name: b"II*\0"})
    assert find_photos([tmp_path]).may_lack_pictures is may_be_a_picture


def test_what_computers_leave_in_folders_is_not_counted(tmp_path, photos):
    photos({".DS_Store": b"", "__MACOSX/._a.jpg": b"", "Thumbs.db": b"", "desktop.ini": b"", ".cache/a.tif": b""})
    photos({"System Volume Information/WPSettings.dat": b"", "$RECYCLE.BIN/a.jpg": "red", "@eaDir/a.jpg": "red"})
    assert find_photos([tmp_path]) == PhotoFiles()


def test_the_list_that_is_written_is_not_counted(tmp_path, photos):
    (path,) = photos({"list.csv": b"file"})
    assert find_photos([tmp_path], leave_out=path) == PhotoFiles()


@pytest.mark.parametrize("name", ["pipe", "pipe.jpg"])
def test_a_pipe_is_not_opened(tmp_path, name):
    path = tmp_path / name
    os.mkfifo(path)  # to open it would wait for ever
    found = find_photos([tmp_path])
    assert found.photos == []
    assert found.others_listed.endswith(": 1 broken link, pipe or device.")
    named = find_photos([path])
    assert named.photos == []
    assert [each.error for each in named.unreadable] == ["This is not a file but a pipe or a device."]


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


def test_a_link_that_leads_nowhere_and_is_not_named_like_a_photo_is_counted(tmp_path):
    (tmp_path / "nowhere").symlink_to(tmp_path / "none")
    assert find_photos([tmp_path]).others_listed.endswith(": 1 broken link, pipe or device.")


def test_a_file_whose_name_says_nothing_and_that_cannot_be_read_fails_with_a_sentence(tmp_path, photos, monkeypatch):
    (path,) = photos({"blob": "red"})

    # root may read every file: the refusal stands in for the rights that others lack.
    def refuse(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    found = find_photos([tmp_path])
    assert [(each.path, each.error) for each in found.unreadable] == [
        (path, "The file cannot be read: Permission denied.")
    ]


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
    found = find_photos([tmp_path])
    (closed,) = found.unreadable
    assert found.photos == [path]
    assert (closed.path, closed.error) == (tmp_path / "closed", "The folder cannot be opened: Permission denied.")


@pytest.mark.parametrize("paths", [[], [Path(__file__).parent / "conftest.py" / ".."]], ids=["none", "no photos"])
def test_where_no_photo_is_none_is_found(paths):
    assert found_in(*[path.resolve() for path in paths]) == []
