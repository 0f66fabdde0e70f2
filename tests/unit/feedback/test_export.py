"""Accepted photos become a folder for training, and what was deleted goes from there."""

import io
import json

import pytest
from PIL import Image

from feedback.errors import FeedbackError
from feedback.export import MANIFEST, export_accepted
from feedback.schema import OTHER_LABEL, Claim, Status
from tests.support.corrections import claim, decide, jpeg, pattern
from tests.support.disk import no_room


@pytest.fixture
def data(tmp_path):
    """The folder that is exported to."""
    return tmp_path / "data"


def accepted(corrections, label, **values):
    """Send a correction and accept it."""
    kept = claim(corrections, **values)
    decide(corrections, kept, Status.ACCEPTED, label)
    return kept


def files(data):
    """The files in a folder, without hidden ones."""
    return sorted(str(path.relative_to(data)) for path in data.rglob("*.*") if not path.name.startswith("."))


def labels(data):
    """The folders of the photos, one for each photo."""
    return [file.partition("/")[0] for file in files(data)]


def test_accepted_photos_are_written_below_their_labels_and_nothing_else(corrections, data):
    kept = accepted(corrections, "Blue Jay", photo=1)
    accepted(corrections, OTHER_LABEL, photo=2)
    claim(corrections, photo=3)
    decide(corrections, claim(corrections, photo=4), Status.REJECTED)
    accepted(corrections, "Cardinal")
    done = export_accepted(corrections, data)
    assert labels(data) == ["Blue Jay", "_other"]
    assert (data / f"Blue Jay/{corrections.find(kept.token).photo}.jpg").read_bytes() == jpeg(pattern(1))
    assert done.in_words() == ["Written: 2 photos. There already: 0. Removed: 0."]
    assert export_accepted(corrections, data).in_words() == ["Written: 0 photos. There already: 2. Removed: 0."]


def test_what_the_answer_was_about_is_cut_out_with_some_margin(corrections, data):
    accepted(corrections, "Cardinal", photo=1, region="0.5000,0.5000,0.2500,0.2500")
    export_accepted(corrections, data)
    with Image.open(data / files(data)[0]) as part:
        assert part.size == (96, 72)  # of 320 × 240


def test_what_was_deleted_rejected_or_relabelled_goes_with_the_next_export(corrections, data):
    deleted, rejected, relabelled, stays = (accepted(corrections, "Cardinal", photo=seed) for seed in range(4))
    export_accepted(corrections, data)
    (data / "Cardinal" / "my own.jpg").write_bytes(b"mine")
    (data / "Blue Jay").mkdir()
    (data / "Blue Jay" / "another.jpg").write_bytes(b"mine")
    corrections.delete(deleted.token)
    decide(corrections, rejected, Status.REJECTED)
    decide(corrections, relabelled, Status.ACCEPTED, "Blue Jay")
    done = export_accepted(corrections, data)
    assert (done.written, done.unchanged, done.removed) == (1, 1, 3)
    assert files(data) == sorted(
        [
            "Blue Jay/another.jpg",
            f"Blue Jay/{corrections.find(relabelled.token).photo}.jpg",
            "Cardinal/my own.jpg",
            f"Cardinal/{corrections.find(stays.token).photo}.jpg",
        ]
    )


def test_a_label_without_photos_leaves_no_folder(corrections, data):
    kept = accepted(corrections, "Cardinal", photo=1)
    export_accepted(corrections, data)
    corrections.delete(kept.token)
    export_accepted(corrections, data)
    assert [path.name for path in data.iterdir()] == [MANIFEST]


def test_of_near_duplicates_one_is_written_and_none_if_their_labels_differ(corrections, data):
    small = jpeg(pattern(1).resize((160, 120)))
    accepted(corrections, "Cardinal", photo=1)
    second = accepted(corrections, "Cardinal", photo=small, client="two")
    done = export_accepted(corrections, data)
    assert (done.written, done.duplicates) == (1, 1)
    decide(corrections, second, Status.ACCEPTED, "Blue Jay")
    done = export_accepted(corrections, data)
    assert (done.removed, done.contradicting, files(data)) == (1, 2, [])
    assert "Left out: 2 near-duplicates with different labels." in done.in_words()


@pytest.mark.parametrize(
    "label", ["", "..", ".", "a/b", "../up", ".hidden", "a\nb", "a\\b", " a", "x" * 256, "ä" * 200]
)
def test_a_label_that_cannot_be_the_name_of_a_folder_is_left_out(corrections, data, label):
    accepted(corrections, label, photo=1)
    done = export_accepted(corrections, data)
    assert (done.unlabelled, done.written) == (1, 0)
    assert [path.name for path in data.iterdir()] == [MANIFEST]


def test_photos_that_nobody_reviewed_are_exported_if_the_operator_says_so(corrections, data):
    claim(corrections, "Cardinal", photo=1)
    claim(corrections, "Kākāpō", photo=2)
    claim(corrections, Claim.NO_BIRD, photo=3)
    claim(corrections, Claim.UNKNOWN, photo=4)
    claim(corrections, Claim.RIGHT, photo=5)
    done = export_accepted(corrections, data, include_unreviewed=True)
    assert labels(data) == ["American_Goldfinch", "Cardinal", "_other"]
    assert done.unlabelled == 2
    assert export_accepted(corrections, data).removed == 3


def test_what_a_reviewer_decided_goes_before_what_another_visitor_claims(corrections, data):
    claim(corrections, "Blue Jay", photo=1)
    accepted(corrections, "Cardinal", photo=1, client="two")
    export_accepted(corrections, data, include_unreviewed=True)
    assert labels(data) == ["Cardinal"]


def test_a_photo_that_is_lost_is_said(corrections, data):
    kept = accepted(corrections, "Cardinal", photo=1)
    corrections.photos.delete(corrections.find(kept.token).photo)
    assert "Left out: 1 missing or damaged in the photo store." in export_accepted(corrections, data).in_words()


@pytest.mark.parametrize("region", ["", "0.1,0.1,0.5,0.5"])
@pytest.mark.parametrize("length", [0, 2000])
def test_a_photo_that_is_damaged_keeps_no_other_from_being_exported(corrections, data, region, length):
    damaged, _whole = (accepted(corrections, "Cardinal", photo=seed, region=region) for seed in (1, 2))
    key = corrections.find(damaged.token).photo
    corrections.photos.write(key, corrections.photos.read(key)[:length])
    exported = export_accepted(corrections, data)
    assert (exported.written, exported.lost) == (1, 1)


@pytest.mark.parametrize(
    "names", [["../../outside.jpg"], ["Cardinal/x.jpg/../../a.jpg"], ["/etc/passwd"], [1], {}, None]
)
def test_a_damaged_list_removes_nothing(corrections, data, names):
    data.mkdir()
    (data.parent / "outside.jpg").write_bytes(b"not ours")
    (data / MANIFEST).write_text(json.dumps(names) if names is not None else "{")
    with pytest.raises(FeedbackError, match=r"is damaged, so nobody knows"):
        export_accepted(corrections, data)
    assert (data.parent / "outside.jpg").exists()


def test_no_export_goes_among_other_photos(corrections, data):
    accepted(corrections, "Cardinal", photo=1)
    (data / "Cardinal").mkdir(parents=True)
    (data / "Cardinal" / "001.jpg").write_bytes(b"mine")
    with pytest.raises(FeedbackError, match="holds files that no export wrote"):
        export_accepted(corrections, data)
    assert [path.name for path in data.rglob("*") if path.is_file()] == ["001.jpg"]


def test_after_a_full_disk_the_next_export_goes_on(corrections, data):
    content = io.BytesIO(jpeg(pattern(1, (3200, 2400)), 100)).getvalue()
    kept = accepted(corrections, "Cardinal", photo=content)
    with no_room(2**21), pytest.raises(OSError, match="File too large"):
        export_accepted(corrections, data)
    assert files(data) == []
    assert not list(data.glob(".*.new"))
    assert export_accepted(corrections, data).written == 1
    corrections.delete(kept.token)
    export_accepted(corrections, data)
    assert files(data) == []
