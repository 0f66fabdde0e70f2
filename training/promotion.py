"""Takes a trained pair into use, keeps the one before, and goes back to it.

A folder of models holds the pair in use, ``candidate/`` a new one that was trained on corrections, and ``previous/``
the one that was in use before. A process that starts while they are exchanged gets one of the pairs or a refusal, never
a mixture. The next command undoes an exchange that was cut short.
"""

import shutil
from pathlib import Path

from inference import CARD_FILE, LABELS_FILE, MODEL_FILE, REPORT_FILE
from inference.compiled import COMPILED_FILE
from inference.errors import PairError
from inference.examples import EXAMPLES_FILE, EXAMPLES_FOLDER
from inference.manifest import PairManifest, describe_pair, write_manifest
from inference.pair import check_pair
from inference.verdicts_file import VERDICTS_FILE

from .examples import example_names, remove_examples
from .pair import replace_pair

CANDIDATE_FOLDER = "candidate"
PREVIOUS_FOLDER = "previous"
#: Files of a pair that may be missing. Each but the report names the model that it belongs to.
BESIDE = (CARD_FILE, VERDICTS_FILE, COMPILED_FILE, REPORT_FILE, f"{EXAMPLES_FOLDER}/{EXAMPLES_FILE}")

_PART = "previous.part"  # a copy of the pair in use that is being made
_KEPT = "previous.new"  # that copy, complete: it is there while the pair in use is replaced
_OLD = "previous.old"  # the previous pair, which is about to be deleted


def promote(models: Path) -> None:
    """Take the candidate into use; the pair in use so far becomes the previous one.

    :param models: the folder of the pair in use.
    :raises PairError: there is no candidate, or one of the two pairs cannot be loaded.
    :raises OSError: the files cannot be written. The pair in use stays.
    """
    undo_exchange(models)
    candidate = models / CANDIDATE_FOLDER
    if not (candidate / MODEL_FILE).is_file():
        raise PairError(f"{candidate} holds no pair. python -m training DATA --more EXPORT trains one.")
    if _manifest(candidate) != _manifest(models):  # otherwise only the candidate is left to delete
        _exchange(candidate, models)
    (candidate / MODEL_FILE).unlink()  # first: without it, nothing there is a candidate any more
    shutil.rmtree(candidate)


def go_back(models: Path) -> None:
    """Take the previous pair into use again; the pair in use so far becomes the previous one.

    :param models: the folder of the pair in use.
    :raises PairError: there is no previous pair, or one of the two cannot be loaded.
    :raises OSError: the files cannot be written. The pair in use stays.
    """
    if undo_exchange(models):  # of a promotion, perhaps: then this is where to go back to
        raise PairError(f"The last exchange of pairs was cut short. It is undone, and {models} is as it was before it.")
    previous = models / PREVIOUS_FOLDER
    if not (previous / MODEL_FILE).is_file():
        raise PairError(f"{previous} holds no pair to go back to.")
    _exchange(previous, models)


def undo_exchange(models: Path) -> bool:
    """Undo an exchange that was cut short, and tell whether there was one.

    :param models: the folder of the pair in use.
    """
    old, previous, kept = models / _OLD, models / PREVIOUS_FOLDER, models / _KEPT
    if not kept.is_dir():
        return False
    if old.is_dir() and not previous.exists():
        old.replace(previous)
    _install(kept, models)
    shutil.rmtree(kept)
    return True


def _exchange(source: Path, models: Path) -> None:
    """Replace the pair in use by a copy of another one, and make it the previous one."""
    for folder in (source, models):
        check_pair(folder / MODEL_FILE, folder / LABELS_FILE)
    _keep(models)
    _install(source, models)
    old, previous = models / _OLD, models / PREVIOUS_FOLDER
    shutil.rmtree(old, ignore_errors=True)
    if previous.is_dir():
        previous.replace(old)
    (models / _KEPT).replace(previous)
    shutil.rmtree(old, ignore_errors=True)


def _keep(models: Path) -> None:
    """Copy the pair in use to a folder that is complete or not there at all."""
    part = models / _PART
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    _copy_example_photos(models, part)
    for name in _files(models):
        shutil.copy2(models / name, part / name)
    write_manifest(part, _manifest(part))
    part.replace(models / _KEPT)


def _install(source: Path, models: Path) -> None:
    """Replace the pair in use by a copy of another one, and its other files with it."""
    _copy_example_photos(source, models)
    new = {}
    for name in _files(source):
        new[name] = (models / name).with_suffix(f".new{Path(name).suffix}")
        shutil.copy2(source / name, new[name])
    beside = [(file, models / name) for name, file in new.items() if name in BESIDE]
    replace_pair(new[MODEL_FILE], new[LABELS_FILE], models / MODEL_FILE, models / LABELS_FILE, beside)
    # What the other pair had beside it, and this one has not. Until now it was ignored as the file of another model.
    for name in set(BESIDE) - set(new):
        (models / name).unlink(missing_ok=True)
    remove_examples(models, keep=example_names(source))


def _files(folder: Path) -> list[str]:
    """The files of a pair that are there, except its manifest, which is written anew, and photos."""
    return [name for name in (MODEL_FILE, LABELS_FILE, *BESIDE) if (folder / name).is_file()]


def _copy_example_photos(source: Path, models: Path) -> None:
    """Copy the photos of ``examples/``, whose names begin with the model's SHA-256: they are in nobody's way."""
    for name in example_names(source):
        (models / EXAMPLES_FOLDER).mkdir(exist_ok=True)
        if name != EXAMPLES_FILE:
            shutil.copy2(source / EXAMPLES_FOLDER / name, models / EXAMPLES_FOLDER / name)


def _manifest(folder: Path) -> PairManifest:
    return describe_pair(folder / MODEL_FILE, folder / LABELS_FILE)
