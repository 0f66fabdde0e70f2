"""The source bundle: nothing but what production needs. Whether that is enough, ``make rehearse`` tells."""

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from deploy import bundle
from inference import LABELS_FILE, MODEL_FILE

from .fuzz import KERAS2


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like this one, with what lies about in one that is used."""
    for path in [Path(".ebignore"), *bundle.files()]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(bundle.ROOT / path, tmp_path / path)
    shutil.copy(KERAS2 / "model.h5", tmp_path / "models" / MODEL_FILE)  # a small pair
    shutil.copy(KERAS2 / "class_indices.npy", tmp_path / "models" / LABELS_FILE)
    for path in [
        *(".git/config", ".venv/bin/python", ".elasticbeanstalk/config.yml", "bundle.zip", "photo.jpg"),
        *("uploads/left.upload", "models/checkpoint.h5", "models/old.h5", "inference/__pycache__/line.pyc"),
        *("static/photos.js~", "tests/test_line.py", "deploy/rehearsal/nginx.conf", "requirements-dev.txt", ".env"),
    ]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("not for production")
    monkeypatch.setattr(bundle, "ROOT", tmp_path)
    monkeypatch.setattr(bundle, "BUNDLE", tmp_path / "bundle.zip")
    return tmp_path


def test_nothing_that_lies_about_gets_into_it(project):
    bundle.write(project / "made.zip")
    with zipfile.ZipFile(project / "made.zip") as archive:
        assert not [name for name in archive.namelist() if archive.read(name) == b"not for production"]
        assert {"application.py", "Procfile", ".platform/nginx/conf.d/birds.conf"} <= set(archive.namelist())
        assert archive.testzip() is None


def test_all_of_it_is_committed():
    tracked = subprocess.run(["git", "ls-files"], cwd=bundle.ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("this is no git repository")
    assert {str(path) for path in bundle.files()} <= set(tracked.stdout.splitlines())


def test_its_size_is_said(project, capsys):
    bundle.main()
    size = (project / "bundle.zip").stat().st_size
    assert capsys.readouterr().out == (f"bundle.zip: {size / 1e6:.1f} MB of the 500 MB that Elastic Beanstalk takes\n")


def test_a_pair_that_cannot_be_used_is_not_deployed(project):
    (project / "models" / "class_indices.npy").write_bytes(b"no labels")
    with pytest.raises(SystemExit, match=r"bundle: .*class_indices\.npy"):
        bundle.main()
    assert (project / "bundle.zip").read_text() == "not for production"


def test_one_that_is_too_large_is_not_left_there(project, monkeypatch):
    monkeypatch.setattr(bundle, "LARGEST", 1000)
    with pytest.raises(SystemExit, match=r"bundle: [0-9]+ MB are more than the 0 MB that Elastic Beanstalk takes"):
        bundle.main()
    assert not (project / "bundle.zip").exists()
