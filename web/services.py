"""What a process owns: the classifier (local or remote), the admission queue, the sandbox, the model information."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from flask import current_app

from inference import Identification
from inference.digest import sha256
from inference.engine import EngineInfo
from inference.errors import PairError
from inference.labels import load_labels
from inference.packages import FOR_FEEDBACK, INSTALL_FOR_FEEDBACK, INSTALL_TO_SERVE, is_installed
from inference.regions import Region
from inference.sandbox import Sandbox
from jobs.errors import BusyError
from jobs.pending import PendingJob, Position
from jobs.queue_state import QueueFigures, QueueState
from jobs.sender import ANYBODY, Sender
from settings import SettingError, Settings

from .admission import AdmissionQueue, Pixels
from .model_info import ModelInfo, read_model_info
from .overload import OverloadDetector

if TYPE_CHECKING:
    from feedback.corrections import Corrections  # not needed unless BIRD_FEEDBACK is on

OVERLOAD_DELAY = 0.05  # seconds by which a refusal is delayed in an overload, because each costs processor time


class PhotoClassifier(Protocol):
    """A network in this process, or workers behind a queue. Nothing but ``load_classifier`` knows which.

    :ivar labels: of the species, in the order of the network's outputs.
    :ivar batch_size: how many images ``classify_batch`` takes.
    :ivar concurrency: how many calls may run at the same time.
    :ivar is_remote: whether photos leave this process, for the pages that say what happens to a photo.
    :ivar network_in_words: what runs the network, and what it is given; empty if workers run it.
    """

    labels: tuple[str, ...]
    batch_size: int
    concurrency: int
    is_remote: bool
    network_in_words: str

    def classify(
        self,
        pixels: Pixels,
        wait: float | None = None,
        picture: Pixels | None = None,
        region: Region | None = None,
        sender: Sender = ANYBODY,
    ) -> Identification | PendingJob:
        """Name the species in an image, within ``wait`` seconds if a worker does it.

        :param picture: the whole photo with more pixels, which is searched for birds if the network is not sure.
        :param region: the part of the photo that ``pixels`` shows.
        :param sender: decides whose turn it is in the queue of the workers.
        """

    def classify_batch(self, pixels: Pixels) -> list[Identification | PendingJob]:
        """Name the species in several images, ``uint8[n, 224, 224, 3]``."""

    def engine_info(self) -> EngineInfo | None:
        """How the network runs; None if the workers do not all say the same."""

    def check(self) -> None:
        """Raise what ``classify`` would raise, if no photo can be identified now."""

    def count_refusal(self) -> None:
        """Count a photo that was refused before ``check`` or ``classify`` was called."""

    def look_up(self, job_id: str) -> tuple[bytes, Identification | Position]:
        """The thumbnail of a pending job, and its answer or its position in the queue."""

    def keep_thumbnail(self, job_id: str, jpeg: bytes) -> None:
        """Keep the thumbnail of a pending job."""

    def keep_picture(self, job_id: str, picture: Pixels) -> bool:
        """Keep the picture of a pending job for the worker, and tell whether it has not missed it yet."""

    def drop(self, job_id: str) -> None:
        """Give up a pending job."""

    def state(self) -> QueueState | None:
        """The queue and its workers; None if there is no queue."""

    def figures(self) -> QueueFigures | None:
        """What has happened to jobs so far, and how many workers are needed; None if there is no queue."""


def load_classifier(settings: Settings) -> tuple[PhotoClassifier, str | None]:
    """Decide whether the network runs in this process or in workers; nothing else in the app does.

    :return: the classifier, and the SHA-256 of the ``.h5``; None if that file is not on this machine.
    :raises PairError: the model pair cannot be used.
    """
    if settings.queue_url:
        from jobs.client import RemoteClassifier  # Celery takes a while to import, and a single process needs none

        classifier = RemoteClassifier(
            settings.queue_url,
            settings.result_url,
            labels=load_labels(settings.labels),
            max_waiting=settings.max_waiting,
            result_wait=settings.result_wait,
        )
        return classifier, _sha256_if_there(settings.model)
    if not is_installed("h5py"):  # as where the network runs in workers
        raise PairError(f"Without BIRD_QUEUE_URL the network runs here, which needs more packages: {INSTALL_TO_SERVE}")
    from inference.pair import check_pair

    from .local import LocalClassifier

    pair = check_pair(settings.model, settings.labels)
    return LocalClassifier(pair, settings.network), pair.sha256


def _sha256_if_there(model_file: Path) -> str | None:
    return sha256(model_file) if model_file.is_file() else None


@dataclass(frozen=True)
class Services:
    """Everything that requests need, created once when the process starts.

    :param overload_delay: seconds before a refusal in an overload.
    :param corrections: what visitors say about answers; None unless ``BIRD_FEEDBACK`` is on.
    """

    settings: Settings
    sandbox: Sandbox
    classifier: PhotoClassifier
    admission: AdmissionQueue
    model_info: ModelInfo
    overload_delay: float
    corrections: "Corrections | None" = None
    overload: OverloadDetector = field(default_factory=OverloadDetector)

    def check_admission(self, sender: Sender) -> None:
        """Refuse a photo that could not be identified, before it is received.

        :raises BusyError: too many photos are waiting, or too many of this sender.
        :raises UnavailableError: no worker would identify a photo.
        """
        try:
            self.admission.check(sender)
        except BusyError:
            self.classifier.count_refusal()
            raise
        self.classifier.check()

    def waiting(self) -> int:
        """How many photos are in the queue: of all web processes together if workers identify them.

        :raises UnavailableError: the queue does not answer.
        """
        state = self.classifier.state()
        return self.admission.waiting if state is None else state.waiting

    def refusal_delay(self) -> float:
        """Count a photo that is refused, and give the seconds by which to delay the refusal."""
        return self.overload_delay if self.overload.count_refusal() else 0


def build_services(settings: Settings, sandbox: Sandbox) -> Services:
    """Load the model or connect to the queue.

    :param sandbox: already started, so that it gets ready while the model is being loaded.
    :raises PairError: the model pair cannot be used.
    :raises SettingError: corrections are to be kept, and cannot.
    """
    classifier, model_sha256 = load_classifier(settings)
    return Services(
        settings,
        sandbox,
        classifier,
        AdmissionQueue(
            sandbox.read, classifier.classify, settings.max_waiting, classifier.concurrency, sandbox.read_picture
        ),
        read_model_info(
            settings.model,
            model_sha256,
            classifier.labels,
            settings.unsure_below,
            settings.network.strictness,
            settings.labels.parent,
        ),
        overload_delay=0 if classifier.is_remote else OVERLOAD_DELAY,
        corrections=open_corrections(settings, classifier.labels),
    )


def open_corrections(settings: Settings, labels: tuple[str, ...]) -> "Corrections | None":
    """All corrections; None unless ``BIRD_FEEDBACK`` is on.

    :param labels: that the model knows.
    :raises SettingError: the database or the photo store cannot be used, or packages are missing.
    """
    if settings.feedback is None:
        return None
    if not all(map(is_installed, FOR_FEEDBACK)):
        raise SettingError(f"BIRD_FEEDBACK=1 needs more packages: {INSTALL_FOR_FEEDBACK}")
    from feedback import opening
    from feedback.errors import FeedbackError

    try:
        return opening.open_corrections(settings.feedback, labels)
    except FeedbackError as error:
        raise SettingError(str(error)) from error


def has_services() -> bool:
    """Whether the model has been loaded, so that ``current_services`` gives something."""
    return "birds" in current_app.extensions


def current_services() -> Services:
    """The services of the application that answers this request."""
    return cast(Services, current_app.extensions["birds"])
