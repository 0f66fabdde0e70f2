"""``flask --app application feedback``: exports, deletes and counts the corrections of visitors."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click
from flask import current_app
from flask.cli import with_appcontext

import settings
from inference.errors import PairError, printable
from inference.labels import load_labels
from settings import SettingError
from web.services import open_corrections

if TYPE_CHECKING:
    from feedback.corrections import Corrections
    from feedback.schema import Correction

FAILED = 1  # exit status; 2 is click's own, for wrong usage, and 4 is settings.CANNOT_START

_TOKEN = re.compile(r"(?:^|/)([\w-]{32})(?=$|[/?#])")  # the secret part of an address, by itself or in the address


@click.group("feedback")
def command() -> None:
    """Look after the corrections of visitors (with BIRD_FEEDBACK=1)."""


@command.command("export")
@click.argument("data", type=click.Path(file_okay=False, path_type=Path))
@click.option("--unreviewed", is_flag=True, help="Export photos that nobody has reviewed, too, as what visitors claim.")
@with_appcontext
def export(data: Path, unreviewed: bool) -> None:
    """Write the accepted photos to DATA/<label>/, and remove those that were deleted since the last export."""
    with _opened() as corrections:
        from feedback.export import export_accepted

        for line in export_accepted(corrections, data, unreviewed).in_words():
            click.echo(line)


@command.command("delete", context_settings={"ignore_unknown_options": True})  # a token may begin with a hyphen
@click.argument("which", metavar="TOKEN|LINK|ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_appcontext
def delete(which: str, yes: bool) -> None:
    """Delete a correction and its photo: by its link, by the secret part of the link, or by its number."""
    with _opened() as corrections:
        correction = _find(corrections, which)
        if correction is None:
            _fail("There is no such correction.")
        if not yes:
            click.confirm(f"Delete {_in_words(correction)}?", abort=True)
        corrections.delete_ids([correction.id])
        click.echo("Deleted. Photos that were exported go with the next export to the same folder.")


@command.command("stats")
@with_appcontext
def stats() -> None:
    """Print how many corrections there are, of which kind, and how often they agree with the model."""
    with _opened() as corrections:
        from feedback.stats import read_stats

        for line in read_stats(corrections.engine).in_words(corrections.limits.max_bytes):
            click.echo(line)


@contextmanager
def _opened() -> Iterator["Corrections"]:
    """The corrections; what goes wrong with them ends the command with one line."""
    try:
        checked = settings.from_config(current_app.config)
        corrections = open_corrections(checked, load_labels(checked.labels)) if checked.feedback else None
        if corrections is None:
            raise SettingError("BIRD_FEEDBACK is off, so that there are no corrections. Set BIRD_FEEDBACK=1.")
    except (SettingError, PairError) as error:
        click.echo(f"feedback: {error}", err=True)
        raise click.exceptions.Exit(settings.CANNOT_START) from error
    from feedback.errors import FeedbackError

    try:
        yield corrections
    except FeedbackError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error))


def _find(corrections: "Corrections", which: str) -> "Correction | None":
    if which.isascii() and which.isdecimal() and len(which) < 10:
        return corrections.get(int(which))
    token = _TOKEN.search(which)
    return corrections.find(token[1]) if token else None


def _in_words(correction: "Correction") -> str:
    said = f"said to be {printable(correction.claimed)!r}" if correction.claimed else f"claim {correction.claim!r}"
    photo = "with its photo" if correction.photo else "without a photo"
    return f"correction {correction.id} of {correction.created:%Y-%m-%d}, {said}, {photo}"


def _fail(sentence: str) -> NoReturn:
    click.echo(f"feedback: {sentence}", err=True)
    raise click.exceptions.Exit(FAILED)
