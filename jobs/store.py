"""The job store in Redis, which web processes and workers share: waiting jobs, the state of each job, and the workers.

A broker cannot say at which position of its queue a job is, and its count comes too late to refuse the last of a
thousand jobs that arrive at once. All times are of Redis's clock, so the clocks of the machines need not agree.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any, cast

from redis import BlockingConnectionPool, Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from inference.engine import EngineInfo, read_engine_info

from . import ANSWER_LIFETIME, LONGEST_WAIT, MAX_TRIES, NO_REDIS, NO_WORKER, TIME_LIMIT, lua
from .errors import BusyError, JobLostError, UnavailableError, UnknownJobError
from .pending import Position
from .retry_after import INITIAL_SERVICE_TIME, SERVICE_TIME_WINDOW

TIMEOUT = 1  # seconds that Redis may take to connect, or to answer
#: Connection settings. No retry: a script that was run, but whose answer was lost, must not be run twice.
REDIS_TIMEOUTS: dict[str, Any] = {
    "socket_timeout": TIMEOUT,
    "socket_connect_timeout": TIMEOUT,
    "retry": Retry(NoBackoff(), 0),
}
CONNECTIONS = 16  # at most; further threads wait for one, a fraction of a millisecond each
HEARTBEAT_INTERVAL = 2  # seconds between two heartbeats of a worker
HEARTBEAT_TIMEOUT = 10  # seconds after its last heartbeat at which a worker counts as gone
FETCHED_LIFETIME = 5  # seconds for which a job stays in the store after its answer was fetched
#: Age in seconds at which a job without an answer counts as lost: more than its wait and its tries may take.
LOST_AFTER = LONGEST_WAIT + 2 * MAX_TRIES * TIME_LIMIT

# The keys. The braces put them into one hash slot, so that a script may name several. Keys and fields have kept their
# original names, "line" and "pace" among them, so that processes of several releases can share a store.
WAITING = "{birds}:line"  # sorted set: IDs of the jobs that no worker has started, by the time at which they were added
SERVICE_TIME = "{birds}:pace"  # hash: "seconds", the mean for a photo, all workers together; "last", when one was done
WORKERS = "{birds}:workers"  # sorted set: each worker as JSON, by the time of its last heartbeat
#: Hash, one for each job ID: the time at which it "entered" the queue, the number of its "tries", whether it is "done",
#: whether its answer was fetched ("answered"), its "thumbnail", its "region", and whether a worker was not sure and had
#: no picture ("unsure").
JOB = "{birds}:job:"
PICTURE = "{birds}:picture:"  # one for each job ID: a JPEG file, until the job is done or lost


@dataclass(frozen=True)
class WorkerInfo:
    """What a worker says about itself.

    :param name: unique.
    :param model: the SHA-256 of its model file.
    :param labels: how many species it can name.
    :param engine: how its network runs; None if it does not say.
    """

    name: str
    model: str
    labels: int
    engine: EngineInfo | None = None


@dataclass(frozen=True)
class QueueState:
    """The queue at one moment.

    :param waiting: how many jobs no worker has started.
    :param mean_service_time: seconds that a photo takes, all workers together.
    :param workers: those with a heartbeat within ``HEARTBEAT_TIMEOUT``.
    """

    waiting: int
    mean_service_time: float
    workers: tuple[WorkerInfo, ...]

    def check(self, max_waiting: int) -> None:
        """Raise an error if no further job may be added.

        :param max_waiting: how many jobs may wait.
        :raises BusyError: too many jobs wait, or the next one would wait longer than ``LONGEST_WAIT``.
        :raises UnavailableError: there is no worker.
        """
        if not self.workers:
            raise UnavailableError(NO_WORKER)
        if self.waiting > max_waiting or self.waiting * self.mean_service_time > LONGEST_WAIT:
            raise BusyError(self.waiting, self.mean_service_time)


@contextmanager
def _redis_answers() -> Iterator[None]:
    """Turn the errors of redis-py in the block into one.

    :raises UnavailableError: Redis does not answer.
    """
    try:
        yield
    except RedisError as error:
        raise UnavailableError(NO_REDIS) from error


class JobStore:
    """The job store. Every method raises ``UnavailableError`` if Redis does not answer.

    :param url: the address of the Redis.
    """

    def __init__(self, url: str) -> None:
        pool = BlockingConnectionPool.from_url(url, max_connections=CONNECTIONS, timeout=TIMEOUT, **REDIS_TIMEOUTS)
        self._redis = Redis.from_pool(pool)
        self._state = self._redis.register_script(lua.STATE)
        self._add = self._redis.register_script(lua.ADD)
        self._begin = self._redis.register_script(lua.BEGIN)
        self._finish = self._redis.register_script(lua.FINISH)
        self._keep_picture = self._redis.register_script(lua.KEEP_PICTURE)
        self._picture = self._redis.register_script(lua.PICTURE)
        self._position = self._redis.register_script(lua.POSITION)
        self._heartbeat = self._redis.register_script(lua.HEARTBEAT)

    # --- The queue

    @_redis_answers()
    def state(self) -> QueueState:
        """How many jobs wait, and which workers there are."""
        return _queue_state(*self._state([WAITING, WORKERS, SERVICE_TIME], [LONGEST_WAIT, HEARTBEAT_TIMEOUT])[:3])

    @_redis_answers()
    def add(self, job_id: str, max_waiting: int) -> None:
        """Add a job to those that wait.

        :param max_waiting: how many may wait.
        :raises BusyError: too many jobs wait.
        :raises UnavailableError: there is no worker, or Redis does not answer.
        """
        *state, is_added = self._add(
            [WAITING, WORKERS, SERVICE_TIME, JOB + job_id],
            [LONGEST_WAIT, HEARTBEAT_TIMEOUT, job_id, max_waiting, ANSWER_LIFETIME, INITIAL_SERVICE_TIME],
        )
        if not is_added:
            found = _queue_state(*state)
            found.check(max_waiting)
            raise BusyError(found.waiting, found.mean_service_time)

    @_redis_answers()
    def begin(self, job_id: str) -> int:
        """Take a job out of the queue because a worker begins a try of it.

        :return: which try this is, from 1; 0 if nobody waits for the answer.
        """
        return int(self._begin([WAITING, JOB + job_id], [job_id, LONGEST_WAIT]))

    @_redis_answers()
    def finish(self, job_id: str) -> None:
        """Mark a job as done. Its lifetime begins anew, unless its answer was fetched already."""
        self._finish(
            [SERVICE_TIME, JOB + job_id, WAITING, PICTURE + job_id],
            [ANSWER_LIFETIME, SERVICE_TIME_WINDOW, INITIAL_SERVICE_TIME, job_id],
        )

    # --- One job

    @_redis_answers()
    def position(self, job_id: str) -> Position:
        """The position of a job that has no answer yet.

        :raises UnknownJobError: there is no such job, or not any more.
        :raises JobLostError: there will be no answer.
        """
        found = self._position([WAITING, JOB + job_id, SERVICE_TIME], [job_id])
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
        with self._redis.pipeline() as pipeline:
            pipeline.hset(JOB + job_id, "thumbnail", jpeg)
            pipeline.expire(JOB + job_id, ANSWER_LIFETIME)
            pipeline.execute()

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
        return bool(self._keep_picture([JOB + job_id, PICTURE + job_id], [jpeg, LOST_AFTER]))

    @_redis_answers()
    def picture(self, job_id: str) -> bytes:
        """The picture of a job, a JPEG file; empty if none was kept, and ``keep_picture`` is then too late."""
        return self._picture([JOB + job_id, PICTURE + job_id]) or b""

    @_redis_answers()
    def keep_region(self, job_id: str, region: str) -> None:
        """Keep the region of the photo that a job is about."""
        self._redis.hset(JOB + job_id, "region", region)

    @_redis_answers()
    def region(self, job_id: str) -> str:
        """The region of the photo that a job is about; empty if it is the whole photo."""
        region = cast("bytes | None", self._redis.hget(JOB + job_id, "region"))
        return region.decode() if region else ""

    @_redis_answers()
    def mark_fetched(self, job_id: str) -> None:
        """Let a job expire soon, because its answer was fetched. The worker may still have to mark it as done."""
        with self._redis.pipeline() as pipeline:
            pipeline.hset(JOB + job_id, "answered", 1)
            pipeline.expire(JOB + job_id, FETCHED_LIFETIME)
            pipeline.execute()

    @_redis_answers()
    def drop(self, job_id: str) -> None:
        """Remove a job that nobody waits for, so that no worker starts it."""
        with self._redis.pipeline() as pipeline:
            pipeline.zrem(WAITING, job_id)
            pipeline.delete(JOB + job_id, PICTURE + job_id)
            pipeline.execute()

    # --- The workers

    @_redis_answers()
    def heartbeat(self, worker: WorkerInfo) -> None:
        """Record that a worker is taking jobs at this moment."""
        self._heartbeat([WORKERS], [json.dumps(asdict(worker))])

    @_redis_answers()
    def remove_worker(self, worker: WorkerInfo) -> None:
        """Remove a worker that takes no more jobs."""
        self._redis.zrem(WORKERS, json.dumps(asdict(worker)))


def _queue_state(waiting: int, mean_service_time: bytes | None, workers: list[bytes]) -> QueueState:
    return QueueState(
        waiting,
        float(mean_service_time or INITIAL_SERVICE_TIME),
        tuple(_worker_info(worker) for worker in workers),
    )


def _worker_info(text: bytes) -> WorkerInfo:
    """Read what a worker said about itself. It may be of another release and say less or more."""
    worker = json.loads(text)
    return WorkerInfo(worker["name"], worker["model"], worker["labels"], read_engine_info(worker.get("engine")))
