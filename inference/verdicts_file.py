"""``verdicts.npz``: what the verdicts of a network rest on, and how many photos get an answer at which strictness.

It holds arrays of numbers and short texts only, so nothing in it is run when it is read.
"""

import logging
import stat
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import read_array
from .judge import LEVELS, VerdictRules

log = logging.getLogger(__name__)

VERDICTS_FILE = "verdicts.npz"  # in the folder of the .h5
MAX_VERDICTS_SIZE = 5 * 2**20  # bytes; with 121 species of 2,048 features it takes about 1.5 MB
MAX_CURVE = 1000  # points, and likewise groups

Array = NDArray[Any]


@dataclass(frozen=True)
class AnsweredGroup:
    """A group of pictures, and what becomes of them at each strictness of a curve.

    :param name: ``validation`` or ``test`` (photos of known species), ``other birds``, or ``others``.
    :param pictures: how many there are.
    :param answered: the shares of them, 0 to 1, whose species is named.
    :param no_bird: the shares of them that are called "no bird"; the rest is called "unknown bird".
    """

    name: str
    pictures: int
    answered: tuple[float, ...]
    no_bird: tuple[float, ...]


@dataclass(frozen=True)
class VerdictCurve:
    """How many pictures get an answer at which strictness.

    :param strictness: from 0, in ascending order.
    :param groups: the network has learned from none of their pictures.
    """

    strictness: tuple[float, ...]
    groups: tuple[AnsweredGroup, ...]


@dataclass(frozen=True)
class Verdicts:
    """The content of the file."""

    rules: VerdictRules
    curve: VerdictCurve


def write_verdicts(folder: Path, model_sha256: str, verdicts: Verdicts) -> None:
    """Write ``verdicts.npz`` into a folder, replacing an old one as a whole: a reader never sees half of it."""
    rules, curve = verdicts.rules, verdicts.curve
    shape = len(curve.groups), len(curve.strictness)
    path = folder / VERDICTS_FILE
    new = path.with_suffix(".new.npz")
    np.savez(
        new,
        model_sha256=np.array(model_sha256),
        prototypes=rules.prototypes.astype("float16"),
        scores=np.stack([rules.means, rules.deviations]),
        quantiles=np.stack([rules.species, rules.bird]),
        sets=np.array([rules.set_threshold, rules.set_penalty]),
        strictness=np.array(curve.strictness),
        groups=np.array([group.name for group in curve.groups], dtype="U32"),
        pictures=np.array([group.pictures for group in curve.groups], dtype="int64"),
        answered=np.array([group.answered for group in curve.groups], dtype="float64").reshape(shape),
        no_bird=np.array([group.no_bird for group in curve.groups], dtype="float64").reshape(shape),
    )
    new.replace(path)


def load_verdicts(model_file: Path, model_sha256: str | None) -> Verdicts | None:
    """Read the file beside a model. What is wrong with it is logged in one line and never raised.

    A file that has not changed is read and complained about once, though the classifier and the page both want it.

    :param model_file: the ``.h5``; the file is in the same folder.
    :param model_sha256: of the ``.h5``; None if that file is not on this machine: any model's verdicts then count.
    :return: None if there is no such file, or if it belongs to another model.
    """
    path = model_file.parent / VERDICTS_FILE
    try:
        status = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return _load(path, model_file.name, model_sha256, (status.st_ino, status.st_size, status.st_mtime_ns))


@lru_cache(maxsize=1)
def _load(path: Path, model_name: str, model_sha256: str | None, _version: tuple[int, int, int]) -> Verdicts | None:
    try:
        arrays = _read_arrays(path)
        written_for = arrays["model_sha256"].item()
        verdicts = _verdicts(arrays)
    # A damaged archive raises what zipfile and zlib find wrong with it, and NumPy what is wrong with an array.
    except Exception:
        log.warning("%s is ignored: it is not a file that training.calibrate wrote.", path)
        return None
    if model_sha256 not in (None, written_for):
        log.warning(
            "%s is ignored: it belongs to another model than %s; python -m training.calibrate makes a new one.",
            path,
            model_name,
        )
        return None
    return verdicts


def _read_arrays(path: Path) -> dict[str, Array]:
    """The arrays in the file by their names.

    :raises Exception: of any kind; it is no such file, or is too large.
    """
    if path.stat().st_size > MAX_VERDICTS_SIZE:
        raise ValueError("too large")
    with zipfile.ZipFile(path) as archive:
        return {name.removesuffix(".npy"): read_array(archive, name, MAX_VERDICTS_SIZE) for name in archive.namelist()}


def _verdicts(arrays: dict[str, Array]) -> Verdicts:
    """The verdicts in some arrays, whose shapes and values are checked.

    :raises Exception: of any kind; they are not what ``write_verdicts`` writes.
    """
    prototypes = arrays["prototypes"].astype("float32")
    means, deviations = _floats(arrays["scores"], (2, 2))
    species, bird = quantiles = _floats(arrays["quantiles"], (2, len(LEVELS)))
    threshold, penalty = _floats(arrays["sets"], (2,))
    strictness = _floats(arrays["strictness"], arrays["strictness"].shape)
    names, pictures = arrays["groups"].tolist(), arrays["pictures"].tolist()
    shape = len(names), len(strictness)
    answered, no_bird = _shares(arrays["answered"], shape), _shares(arrays["no_bird"], shape)
    is_sound = (
        prototypes.ndim == 2
        and prototypes.size > 0
        and np.isfinite(prototypes).all()
        and (deviations > 0).all()
        and (np.diff(quantiles, axis=1) >= 0).all()
        and strictness.ndim == 1
        and max(shape) <= MAX_CURVE
        and (np.diff(strictness) > 0).all()
        and len(pictures) == len(names)
        and all(isinstance(name, str) for name in names)
        and all(count >= 0 for count in pictures)
    )
    if not is_sound:
        raise ValueError("values that are none")
    rules = VerdictRules(prototypes, means, deviations, species, bird, float(threshold), float(penalty))
    groups = [
        AnsweredGroup(name, count, tuple(each), tuple(of_them))
        for name, count, each, of_them in zip(names, pictures, answered.tolist(), no_bird.tolist(), strict=True)
    ]
    return Verdicts(rules, VerdictCurve(tuple(strictness.tolist()), tuple(groups)))


def _floats(array: Array, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """An array as finite numbers.

    :raises ValueError: it has another shape or kind, or some are not finite.
    """
    if array.shape != shape or array.dtype.kind != "f" or not np.isfinite(array).all():
        raise ValueError("not the numbers that are expected")
    return array.astype("float64")


def _shares(array: Array, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """An array as numbers from 0 to 1."""
    numbers = _floats(array, shape)
    if numbers.size and not (numbers.min() >= 0 and numbers.max() <= 1):
        raise ValueError("not shares")
    return numbers
