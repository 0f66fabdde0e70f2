"""``flask --app application compile``: compiles the network of the model pair for ONNX Runtime."""

from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext

import settings
from inference.compiled import COMPILED_FILE
from inference.errors import PairError
from inference.pair import check_pair
from settings import SettingError

from .photo_files import find_photos


@click.command("compile")
@click.option(
    "--photos",
    type=click.Path(exists=True, path_type=Path),
    help="Photos like those that the site will get; with them the network is compiled to 8-bit integers, too.",
)
@click.pass_context
@with_appcontext
def command(context: click.Context, photos: Path | None) -> None:
    """Compile the network for ONNX Runtime, which answers two to three times as fast as TensorFlow.

    The compiled network lies beside the model, which stays as it is. Without photos it computes in float32. With at
    least 50, better some hundred, it is also compiled to int8, which is faster still and changes a few answers.
    """
    try:
        checked = settings.from_config(current_app.config)
        pair = check_pair(checked.model, checked.labels)
        try:
            from inference.compiling import FEWEST_PHOTOS, compile_pair, described, read_photos
        except ImportError as error:
            raise PairError(
                f"{error.name}, which compiling needs, is not installed: pip install -r requirements.txt"
            ) from error
        pixels = read_photos(find_photos((photos,), leave_out=None).photos if photos else ())
        if photos and len(pixels) < FEWEST_PHOTOS:
            raise PairError(f"{photos} holds {len(pixels)} photos that can be read. Give at least {FEWEST_PHOTOS}.")
        about = compile_pair(pair, checked.network.input_range, pixels)
    except (SettingError, PairError) as error:
        click.echo(f"compile: {error}", err=True)
        context.exit(settings.CANNOT_START)
    except OSError as error:
        click.echo(f"compile: {error.filename or COMPILED_FILE}: {error.strerror or error}", err=True)
        context.exit(settings.CANNOT_START)
    click.echo(f"Written: {pair.model_file.parent / COMPILED_FILE}")
    click.echo(described(about))
    if not photos:
        click.echo("For int8, which is faster still, add --photos FOLDER.")
