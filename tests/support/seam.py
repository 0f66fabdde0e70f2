"""The app with a stand-in for the network, so that tests of the web take milliseconds and need no TensorFlow.

Everything but the network is real: ``application.py``, the settings, the admission queue, the decoder process. The real
network is tested in ``tests/system``.
"""

import importlib.util
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

import click
import numpy as np
import numpy.typing as npt
import pytest
from flask import Flask
from flask.cli import FlaskGroup
from jinja2 import FileSystemBytecodeCache
from werkzeug.serving import make_server

import settings
from inference import CANDIDATES, Candidate, Identification
from inference.engine import EngineInfo
from inference.input_range import InputRange
from inference.options import EngineName, Precision
from inference.regions import Region
from inference.sandbox import Reading, Sandbox
from inference.verdict import Familiarity, Verdict
from jobs.errors import UnknownJobError
from jobs.pending import PendingJob, Position
from jobs.queue_state import QueueFigures, QueueState
from jobs.sender import ANYBODY, Sender
from names.labels import Names, find_names
from web import startup, uploads
from web.admission import AdmissionQueue
from web.model_info import ModelInfo
from web.services import PhotoClassifier, Services, open_corrections

from .servers import ROOT, free_port

SHA256 = "5eed" * 16  # of the .h5 that the stand-in would have
COLORS = {
    "Blackbird": (0, 0, 0),
    "Bluebird": (0, 0, 255),
    "Cardinal": (255, 0, 0),
    "Goldfinch": (255, 255, 0),
    "Greenfinch": (0, 255, 0),
    "Snow Bunting": (255, 255, 255),
}

FARTHEST_KNOWN, FARTHEST_BIRD = 140, 200  # distances of colors
#: A color for each verdict of a ``ColorClassifier`` that gives them. It is unsure between two birds.
PHOTO_OF = {
    Verdict.SURE: (255, 255, 0),
    Verdict.UNSURE: (130, 255, 0),
    Verdict.UNKNOWN_BIRD: (200, 130, 60),
    Verdict.NO_BIRD: (128, 128, 128),
}

ENGINE = EngineInfo(EngineName.TENSORFLOW, Precision.FLOAT32, "CPU", InputRange.ZERO_TO_ONE)


class ColorClassifier:
    """A stand-in for the network: names the bird whose color is the nearest to the mean color of the pixels.

    :param labels: other names for these birds, in the same order.
    :param gives_verdicts: whether it is a stand-in for a network that was calibrated. Colors that lie far from all
        birds are then unknown birds, and those that lie farther, as ``PHOTO_OF`` has them, no birds.
    """

    batch_size = 1
    concurrency = 1
    is_remote = False
    network_in_words = "The stand-in for the network takes pixel values from 0 to 255."

    def __init__(self, labels: tuple[str, ...] = tuple(COLORS), *, gives_verdicts: bool = False) -> None:
        self.labels = labels
        self.gives_verdicts = gives_verdicts

    def classify(
        self,
        pixels: npt.NDArray[np.uint8],
        wait: float | None = None,
        picture: npt.NDArray[np.uint8] | None = None,
        region: Region | None = None,
        sender: Sender = ANYBODY,
    ) -> Identification | PendingJob:
        """Name the bird in an image, ``uint8[224, 224, 3]``."""
        distances = np.linalg.norm(np.array(list(COLORS.values())) - pixels.mean(axis=(0, 1)), axis=1)
        closeness = np.exp(-distances / 50)
        confidences = closeness / closeness.sum()
        likeliest = np.argsort(-confidences)[:CANDIDATES]
        candidates = tuple(Candidate(self.labels[index], float(confidences[index])) for index in likeliest)
        answer = Identification(
            candidates[0].label,
            candidates[0].confidence,
            candidates,
            SHA256,
            seconds=0.001,
            region=region,
            activation=_closeness_of_places(pixels, list(COLORS.values())[likeliest[0]]),
        )
        return _with_verdict(answer, float(distances.min())) if self.gives_verdicts else answer

    def classify_batch(self, pixels: npt.NDArray[np.uint8]) -> list[Identification | PendingJob]:
        """Name the birds in several images."""
        return [self.classify(each) for each in pixels]

    def engine_info(self) -> EngineInfo | None:
        """As of a network that does not say what it wants."""
        return ENGINE

    def check(self) -> None:
        """It is always there."""

    def look_up(self, job_id: str) -> tuple[bytes, Identification | Position]:
        """:raises UnknownJobError: there are no jobs."""
        raise UnknownJobError(job_id)

    def keep_thumbnail(self, job_id: str, jpeg: bytes) -> None:
        """There are no jobs."""

    def keep_picture(self, job_id: str, picture: npt.NDArray[np.uint8]) -> bool:
        """There are no jobs."""
        return True

    def drop(self, job_id: str) -> None:
        """There are no jobs."""

    def state(self) -> QueueState | None:
        """There is no queue of jobs."""
        return None

    def count_refusal(self) -> None:
        """There are no workers."""

    def figures(self) -> QueueFigures | None:
        """There is no queue of jobs."""
        return None


class HalvesClassifier(ColorClassifier):
    """A stand-in for a network that finds two birds in every photo: one in its left half, and one in its right half."""

    def classify(
        self,
        pixels: npt.NDArray[np.uint8],
        wait: float | None = None,
        picture: npt.NDArray[np.uint8] | None = None,
        region: Region | None = None,
        sender: Sender = ANYBODY,
    ) -> Identification | PendingJob:
        """Name both birds, or the one in a region."""
        if region:
            return super().classify(pixels, region=region)
        middle = pixels.shape[1] // 2
        left = super().classify(pixels[:, :middle], region=Region(0, 0, 0.5, 1))
        right = super().classify(pixels[:, middle:], region=Region(0.5, 0, 0.5, 1))
        return replace(left, others=(right,))


def _with_verdict(answer: Identification, distance: float) -> Identification:
    """An answer of a network that was calibrated.

    :param distance: of the color from that of the nearest bird.
    """
    sums = np.cumsum([each.confidence for each in answer.candidates])
    likely = int(np.searchsorted(sums, 0.9)) + 1
    if distance > FARTHEST_BIRD:
        verdict = Verdict.NO_BIRD
    elif distance > FARTHEST_KNOWN:
        verdict = Verdict.UNKNOWN_BIRD
    else:
        verdict = Verdict.SURE if likely == 1 else Verdict.UNSURE
    familiarity = Familiarity(max(0.0, 1 - distance / 200), max(0.0, 1 - distance / 300))
    return replace(answer, verdict=verdict, likely=min(likely, CANDIDATES), familiarity=familiarity)


def _closeness_of_places(pixels: npt.NDArray[np.uint8], color: tuple[int, int, int]) -> tuple[tuple[float, ...], ...]:
    """For each of 5×5 places of an image, how close it is to a color, as a share of the closest place's."""
    rows = [np.array_split(row, 5, axis=1) for row in np.array_split(pixels, 5)]
    means = np.array([[place.mean(axis=(0, 1)) for place in row] for row in rows])
    closeness = np.exp(-np.linalg.norm(means - color, axis=2) / 50)
    return tuple(tuple(row) for row in (closeness / closeness.max()).tolist())


class ColorWorkers(ColorClassifier):
    """A stand-in for workers behind a queue.

    :ivar found: what a look-up finds, or the exception that it raises. Unless it is None, every photo becomes a job.
    :ivar error: an exception that every photo raises.
    :ivar queue: the state of the queue, or an exception that is raised instead.
    :ivar thumbnails: those that were kept, by job ID.
    """

    concurrency = 4
    is_remote = True

    def __init__(self) -> None:
        super().__init__()
        self.found: Identification | Position | Exception | None = None
        self.error: Exception | None = None
        self.queue: QueueState | Exception = QueueState(0, 0.1, ())
        self.thumbnails: dict[str, bytes] = {}

    def classify(
        self,
        pixels: npt.NDArray[np.uint8],
        wait: float | None = None,
        picture: npt.NDArray[np.uint8] | None = None,
        region: Region | None = None,
        sender: Sender = ANYBODY,
    ) -> Identification | PendingJob:
        """Name the bird in an image, or fail as the test wants."""
        if self.error:
            raise self.error
        return PendingJob("job") if self.found else super().classify(pixels, region=region)

    def look_up(self, job_id: str) -> tuple[bytes, Identification | Position]:
        """What the test wants to be found."""
        if self.found is None:
            raise UnknownJobError(job_id)
        if isinstance(self.found, Exception):
            raise self.found
        return self.thumbnails.get(job_id, b""), self.found

    def keep_thumbnail(self, job_id: str, jpeg: bytes) -> None:
        """Keep it in memory."""
        self.thumbnails[job_id] = jpeg

    def state(self) -> QueueState | None:
        """The state that the test wants."""
        if isinstance(self.queue, Exception):
            raise self.queue
        return self.queue


@lru_cache
def names_of(labels: tuple[str, ...]) -> Names:
    """What the labels mean, found once for all tests: it takes a third of a second."""
    return find_names(labels)


def new_application(uploads_folder: Path, **environment: str) -> ModuleType:
    """``application.py`` in a module of its own, its settings checked and applied, but without a model.

    :param environment: settings, such as ``BIRD_MAX_WAITING``.
    """
    spec = importlib.util.spec_from_file_location("application", ROOT / "application.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch, click.Context(FlaskGroup()):
        for name, value in {"BIRD_UPLOADS": str(uploads_folder), **environment}.items():
            patch.setenv(name, value)
        spec.loader.exec_module(module)
    # Compiling the templates anew for each test would take longer than all the rest.
    module.application.jinja_env.bytecode_cache = FileSystemBytecodeCache()
    checked = settings.from_config(module.application.config)
    uploads.prepare_folder(checked.uploads)
    startup.apply_settings(module.application, checked)
    return module


def loading_application(uploads_folder: Path) -> Flask:
    """An application whose model is still being loaded, and for which no request may wait."""
    app: Flask = new_application(uploads_folder).application
    readiness = app.extensions["bird_readiness"] = startup.Readiness(early_requests=0)
    readiness.is_loading = True
    return app


def install(
    app: Flask,
    sandbox: Sandbox,
    classifier: PhotoClassifier | None = None,
    *,
    model_info: ModelInfo | None = None,
    read: Callable[[BinaryIO], Reading] | None = None,
) -> None:
    """Give an application its services, with a stand-in for the network, and let requests in.

    :param classifier: by default a ``ColorClassifier``.
    :param model_info: what the site knows of its model; by default its labels and no metrics.
    :param read: reads a photo instead of the sandbox.
    """
    checked = settings.from_config(app.config)
    classifier = classifier or ColorClassifier()
    admission = AdmissionQueue(
        read or sandbox.read, classifier.classify, checked.max_waiting, classifier.concurrency, sandbox.read_picture
    )
    if model_info is None:
        model_info = ModelInfo(SHA256, classifier.labels, operators_threshold=checked.unsure_below)
    if model_info.folder is None:
        vars(model_info)["names"] = names_of(model_info.labels)
    services = Services(
        checked, sandbox, classifier, admission, model_info, overload_delay=0,
        corrections=open_corrections(checked, classifier.labels),
    )  # fmt: skip
    startup.install(app, services)


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """An application under a server in this process; its address."""
    server = make_server("127.0.0.1", free_port(), app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
