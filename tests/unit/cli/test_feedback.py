"""``flask feedback``: exports, deletes and counts corrections."""

from pathlib import Path

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

import settings
from cli import feedback
from feedback.corrections import Corrections
from feedback.opening import open_database
from feedback.photo_store import FolderStore
from feedback.schema import Claim, Status
from tests.support.corrections import claim, decide

LABELS = ("American_Goldfinch", "Cardinal")


@pytest.fixture
def config(tmp_path) -> dict[str, object]:
    """The settings of an app that keeps corrections."""
    labels = tmp_path / "class_indices.npy"
    np.save(labels, {label: index for index, label in enumerate(LABELS)})
    return settings.DEFAULTS | {
        "LABELS": str(labels),
        "FEEDBACK": 1,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'feedback.db'}",
        "PHOTO_STORE": str(tmp_path / "photos"),
    }


@pytest.fixture
def runner(config) -> FlaskCliRunner:
    """Runs the command."""
    app = Flask(__name__)
    app.config.from_mapping(config)
    app.cli.add_command(feedback.command)
    return app.test_cli_runner()


@pytest.fixture
def corrections(config):
    """What the running app has open meanwhile."""
    corrections = Corrections(open_database(config["DATABASE_URL"]), FolderStore(Path(config["PHOTO_STORE"])), LABELS)
    yield corrections
    corrections.engine.dispose()


def run(runner, *arguments, status=0, **options):
    """Run ``feedback``; what it prints."""
    ended = runner.invoke(args=["feedback", *map(str, arguments)], **options)
    assert ended.exit_code == status, ended.output
    return ended.output


def test_export_says_what_it_did(runner, corrections, tmp_path):
    decide(corrections, claim(corrections, photo=1), Status.ACCEPTED, "Cardinal")
    claim(corrections, Claim.NO_BIRD, photo=2)
    assert run(runner, "export", tmp_path / "data") == "Written: 1 photos. There already: 0. Removed: 0.\n"
    assert [path.name for path in sorted((tmp_path / "data").glob("*/"))] == ["Cardinal"]
    said = run(runner, "export", tmp_path / "data", "--unreviewed")
    assert said == "Written: 1 photos. There already: 1. Removed: 0.\n"


def test_export_to_a_folder_that_cannot_be_made_ends_with_one_line(runner, corrections):
    said = run(runner, "export", "/dev/null/data", status=1)
    assert said == "feedback: /dev/null/data: Not a directory\n"


@pytest.mark.parametrize(
    "form", ["{}", "https://birds.example/corrections/{}", "https://birds.example/x/{}/delete?a=b"]
)
def test_delete_takes_the_link_or_its_secret_part(runner, corrections, form):
    kept = claim(corrections, "Cardinal", photo=1)
    said = run(runner, "delete", form.format(kept.token), input="y\n")
    assert "said to be 'Cardinal', with its photo? [y/N]: y\nDeleted." in said
    assert corrections.find(kept.token) is None


def test_delete_takes_a_number_and_need_not_ask(runner, corrections):
    kept = claim(corrections)
    assert run(runner, "delete", corrections.find(kept.token).id, "--yes").startswith("Deleted.")
    assert corrections.find(kept.token) is None


def test_delete_keeps_what_it_was_not_told_to_delete(runner, corrections):
    kept = claim(corrections)
    run(runner, "delete", kept.token, input="n\n", status=1)
    for other in ("99", "9" * 40, "nonsense", "x" * 32, "-" + "x" * 31):
        assert run(runner, "delete", other, "--yes", status=1) == "feedback: There is no such correction.\n"
    assert corrections.find(kept.token)


def test_stats_counts(runner, corrections):
    claim(corrections, Claim.RIGHT, client="two")
    decide(corrections, claim(corrections, photo=1), Status.ACCEPTED, "Cardinal")
    decide(corrections, claim(corrections, Claim.UNKNOWN), Status.REJECTED)
    lines = run(runner, "stats").splitlines()
    assert lines[:2] == [
        "Corrections: 3 from 2 clients (1 new, 1 accepted, 1 rejected)",
        "What they say: 1 right, 1 another species, 0 not a bird, 1 do not know",
    ]
    assert lines[2].startswith("Photos: 1, 0.0 of 1024.0 MB")
    assert lines[3].endswith(": 2 corrections, 50% agree with the model")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("FEEDBACK", False, "BIRD_FEEDBACK is off, so that there are no corrections. Set BIRD_FEEDBACK=1."),
        ("FEEDBACK", "yes", "BIRD_FEEDBACK must be 0 or 1, not 'yes'."),
        ("LABELS", "/none.npy", "/none.npy is missing. Put the model's class_indices.npy there."),
        ("DATABASE_URL", "mysql://host/name", "BIRD_DATABASE_URL must begin with sqlite:///, followed by a file, or "
         "with postgresql://."),
    ],
)  # fmt: skip
def test_what_cannot_be_used_ends_it_with_one_line(runner, config, name, value, sentence):
    app = Flask(__name__)
    app.config.from_mapping(config | {name: value})
    app.cli.add_command(feedback.command)
    assert run(app.test_cli_runner(), "stats", status=settings.CANNOT_START) == f"feedback: {sentence}\n"
