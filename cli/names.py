"""``flask --app application names``: which species the labels of the model mean, and how that was found."""

import csv
import sys
from collections import Counter

import click
from flask import current_app
from flask.cli import with_appcontext

import settings
from inference.errors import PairError, printable
from inference.labels import load_labels
from names.labels import Names, find_names
from names.matching import How
from names.own import OWN_FILE
from names.species import Species
from settings import SettingError

COLUMNS = ("label", "scientific", "en")


@click.command("names")
@click.option("--csv", "as_csv", is_flag=True, help="Write a names.csv, to be changed and put beside the model.")
@click.pass_context
@with_appcontext
def command(context: click.Context, as_csv: bool) -> None:
    """List the species that the labels of the model mean, and the labels whose species was not found."""
    try:
        checked = settings.from_config(current_app.config)
        names = find_names(load_labels(checked.labels), checked.labels.parent)
    except (SettingError, PairError) as error:
        click.echo(f"names: {error}", err=True)
        context.exit(settings.CANNOT_START)
    if as_csv:
        write_csv(names)
    else:
        for line in report(names):
            click.echo(line)


def report(names: Names) -> list[str]:
    """The species of each label for people to read, a line each, and how many were found in which way."""
    found = [each for each in names if each.species]
    lines = [_line(each.label, each.species, each.how) for each in names if each.species]
    missing = [printable(each.label) for each in names if not each.species]
    if missing:
        lines += ["", f"Not found: {len(missing)}. {OWN_FILE} beside the model can name them (docs/names.md)."]
        lines += [f"  {label}" for label in missing]
    ways = Counter(each.how for each in found)
    counted = ", ".join(f"{ways[how]} by {how}" for how in How if ways[how])
    return [*lines, "", f"{len(found)} of {len(found) + len(missing)} labels: {counted or 'none was found'}"]


def _line(label: str, species: Species, how: How | None) -> str:
    scientific = species.scientific or "no scientific name"
    return printable(f"{label}: {species.english}, {scientific} ({how})")


def write_csv(names: Names) -> None:
    """Write the species of each label to stdout."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for each in names:
        writer.writerow((each.label, *((each.species.scientific, each.species.english) if each.species else ("", ""))))
