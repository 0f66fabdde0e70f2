"""cli/names.py: which species the labels of a model mean, as a list."""

import csv

import numpy as np
import pytest
from flask import Flask

import settings
from cli import names
from names.labels import find_names

LABELS = ("Blue Jay", "GRAY CATBIRD", "Eared_Grebe", "KIWI", "\x1b[31mbackground")


@pytest.fixture
def app(tmp_path):
    app = Flask(__name__)
    app.config.from_mapping(settings.DEFAULTS, LABELS=str(tmp_path / "class_indices.npy"))
    app.cli.add_command(names.command)
    return app


@pytest.fixture
def labels_file(app):
    np.save(app.config["LABELS"], {label: index for index, label in enumerate(LABELS[:4])})


def test_the_report_says_how_each_species_was_found_and_which_were_not():
    assert names.report(find_names(LABELS)) == [
        "Blue Jay: Blue Jay, Cyanocitta cristata (English name)",
        "GRAY CATBIRD: Grey Catbird, Dumetella carolinensis (another spelling)",
        "Eared_Grebe: Black-necked Grebe, Podiceps nigricollis (another name)",
        "KIWI: Kiwi, Apteryx (genus or family)",
        "",
        "Not found: 1. names.csv beside the model can name them (docs/names.md).",
        "  [31mbackground",
        "",
        "4 of 5 labels: 1 by English name, 1 by another spelling, 1 by another name, 1 by genus or family",
    ]


def test_the_command_prints_the_report(app, labels_file):
    result = app.test_cli_runner().invoke(args=["names"])
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].startswith("4 of 4 labels: ")


def test_the_list_as_csv_can_be_used_as_the_makers_own(app, labels_file, tmp_path):
    written = app.test_cli_runner().invoke(args=["names", "--csv"]).stdout
    assert list(csv.reader(written.splitlines()))[1] == ["Blue Jay", "Cyanocitta cristata", "Blue Jay"]
    (tmp_path / "names.csv").write_text(written, encoding="utf-8")
    assert app.test_cli_runner().invoke(args=["names"]).stdout.splitlines()[-1] == "4 of 4 labels: 4 by names.csv"


def test_without_labels_the_command_says_so_in_a_line(app):
    result = app.test_cli_runner().invoke(args=["names"])
    assert result.exit_code == settings.CANNOT_START
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("names: ")
