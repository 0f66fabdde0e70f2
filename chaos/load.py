"""Clients that send jobs at a steady rate and follow each of them, as the web processes do."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from inference import Identification
from inference.classifier import Classifier
from inference.loader import load_classifier
from inference.pair import check_pair
from jobs.client import RemoteClassifier
from jobs.errors import BusyError, JobFailedError, JobLostError, UnavailableError, UnknownJobError
from jobs.pending import PendingJob, Position
from jobs.sender import Sender
from tests.support.servers import KERAS2

from .fates import ANSWERED, BROKEN, CHANGED, PENDING, REFUSED, WRONG, Job
from .images import Pixels, image_of

THREADS = 64  # that wait for answers at the same time
FOLLOWERS = 16  # threads that ask for pending jobs
FOLLOW_INTERVAL = 0.25  # seconds between two questions for each pending job
CLIENTS = 8  # that take turns
DEADLY_SHARE = 500  # one job in so many is deadly
FIRST_DEADLY = 20  # number of the first one; even a short run has it
TOLERANCE = 1e-6  # of a probability


class Load:
    """Jobs, and what becomes of them.

    :ivar jobs: those that were sent.
    :param client: of the queue.
    :param rate: jobs a second.
    """

    def __init__(self, client: RemoteClassifier, rate: float) -> None:
        self.jobs: list[Job] = []
        self._client, self._rate = client, rate
        self._answers = Answers()

    def send_while(self, condition: Callable[[], bool], patience: float) -> None:
        """Send jobs while a condition is true, and wait for all of them.

        :param patience: seconds that they may take after the last was sent.
        """
        is_sent = threading.Event()
        follower = threading.Thread(target=self._follow, args=(is_sent, patience))
        follower.start()
        with ThreadPoolExecutor(THREADS) as pool:
            begin = time.monotonic()
            while condition():
                job = Job(len(self.jobs), is_deadly=len(self.jobs) % DEADLY_SHARE == FIRST_DEADLY)
                self.jobs.append(job)
                pool.submit(self._send, job)
                time.sleep(max(0, begin + len(self.jobs) / self._rate - time.monotonic()))
        is_sent.set()
        follower.join()

    def _send(self, job: Job) -> None:
        """Send a job, and wait as long as a page does, or not at all, as with ``Prefer: respond-async``."""
        wait = random.choice((0, 3))
        sender = Sender(f"client {job.number % CLIENTS}", is_batch=wait == 0)
        job.sent = time.monotonic()
        try:
            answer = self._client.classify(image_of(job.number, is_deadly=job.is_deadly), wait, sender=sender)
        except (BusyError, UnavailableError) as error:
            job.end(REFUSED + type(error).__name__, time.monotonic())
        except (JobFailedError, JobLostError) as error:
            job.end(type(error).__name__, time.monotonic())
        except Exception as error:
            job.end(BROKEN + repr(error), time.monotonic())
        else:
            if isinstance(answer, PendingJob):
                job.id = answer.id
            else:
                self._judge(job, answer)

    def _follow(self, is_sent: threading.Event, patience: float) -> None:
        """Ask for the pending jobs until all jobs were sent and none is pending, or for as long as ``patience``."""
        deadline = None
        with ThreadPoolExecutor(FOLLOWERS) as pool:
            while not deadline or time.monotonic() < deadline:
                if is_sent.is_set():
                    deadline = deadline or time.monotonic() + patience
                pending = [job for job in list(self.jobs) if job.id and job.fate == PENDING]
                if deadline and not pending:
                    return
                list(pool.map(self._look_up, pending))
                time.sleep(FOLLOW_INTERVAL)
        for job in self.jobs:
            if job.fate == PENDING:
                job.ended = time.monotonic()

    def _look_up(self, job: Job) -> None:
        try:
            _thumbnail, found = self._client.look_up(job.id)
            if isinstance(found, Position):
                return
            self._judge(job, found)
            _thumbnail, again = self._client.look_up(job.id)
            if not isinstance(again, Identification) or again.candidates != found.candidates:
                job.fate = CHANGED
        except UnavailableError:
            return
        except (JobFailedError, JobLostError, UnknownJobError) as error:
            job.end(type(error).__name__ if job.fate == PENDING else CHANGED, time.monotonic())
        except Exception as error:
            job.end(BROKEN + repr(error), time.monotonic())

    def _judge(self, job: Job, answer: Identification) -> None:
        is_right = self._answers.is_right(image_of(job.number, is_deadly=job.is_deadly), answer)
        job.end(ANSWERED if is_right else WRONG, time.monotonic())


class Answers:
    """The same network in this process, to know the right answers."""

    def __init__(self) -> None:
        self._network: Classifier = load_classifier(check_pair(KERAS2 / "model.h5", KERAS2 / "class_indices.npy"))

    def is_right(self, image: Pixels, answer: Identification) -> bool:
        """Whether an answer is the one to this image."""
        right = self._network.classify(image)
        return [each.label for each in answer.candidates] == [each.label for each in right.candidates] and all(
            abs(given.confidence - expected.confidence) < TOLERANCE
            for given, expected in zip(answer.candidates, right.candidates, strict=True)
        )
