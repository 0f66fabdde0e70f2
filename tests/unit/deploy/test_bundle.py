"""The source bundle holds what production needs and nothing else; ``make rehearse`` tests that it is enough."""

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from deploy import bundle
from deploy.needed_packages import COMPILED_FILE, why_not_compiled
from inference import LABELS_FILE, MODEL_FILE
from inference.examples import EXAMPLES_FOLDER, ExampleList, example_file, write_example_list

SMALL_PAIR = bundle.ROOT / "tests" / "support" / "keras2"


@pytest.fixture(scope="module")
def bundled() -> list[Path]:
    """The files of this project that the bundle holds; looking for them takes seconds."""
    return bundle.bundled_files()


@pytest.fixture
def project(tmp_path: Path, bundled: list[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the bundled files with a small pair, among the litter of a folder in daily use."""
    for path in [Path(".ebignore"), *bundled]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(bundle.ROOT / path, tmp_path / path)
    shutil.copy(SMALL_PAIR / "model.h5", tmp_path / "models" / MODEL_FILE)
    shutil.copy(SMALL_PAIR / "class_indices.npy", tmp_path / "models" / LABELS_FILE)
    for path in [
        *(".git/config", ".venv/bin/python", ".elasticbeanstalk/config.yml", "bundle.zip", "photo.jpg"),
        *("uploads/left.upload", "models/checkpoint.h5", "models/old.h5", "inference/__pycache__/photo.pyc"),
        "models/examples/notes.txt",
        *("static/photos.js~", "tests/test_photo.py", "deploy/rehearsal/nginx.conf", "requirements-dev.txt", ".env"),
    ]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("not for production")
    write_example_list(tmp_path / "models" / EXAMPLES_FOLDER, ExampleList("0" * 64, [1]))
    (tmp_path / "models" / EXAMPLES_FOLDER / example_file("0" * 64, 0, 1)).write_bytes(b"a photo")
    monkeypatch.setattr(bundle, "ROOT", tmp_path)
    monkeypatch.setattr(bundle, "BUNDLE", tmp_path / "bundle.zip")
    return tmp_path


def test_it_holds_the_app_and_no_litter(project):
    bundle.write_bundle(project / "made.zip")
    with zipfile.ZipFile(project / "made.zip") as archive:
        assert not [name for name in archive.namelist() if archive.read(name) == b"not for production"]
        assert {
            *("application.py", "settings.py", "logs.py", "gunicorn.conf.py", "web/openapi.json", "jobs/worker.py"),
            *("Procfile", "deploy/start", "deploy/needed_packages.py", "deploy/publish_workers_needed"),
            ".platform/nginx/conf.d/birds.conf",
            *("models/model_card.json", "models/examples/examples.json", "models/examples/00000000-0-1.jpg"),
        } <= set(archive.namelist())
        assert archive.testzip() is None


@pytest.mark.parametrize("folder", ["web", "cli", "inference", "jobs", "templates", "static"])
def test_it_holds_all_code_that_serves(bundled, folder):
    files = {
        path.relative_to(bundle.ROOT)
        for path in (bundle.ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files
    assert files <= set(bundled)


def test_all_of_it_is_committed(bundled):
    tracked = subprocess.run(["git", "ls-files"], cwd=bundle.ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("this is not a git repository")
    assert {str(path) for path in bundled} <= set(tracked.stdout.splitlines())


def test_its_size_is_printed(project, capsys):
    bundle.main()
    size = (project / "bundle.zip").stat().st_size
    assert capsys.readouterr().out == (f"bundle.zip: {size / 1e6:.1f} MB of the 500 MB that Elastic Beanstalk takes\n")


def test_whoever_makes_it_is_told_if_it_will_need_tensorflow(project, capsys):
    (project / "models" / COMPILED_FILE).unlink(missing_ok=True)
    bundle.main()
    model_file = project / "models" / MODEL_FILE
    assert capsys.readouterr().err == (
        f"bundle.zip: {model_file} is not compiled. So it installs TensorFlow, which needs 4 GiB (docs/deploy.md).\n"
    )


def test_the_model_that_ships_needs_no_tensorflow():
    if not (bundle.ROOT / "models" / COMPILED_FILE).exists():
        pytest.skip(f"{COMPILED_FILE} is not here")
    assert why_not_compiled(bundle.ROOT / "models" / MODEL_FILE, "auto") == ""


def test_a_pair_that_cannot_be_used_is_not_deployed(project):
    (project / "models" / "class_indices.npy").write_bytes(b"no labels")
    with pytest.raises(SystemExit, match=r"bundle: .*class_indices\.npy"):
        bundle.main()
    assert (project / "bundle.zip").read_text() == "not for production"


def test_a_bundle_that_is_too_large_is_deleted(project, monkeypatch):
    monkeypatch.setattr(bundle, "MAX_SIZE", 1000)
    with pytest.raises(SystemExit, match=r"bundle: [0-9]+ MB are more than the 0 MB that Elastic Beanstalk takes"):
        bundle.main()
    assert not (project / "bundle.zip").exists()
