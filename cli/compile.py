"""``flask --app application compile``: compiles the network of the model pair for ONNX Runtime."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from flask import current_app
from flask.cli import with_appcontext

import settings
from inference.errors import PairError
from inference.packages import missing_packages
from settings import SettingError, Settings

from .photo_files import find_photos

if TYPE_CHECKING:
    from inference.compiled import About


@click.command("compile")
@click.option(
    "--photos",
    type=click.Path(exists=True, path_type=Path),
    help="Photos like those that the site will get; with them the network is compiled to 8-bit integers, too.",
)
@click.pass_context
@with_appcontext
def command(context: click.Context, photos: Path | None) -> None:
    """Compile the network for ONNX Runtime, which answers about three times as fast as TensorFlow.

    The compiled network lies beside the model, which stays as it is. Without photos it computes in float32. With at
    least 50, better some hundred, it is also compiled to int8, which is faster still and changes a few answers.
    """
    try:
        written, about = compile_network(settings.from_config(current_app.config), photos)
    except (SettingError, PairError) as error:
        click.echo(f"compile: {error}", err=True)
        context.exit(settings.CANNOT_START)
    except OSError as error:
        click.echo(f"compile: {error.filename or 'the compiled network'}: {error.strerror or error}", err=True)
        context.exit(settings.CANNOT_START)
    click.echo(f"Written: {written}")
    click.echo(about.in_words())
    if not photos:
        click.echo("For int8, which is faster still, add --photos FOLDER.")


def compile_network(checked: Settings, photos: Path | None) -> tuple[Path, "About"]:
    """Compile the network of the pair that the settings name.

    :param photos: a folder of them, or a file.
    :return: the file that was written, and what it says about itself.
    :raises PairError: it cannot be compiled, a package is missing, or there are too few photos.
    :raises OSError: the file cannot be written.
    """
    if missing := missing_packages("Compiling"):
        raise PairError(missing)
    # The web process of a split deployment has none of the packages that these import.
    from inference.compiled import COMPILED_FILE
    from inference.compiling import FEWEST_PHOTOS, compile_pair, read_photos
    from inference.pair import check_pair

    pair = check_pair(checked.model, checked.labels)
    pixels = read_photos(find_photos((photos,), leave_out=None).photos if photos else ())
    if photos and len(pixels) < FEWEST_PHOTOS:
        raise PairError(f"{photos} holds {len(pixels)} photos that can be read. Give at least {FEWEST_PHOTOS}.")
    return pair.model_file.parent / COMPILED_FILE, compile_pair(pair, checked.network.input_range, pixels)
