"""The job store in Redis, which web processes and workers share: jobs, their pixels and order, and the workers.

A job is here from the moment it is accepted until it is answered. A worker takes it with a lease, which it renews as
long as it works on it; when the lease ends, the job is handed out again. All times are of Redis's clock, so the clocks
of the machines need not agree.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any, cast

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from . import (
    ACCEPTABLE_WAIT,
    ANSWER_LIFETIME,
    LEASE,
    LONGEST_WAIT,
    MAX_TRIES,
    NO_REDIS,
    REDIS_CONNECTIONS,
    TIME_LIMIT,
)
from .errors import BusyError, JobLostError, UnknownJobError, unavailable_on
from .pending import Position
from .queue_state import QueueFigures, QueueState, WorkerInfo, read_queue_figures, read_queue_state
from .retry_after import INITIAL_SERVICE_TIME, SERVICE_TIME_WINDOW
from .sender import ANYBODY, BATCH_TURN, Sender, most_of_batches, most_places

TIMEOUT = 1  # seconds that Redis may take to connect, or to answer
#: Connection settings. No retry: a script that was run, but whose answer was lost, must not be run twice.
REDIS_OPTIONS: dict[str, Any] = {
    "socket_timeout": TIMEOUT,
    "socket_connect_timeout": TIMEOUT,
    "max_connections": REDIS_CONNECTIONS,
    "retry": Retry(NoBackoff(), 0),
}
HEARTBEAT_INTERVAL = 2  # seconds between two heartbeats of a worker
HEARTBEAT_TIMEOUT = 10  # seconds after its last heartbeat at which a worker counts as gone
FETCHED_LIFETIME = 5  # seconds for which a job stays in the store after its answer was fetched
#: Age in seconds at which a job without an answer counts as lost: more than its wait and its tries may take.
LOST_AFTER = LONGEST_WAIT + 2 * MAX_TRIES * TIME_LIMIT

TOKEN_LOST_AFTER = 3  # seconds that a job waits beside an idle worker before there is another token for it
RATE_WINDOW = 60  # seconds over which arrivals are averaged

_redis_answers = partial(unavailable_on, NO_REDIS, RedisError)

# Keys that are used here; store.lua describes all of them.
WAITING = "{birds}:line"
WORKERS = "{birds}:workers"
JOB = "{birds}:job:"


@dataclass(frozen=True)
class TakenJob:
    """A job that a worker has taken.

    :param tries: the number of this try, from 1.
    :param pixels: as ``encode_pixels`` returned them.
    """

    id: str
    tries: int
    pixels: bytes


class JobStore:
    """The job store. Every method raises ``UnavailableError`` if Redis does not answer.

    :param url: the address of the Redis.
    """

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(url, **REDIS_OPTIONS)
        self._script = self._redis.register_script(_script())

    def _call(self, function: str, *arguments: str | bytes | float) -> Any:
        """Call a function of ``store.lua``."""
        return self._script(args=[function, *arguments])

    def _keep(self, job_id: str, field: str, value: str | bytes | int, seconds: int) -> None:
        """Keep a value with a job, which then lives so long; even if the store has lost the job meanwhile."""
        with self._redis.pipeline() as pipeline:
            pipeline.hset(JOB + job_id, field, value)
            pipeline.expire(JOB + job_id, seconds)
            pipeline.execute()

    # --- The queue

    @_redis_answers()
    def state(self) -> QueueState:
        """How many jobs wait, and which workers there are."""
        return read_queue_state(*self._call("state"))

    @_redis_answers()
    def figures(self) -> QueueFigures:
        """What has happened so far, and how many workers are needed."""
        return read_queue_figures(*self._call("figures"))

    @_redis_answers()
    def check(self, max_waiting: int) -> None:
        """Refuse a photo for which there is no room.

        :raises BusyError: too many jobs wait.
        :raises UnavailableError: there is no worker, or Redis does not answer.
        """
        *state, has_room = self._call("check", max_waiting)
        found = read_queue_state(*state)
        found.check_workers()
        if not has_room:
            raise BusyError(found.waiting, found.mean_service_time)

    @_redis_answers()
    def add(
        self, job_id: str, pixels: bytes, max_waiting: int, sender: Sender = ANYBODY, refused_elsewhere: int = 0
    ) -> int:
        """Add a job to those that wait.

        :param pixels: as ``encode_pixels`` returned them.
        :param max_waiting: how many may wait.
        :param refused_elsewhere: how many photos have been refused since the last job without a call of this store.
        :return: the latest version of messages that all workers read.
        :raises BusyError: too many jobs wait, or too many of this sender.
        :raises UnavailableError: there is no worker, or Redis does not answer.
        """
        places = max_waiting + 1
        kind, of_client = "batch" if sender.is_batch else "person", most_places(places)
        *state, outcome, version = self._call(
            *("add", job_id, max_waiting, kind, sender.client, of_client, most_of_batches(places)),
            *(pixels, refused_elsewhere),
        )
        if outcome != b"added":
            found = read_queue_state(*state)
            found.check_workers()
            own = of_client if outcome == b"share" else None
            raise BusyError(found.waiting, found.mean_service_time, own)
        return int(version)

    @_redis_answers()
    def take(self, token: str) -> TakenJob | None:
        """Take the job whose turn it is. Whoever takes one with the same token again gets the same job again.

        :param token: the ID of the message that a worker was given.
        :return: the job; None if none waits.
        """
        found = self._call("take", token)
        return TakenJob(found[0].decode(), int(found[1]), found[2]) if found else None

    @_redis_answers()
    def take_this(self, job_id: str, pixels: bytes) -> TakenJob | None:
        """Take a certain job, which a web process of the release before has sent.

        :param pixels: those in its message.
        :return: the job; None if nobody waits for the answer, or another worker has taken it.
        """
        tries = int(self._call("take_this", job_id, pixels))
        return TakenJob(job_id, tries, pixels) if tries else None

    @_redis_answers()
    def renew(self, job_id: str) -> None:
        """Renew the lease of a job that has been taken."""
        self._call("renew", job_id)

    @_redis_answers()
    def give_back(self, job: TakenJob) -> None:
        """Give a job back, so that it is tried again, before all others. Nothing happens if another worker has it."""
        self._call("give_back", job.id, job.tries)

    @_redis_answers()
    def finish(self, job_id: str, result: str, seconds: float = 0, *, failed: bool = False) -> None:
        """Store an answer or a failure where the client waits for it, and mark the job as done, unless it is already.

        Its lifetime begins anew, unless its answer was fetched already.

        :param result: what ``encode_result`` returned.
        :param seconds: which the worker spent on it.
        :param failed: whether the workers failed on it.
        """
        self._call("finish", job_id, "failed" if failed else "answered", seconds, result)

    # --- One job

    @_redis_answers()
    def position(self, job_id: str) -> Position:
        """The position of a job that has no answer yet.

        :raises UnknownJobError: there is no such job, or not any more.
        :raises JobLostError: there will be no answer.
        """
        found = self._call("position", job_id)
        if found is None:
            raise UnknownJobError(job_id)
        age, ahead, tries, mean_service_time = found
        if float(age) > LOST_AFTER or (ahead is None and tries is None):
            raise JobLostError
        seconds = ((ahead or 0) + 1) * float(mean_service_time or INITIAL_SERVICE_TIME)
        return Position(ahead, max(1, ceil(seconds)))

    @_redis_answers()
    def keep_thumbnail(self, job_id: str, jpeg: bytes) -> None:
        """Keep the thumbnail that is shown beside the answer."""
        self._keep(job_id, "thumbnail", jpeg, ANSWER_LIFETIME)

    @_redis_answers()
    def thumbnail(self, job_id: str) -> bytes:
        """The thumbnail of a job, a JPEG file; empty if none was kept."""
        thumbnail = cast("bytes | None", self._redis.hget(JOB + job_id, "thumbnail"))  # text only with decode_responses
        return thumbnail or b""

    @_redis_answers()
    def keep_picture(self, job_id: str, jpeg: bytes) -> bool:
        """Keep the picture in which a worker searches for birds, until the job is done.

        :return: False if that is too late: a worker was not sure, and found no picture.
        """
        return bool(self._call("keep_picture", job_id, jpeg))

    @_redis_answers()
    def picture(self, job_id: str) -> bytes:
        """The picture of a job, a JPEG file; empty if none was kept, and ``keep_picture`` is then too late."""
        return self._call("picture", job_id) or b""

    @_redis_answers()
    def keep_region(self, job_id: str, region: str) -> None:
        """Keep the region of the photo that a job is about."""
        self._keep(job_id, "region", region, ANSWER_LIFETIME)

    @_redis_answers()
    def region(self, job_id: str) -> str:
        """The region of the photo that a job is about; empty if it is the whole photo."""
        region = cast("bytes | None", self._redis.hget(JOB + job_id, "region"))
        return region.decode() if region else ""

    @_redis_answers()
    def mark_fetched(self, job_id: str) -> None:
        """Let a job expire soon, because its answer was fetched. The worker may still have to mark it as done."""
        self._keep(job_id, "answered", 1, FETCHED_LIFETIME)

    @_redis_answers()
    def drop(self, job_id: str) -> None:
        """Remove a job that nobody waits for, so that no worker starts it."""
        self._call("drop", job_id)

    # --- The workers

    @_redis_answers()
    def heartbeat(self, worker: WorkerInfo) -> int:
        """Record that a worker is taking jobs at this moment, and give back the jobs of those that are gone.

        :return: how many jobs wait, if the broker may not have a token for each of them; otherwise 0.
        """
        return int(self._call("heartbeat", json.dumps(asdict(worker))))

    @_redis_answers()
    def remove_worker(self, worker: WorkerInfo) -> None:
        """Remove a worker that takes no more jobs."""
        self._redis.zrem(WORKERS, json.dumps(asdict(worker)))


def _script() -> str:
    """``store.lua``, which is what the job store does in Redis, with its constants."""
    constants: Mapping[str, float] = {
        "ACCEPTABLE_WAIT": ACCEPTABLE_WAIT,
        "ANSWER_LIFETIME": ANSWER_LIFETIME,
        "BATCH_TURN": BATCH_TURN,
        "HEARTBEAT_TIMEOUT": HEARTBEAT_TIMEOUT,
        "INITIAL_SERVICE_TIME": INITIAL_SERVICE_TIME,
        "LEASE": LEASE,
        "LONGEST_WAIT": LONGEST_WAIT,
        "LOST_AFTER": LOST_AFTER,
        "RATE_WINDOW": RATE_WINDOW,
        "SERVICE_TIME_WINDOW": SERVICE_TIME_WINDOW,
        "TOKEN_LOST_AFTER": TOKEN_LOST_AFTER,
    }
    lines = [f"local {name} = {value}" for name, value in constants.items()]
    return "\n".join([*lines, Path(__file__).with_name("store.lua").read_text(encoding="utf-8")])
