"""feedback/photo_store.py: photos in a folder, which may be away for a while."""

from datetime import timedelta
from pathlib import Path

import pytest

from feedback import corrections as module
from feedback.export import export_accepted
from feedback.schema import Status
from tests.support.corrections import claim, decide


def test_what_is_deleted_while_the_folder_is_away_goes_once_it_is_back(corrections, places, stored, monkeypatch):
    kept = claim(corrections, photo=1)
    folder = Path(places[1])
    folder.rename(folder.with_name("away"))
    assert corrections.delete(kept.token)
    folder.with_name("away").rename(folder)
    assert stored() == 1
    monkeypatch.setattr(module, "STRAY_AFTER", timedelta(0))
    corrections.sweep()
    assert stored() == 0


def test_nothing_is_exported_while_the_folder_is_away(corrections, places, tmp_path):
    decide(corrections, claim(corrections, photo=1), Status.ACCEPTED, "Cardinal")
    folder = Path(places[1])
    folder.rename(folder.with_name("away"))
    with pytest.raises(FileNotFoundError):
        export_accepted(corrections, tmp_path / "data")
    folder.with_name("away").rename(folder)
    assert export_accepted(corrections, tmp_path / "data").written == 1
