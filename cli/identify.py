"""``flask --app application identify PATHS``: name the birds in files and folders of photos."""

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext
from tqdm import tqdm

import settings
from inference import CANDIDATES
from inference.errors import PairError, TooManyPixelsError
from inference.formats import FORMATS
from inference.processor import usable_cores
from jobs.errors import UnavailableError
from lists import ebird
from names.labels import find_names
from names.languages import ENGLISH, LANGUAGES
from settings import SettingError
from web.naming import Naming
from web.services import load_classifier
from web.startup import allow_open_files

from .answer_file import AnswerFile, NotAnAnswerFileError
from .list_files import ListFiles, check_new
from .outcomes import Outcome, printable, terminal_safe
from .outputs import CsvRows, JsonLines, Lines, Output
from .photo_files import PhotoFiles, find_photos
from .reader_pool import ReaderPool
from .sidecars import Sidecars

#: Exit codes; 2 is click's own, for wrong usage, and 4 is settings.CANNOT_START.
ALL_IDENTIFIED, SOME_FAILED, BROKEN_OFF, OTHERS_NOT_LOOKED_AT, INTERRUPTED = 0, 1, 3, 5, 130

NEW_FILE = click.Path(dir_okay=False, path_type=Path)


def _check_text(_context: click.Context, _option: click.Parameter, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:  # a list could not be written with it
        raise click.BadParameter("This is not text in UTF-8.") from error
    return value


@click.command("identify")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, readable=False, path_type=Path))
@click.option("--top", type=click.IntRange(1, CANDIDATES), help="How many species for each photo.")
@click.option("--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), help="Write a list to this file.")
@click.option("--resume", is_flag=True, help="Continue the file of --csv, without the photos that are in it.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, a line for each photo.")
@click.option(
    "--language",
    type=click.Choice(list(LANGUAGES), case_sensitive=False),
    help="The language of the species' names; by default they are made of the labels, and English in JSON.",
)
@click.option("--xmp", is_flag=True, help="Write keywords into sidecars beside the photos, for photo programs.")
@click.option("--ebird", "ebird_file", type=NEW_FILE, help="Write a list for eBird to this file.")
@click.option("--darwin-core", "darwin_core_file", type=NEW_FILE, help="Write a list in Darwin Core to this file.")
@click.option("--place", is_flag=True, help="Write into these lists where the photos were taken.")
@click.option(
    "--location",
    default="",
    metavar="NAME",
    callback=_check_text,
    help="What the place of the photos is called in these lists.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=usable_cores,
    show_default="the processor's cores",
    help="How many photos are read at the same time.",
)
@click.pass_context
@with_appcontext
def command(
    context: click.Context,
    paths: tuple[Path, ...],
    top: int | None,
    csv_file: Path | None,
    resume: bool,
    as_json: bool,
    language: str | None,
    xmp: bool,
    ebird_file: Path | None,
    darwin_core_file: Path | None,
    place: bool,
    location: str,
    jobs: int,
) -> None:
    """Name the birds in photos: in the files and folders PATHS."""
    if as_json and csv_file:
        raise click.UsageError("Choose one of --csv and --json.")
    if resume and not csv_file:
        raise click.UsageError("--resume goes on with the file that --csv names. Add --csv FILE.")
    check_list_options(csv_file, ebird_file, darwin_core_file, place=place, location=location, resume=resume)
    found = find_photos(paths, leave_out=csv_file)
    if not found.photos and not found.unreadable:
        click.echo(f"There is no photo ({', '.join(FORMATS)}).", err=True)
        list_others(found)
        context.exit(SOME_FAILED)
    _escape_what_stdout_cannot_encode()
    allow_open_files()  # each process that reads photos takes some
    try:
        checked = settings.from_config(current_app.config)
        # Before the network, which takes seconds to load: the file may be one that cannot be written.
        with open_answer_file(csv_file, top or CANDIDATES, resume) as answers:
            classifier, _sha256 = load_classifier(checked)
            if classifier.network_in_words:
                click.echo(classifier.network_in_words, err=True)
            pool = ReaderPool(jobs, classifier, checked.max_pixels, with_place=place)
            naming = Naming(find_names(classifier.labels, checked.labels.parent), (language or ENGLISH,))
            names = {each.label: each.name_in(language) if language else each.readable for each in naming.names}
            outputs: list[Output] = [Sidecars(naming)] if xmp else []
            if ebird_file or darwin_core_file:
                outputs.append(ListFiles(ebird_file, darwin_core_file, naming, location))
            if answers:
                outputs.append(CsvRows(answers, naming, top))
            outputs.append(JsonLines(naming, top) if as_json else Lines(names, top))
            context.exit(identify(found, pool, answers, outputs))
    except (SettingError, PairError) as error:
        click.echo(f"identify: {error}", err=True)
        context.exit(settings.CANNOT_START)


def identify(found: PhotoFiles, pool: ReaderPool, answers: AnswerFile | None, outputs: Sequence[Output]) -> int:
    """Identify photos, and pass the answers on.

    :param answers: a CSV file that may have answers from an earlier run.
    :param outputs: where each answer goes, in this order.
    :return: the exit code.
    """
    files, failed = found.photos, found.unreadable
    if answers:
        files = [path for path in files if printable(path) not in answers.names]
        failed = [Outcome(Path(file), error=sentence) for file, sentence in answers.failed] + failed
    can_resume = answers and not any(isinstance(output, ListFiles) for output in outputs)
    to_resume = " The same command with --resume continues." if can_resume else ""
    try:
        exit_code = identify_each(files, pool, outputs, failed, to_resume)
    except BrokenPipeError:
        finish(outputs, is_complete=False)
        raise  # click knows what to do
    finish(outputs, is_complete=exit_code == ALL_IDENTIFIED)
    if exit_code:
        return exit_code
    list_others(found)
    list_failed(failed, pool.max_pixels)
    if failed or any(output.has_failed for output in outputs):
        return SOME_FAILED
    return OTHERS_NOT_LOOKED_AT if found.may_lack_pictures else ALL_IDENTIFIED


def identify_each(
    files: list[Path], pool: ReaderPool, outputs: Sequence[Output], failed: list[Outcome], to_resume: str
) -> int:
    """Identify photos until all of them are done, or something stops it.

    :param failed: photos that could not be identified; others are added.
    :param to_resume: a sentence about going on later.
    :return: ``ALL_IDENTIFIED``, even if some failed, or the exit code that says what stopped it.
    :raises BrokenPipeError: nobody reads the output any more.
    """
    try:
        with pool:
            for outcome in tqdm(pool.identify(files), total=len(files), unit=" photos", disable=None, file=sys.stderr):
                for output in outputs:
                    output.add(outcome)
                if outcome.error:
                    failed.append(outcome)
    except KeyboardInterrupt:
        click.echo(f"Interrupted.{to_resume}", err=True)
        return INTERRUPTED
    except UnavailableError as error:
        click.echo(f"Broken off: {error.reason}.{to_resume}", err=True)
        return BROKEN_OFF
    except BrokenPipeError:
        raise  # it is an OSError, but nothing that the person has to be told of
    except (OSError, RuntimeError) as error:  # the disk is full; the decoder process cannot be started
        click.echo(f"Broken off: {getattr(error, 'strerror', None) or error}.{to_resume}", err=True)
        return BROKEN_OFF
    return ALL_IDENTIFIED


def finish(outputs: Sequence[Output], *, is_complete: bool) -> None:
    """Finish the outputs, and print what there is to say about them, each sentence once."""
    sentences = [sentence for output in outputs for sentence in output.finish(is_complete=is_complete)]
    for sentence in dict.fromkeys(sentences):
        click.echo(sentence, err=True)


def check_list_options(
    csv_file: Path | None,
    ebird_file: Path | None,
    darwin_core_file: Path | None,
    *,
    place: bool,
    location: str,
    resume: bool,
) -> None:
    """Check what was asked for before photos are identified in vain.

    :raises click.UsageError: the options do not fit together, or a file cannot be written.
    """
    files = [file for file in (ebird_file, darwin_core_file) if file]
    named = [*files, *([csv_file] if csv_file else [])]
    if len(set(map(os.path.realpath, named))) < len(named):
        raise click.UsageError("--csv, --ebird and --darwin-core must name different files.")
    if (place or location) and not files:
        raise click.UsageError("--place and --location say what --ebird and --darwin-core write. Add one of these.")
    if resume and files:
        raise click.UsageError("--ebird and --darwin-core need all photos of a day. They do not go with --resume.")
    if ebird_file and not place and not ebird.plain(location):
        raise click.UsageError(
            "eBird wants to know where birds were seen. Add --place, to write where the photos were taken, or "
            "--location NAME, to name the place."
        )
    for file in files:
        try:
            check_new(file)
        except FileExistsError as error:
            raise click.UsageError(f"{terminal_safe(file)} is there already. Name another file.") from error
        except OSError as error:
            raise click.UsageError(f"{terminal_safe(file)} cannot be written: {error.strerror}.") from error


def open_answer_file(path: Path | None, top: int, resume: bool) -> AbstractContextManager[AnswerFile | None]:
    """The CSV file, if there is to be one.

    :raises click.UsageError: it cannot be written.
    """
    if path is None:
        return nullcontext()
    try:
        return AnswerFile(path, top, resume=resume)
    except FileExistsError as error:
        raise click.UsageError(
            f"{terminal_safe(path)} is there already. Add --resume to go on with it, or name another."
        ) from error
    except NotAnAnswerFileError as error:
        raise click.UsageError(
            f"{terminal_safe(path)} is not a list with --top {top} that this command has begun. If a spreadsheet has "
            "saved it since, save it there as UTF-8 with commas."
        ) from error
    except OSError as error:
        raise click.UsageError(f"{terminal_safe(path)} cannot be written: {error.strerror}.") from error


def list_others(found: PhotoFiles) -> None:
    """Print how many files were not looked at."""
    if found.others_listed:
        click.echo(found.others_listed, err=True)


def list_failed(failed: list[Outcome], max_pixels: int) -> None:
    """Print the failures again at the end: among the other lines they would be overlooked.

    :param max_pixels: the limit for photos; the operator is told of the setting if a photo has more.
    """
    if failed:
        click.echo(f"Not identified: {len(failed)}", err=True)
        for outcome in failed:
            click.echo(f"  {outcome.line({})}", err=True)
    if str(TooManyPixelsError(max_pixels)) in {outcome.error for outcome in failed}:
        click.echo(f"BIRD_MAX_PIXELS={max_pixels} is how many pixels a photo may have.", err=True)


def _escape_what_stdout_cannot_encode() -> None:
    if hasattr(sys.stdout, "reconfigure"):  # a terminal's encoding may lack letters of a name
        sys.stdout.reconfigure(errors="backslashreplace")
