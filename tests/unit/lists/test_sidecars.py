"""lists/sidecars.py: which file holds the keywords of a photo, and how it is written."""

import os
import stat

import pytest

from lists import sidecars
from lists.sidecars import add_keywords, sidecar_of
from lists.xmp import EMPTY, with_keywords
from lists.xmp_packet import NotXmpError

PATH = ("Birds", "Great Tit")


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([], "a.b.jpg.xmp"),
        (["a.b.xmp"], "a.b.xmp"),
        (["a.b.xmp", "a.b.jpg.xmp"], "a.b.jpg.xmp"),
        (["a.b.xmp", "a.b.CR2"], "a.b.jpg.xmp"),
        (["a.b.xmp", "a.b.c.jpg", "a.b.c.xmp"], "a.b.xmp"),
    ],
)
def test_the_sidecar_is_the_one_that_photo_programs_take(tmp_path, others, expected):
    photo = tmp_path / "a.b.jpg"
    for name in (photo.name, *others):
        (tmp_path / name).touch()
    assert sidecar_of(photo).name == expected


def test_a_sidecar_is_begun_and_then_not_written_again_and_nothing_else_changes(tmp_path):
    photo = tmp_path / "[a].jpg"
    photo.write_bytes(b"photo")
    before = photo.stat()
    assert add_keywords(photo, [PATH])
    sidecar = tmp_path / "[a].jpg.xmp"
    written = sidecar.stat()
    assert not add_keywords(photo, [PATH])
    assert (sidecar.stat().st_ino, sidecar.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["[a].jpg", "[a].jpg.xmp"]
    after = photo.stat()
    assert (photo.read_bytes(), after.st_mtime_ns, after.st_ino) == (b"photo", before.st_mtime_ns, before.st_ino)


def test_a_sidecar_that_is_empty_is_begun(tmp_path):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "a.jpg.xmp").touch()
    assert add_keywords(tmp_path / "a.jpg", [PATH])
    assert (tmp_path / "a.jpg.xmp").read_bytes() == with_keywords(EMPTY, [PATH])


def test_a_link_stays_a_link_and_permissions_stay(tmp_path):
    target = tmp_path / "elsewhere.xmp"
    target.write_bytes(EMPTY)
    target.chmod(0o640)
    (tmp_path / "a.jpg.xmp").symlink_to(target.name)
    assert add_keywords(tmp_path / "a.jpg", [PATH])
    assert (tmp_path / "a.jpg.xmp").is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert b"Great Tit" in target.read_bytes()


def test_a_sidecar_that_cannot_be_replaced_stays_as_it_is_and_nothing_is_left_behind(tmp_path, monkeypatch):
    sidecar = tmp_path / "a.jpg.xmp"
    sidecar.write_bytes(EMPTY)

    def full(_from, _to):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        add_keywords(tmp_path / "a.jpg", [PATH])
    assert [each.name for each in tmp_path.iterdir()] == ["a.jpg.xmp"]
    assert sidecar.read_bytes() == EMPTY


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_not_read(tmp_path, make):
    make(tmp_path / "a.jpg.xmp")
    with pytest.raises(NotXmpError, match="not a file"):
        add_keywords(tmp_path / "a.jpg", [PATH])


def test_a_file_that_is_too_large_for_a_sidecar_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(sidecars, "MAX_SIZE", 10)
    (tmp_path / "a.jpg.xmp").write_bytes(EMPTY)
    with pytest.raises(NotXmpError, match="larger"):
        add_keywords(tmp_path / "a.jpg", [PATH])
