"""What web and workers tell each other beside the queue, in Redis: who waits, what has become of it, who works.

A broker cannot say where in its queue a job is, and counts jobs too late to keep a thousand who come at once out. All
times are those of Redis's clock, so those of the machines need not agree.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import ceil

from redis import BlockingConnectionPool, Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from inference.line import FIRST_GUESS, MEMORY_OF_PACE, BusyError

from . import (
    KEPT,
    LONGEST_WAIT,
    MAX_TRIES,
    NO_REDIS,
    NO_WORKER,
    TIME_LIMIT,
    LostError,
    UnavailableError,
    UnknownJobError,
)

TIMEOUT = 1  # seconds that Redis may take
#: How long each use of a connection may take. A script that was run, but whose answer was lost, must not be run twice.
PATIENCE = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT, "retry": Retry(NoBackoff(), 0)}
CONNECTIONS = 16  # at most; more threads wait for one, each for a fraction of a millisecond
BEAT_INTERVAL = 2  # seconds between two signs of life of a worker
SILENCE = 10  # seconds after the last one, after which a worker counts as gone
ANSWERED_KEPT = 5  # seconds that notes stay of a job whose person has the answer
#: Seconds after which no answer is to be hoped for: its turn, and every try, have taken as long as they may.
OVERDUE = LONGEST_WAIT + 2 * MAX_TRIES * TIME_LIMIT

# One hash slot, so that the scripts may name several keys at once.
LINE = "{birds}:line"  # sorted set: jobs whose turn has not come, by the time at which they came
PACE = "{birds}:pace"  # hash: "seconds" a photograph takes, all workers together, and when the "last" was ready
WORKERS = "{birds}:workers"  # sorted set: what each says of itself, by the time of its last sign of life
JOB = "{birds}:job:"  # hash, by job: when it "entered", its "tries", whether it is "done", its "thumbnail"

_NOW = "local time = redis.call('TIME'); local now = time[1] + time[2] / 1000000; "

# KEYS line, workers, pace, ARGV longest wait, silence. What waits, the pace, and who works.
_STATE = (
    _NOW
    + """
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[1])
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[2])
    local pace = redis.call('HGET', KEYS[3], 'seconds')
    local state = {redis.call('ZCARD', KEYS[1]), pace, redis.call('ZRANGE', KEYS[2], 0, -1), 0}
    """
)
# … and, if there is room, take a place. KEYS[4] job, ARGV[3] its id, ARGV[4] how many may wait,
# ARGV[5] kept, ARGV[6] first guess of the pace.
_ENTER = (
    _STATE
    + """
    local seconds = state[1] * (pace or ARGV[6])
    if state[1] <= tonumber(ARGV[4]) and seconds <= tonumber(ARGV[1]) and #state[3] > 0 then
        redis.call('ZADD', KEYS[1], now, ARGV[3])
        redis.call('HSET', KEYS[4], 'entered', now)
        redis.call('EXPIRE', KEYS[4], ARGV[5])
        state[4] = 1
    end
    return state
    """
)
# KEYS line, job, ARGV id, longest wait. How often the job has been tried, with this time; 0 if nobody wants it.
_BEGIN = (
    _NOW
    + """
    redis.call('ZREM', KEYS[1], ARGV[1])
    local entered, done, tries = unpack(redis.call('HMGET', KEYS[2], 'entered', 'done', 'tries'))
    if not entered or done or (not tries and now - entered > tonumber(ARGV[2])) then return 0 end
    return redis.call('HINCRBY', KEYS[2], 'tries', 1)
    """
)
# KEYS pace, job, line, ARGV kept, memory of pace, first guess, id.
_FINISH = (
    _NOW
    + """
    redis.call('ZREM', KEYS[3], ARGV[4])
    local entered, answered = unpack(redis.call('HMGET', KEYS[2], 'entered', 'answered'))
    if not entered then return end
    redis.call('HSET', KEYS[2], 'done', 1)
    if not answered then redis.call('EXPIRE', KEYS[2], ARGV[1]) end
    local last, seconds = unpack(redis.call('HMGET', KEYS[1], 'last', 'seconds'))
    seconds = tonumber(seconds or ARGV[3])
    seconds = seconds + (now - math.max(last or 0, entered) - seconds) / ARGV[2]
    redis.call('HSET', KEYS[1], 'last', now, 'seconds', tostring(seconds))
    """
)
# KEYS line, job, pace, ARGV id. How long ago the job entered, how many are before it, how often it was tried, the pace.
_PLACE = (
    _NOW
    + """
    local entered, tries = unpack(redis.call('HMGET', KEYS[2], 'entered', 'tries'))
    if not entered then return end
    local pace = redis.call('HGET', KEYS[3], 'seconds')
    return {tostring(now - entered), redis.call('ZRANK', KEYS[1], ARGV[1]), tries, pace}
    """
)
_BEAT = _NOW + "redis.call('ZADD', KEYS[1], now, ARGV[1])"


@dataclass(frozen=True)
class Worker:
    """What a worker says of itself.

    :param model: the SHA-256 of its network's file.
    :param labels: how many species it knows.
    """

    name: str
    model: str
    labels: int


@dataclass(frozen=True)
class State:
    """How the workers stand.

    :param waiting: jobs whose turn has not come.
    :param pace: seconds that a photograph takes at the moment, all workers together.
    """

    waiting: int
    pace: float
    workers: tuple[Worker, ...]

    def check(self, max_waiting: int) -> None:
        """
        :raises BusyError: too many wait, or more than would have their turn in time.
        :raises UnavailableError: there is nobody to wait for.
        """
        if not self.workers:
            raise UnavailableError(NO_WORKER)
        if self.waiting > max_waiting or self.waiting * self.pace > LONGEST_WAIT:
            raise BusyError(self.waiting, self.pace)


@dataclass(frozen=True)
class Place:
    """Where a job is.

    :param ahead: how many others are before it; None if its turn has come.
    :param seconds: what it should take until it is done.
    """

    ahead: int | None
    seconds: int


@contextmanager
def _redis_answers() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise UnavailableError(NO_REDIS) from error


class Register:
    """The notes about jobs and workers. Every method raises ``UnavailableError`` if Redis does not answer.

    :param url: of the Redis.
    """

    def __init__(self, url: str) -> None:
        pool = BlockingConnectionPool.from_url(url, max_connections=CONNECTIONS, timeout=TIMEOUT, **PATIENCE)
        self._redis = Redis.from_pool(pool)
        self._state, self._enter, self._begin, self._finish, self._place, self._beat = map(
            self._redis.register_script, (_STATE + "return state", _ENTER, _BEGIN, _FINISH, _PLACE, _BEAT)
        )

    @_redis_answers()
    def state(self) -> State:
        """Who waits and who works."""
        return _as_state(*self._state([LINE, WORKERS, PACE], [LONGEST_WAIT, SILENCE])[:3])

    @_redis_answers()
    def enter(self, job: str, max_waiting: int) -> None:
        """Take a place in the line.

        :raises BusyError: there is none.
        :raises UnavailableError: there is nobody to wait for, too.
        """
        *state, entered = self._enter(
            [LINE, WORKERS, PACE, JOB + job], [LONGEST_WAIT, SILENCE, job, max_waiting, KEPT, FIRST_GUESS]
        )
        if not entered:
            found = _as_state(*state)
            found.check(max_waiting)
            raise BusyError(found.waiting, found.pace)

    @_redis_answers()
    def begin(self, job: str) -> int:
        """Leave the line for a worker.

        :return: which try this is; 0 if nobody waits for the answer.
        """
        return self._begin([LINE, JOB + job], [job, LONGEST_WAIT])

    @_redis_answers()
    def finish(self, job: str) -> None:
        """The answer is there. It is kept from now on for as long as it may be."""
        self._finish([PACE, JOB + job, LINE], [KEPT, MEMORY_OF_PACE, FIRST_GUESS, job])

    @_redis_answers()
    def forget(self, job: str) -> None:
        """Nobody asks for this job any more."""
        with self._redis.pipeline() as pipeline:
            pipeline.zrem(LINE, job).delete(JOB + job).execute()

    @_redis_answers()
    def answered(self, job: str) -> None:
        """The person has the answer. The worker may not have entered it as done yet, so the notes stay a moment."""
        with self._redis.pipeline() as pipeline:
            pipeline.hset(JOB + job, "answered", 1).expire(JOB + job, ANSWERED_KEPT).execute()

    @_redis_answers()
    def place(self, job: str) -> Place:
        """Where a job is that has no answer yet.

        :raises UnknownJobError: there is no such job, or it was too long ago.
        :raises LostError: no answer is to be hoped for.
        """
        found = self._place([LINE, JOB + job, PACE], [job])
        if found is None:
            raise UnknownJobError(job)
        age, ahead, tries, pace = found
        if float(age) > OVERDUE or (ahead is None and tries is None):
            raise LostError
        return Place(ahead, max(1, ceil(((ahead or 0) + 1) * float(pace or FIRST_GUESS))))

    @_redis_answers()
    def keep_thumbnail(self, job: str, jpeg: bytes) -> None:
        """Keep what a person will be shown beside the answer."""
        with self._redis.pipeline() as pipeline:
            pipeline.hset(JOB + job, "thumbnail", jpeg).expire(JOB + job, KEPT).execute()

    @_redis_answers()
    def thumbnail(self, job: str) -> bytes:
        """A JPEG; nothing if none was kept."""
        return self._redis.hget(JOB + job, "thumbnail") or b""

    @_redis_answers()
    def beat(self, worker: Worker) -> None:
        """A worker's sign of life."""
        self._beat([WORKERS], [json.dumps(asdict(worker))])

    @_redis_answers()
    def sign_off(self, worker: Worker) -> None:
        """A worker takes no more jobs."""
        self._redis.zrem(WORKERS, json.dumps(asdict(worker)))


def _as_state(waiting: int, pace: bytes | None, workers: list[bytes]) -> State:
    return State(waiting, float(pace or FIRST_GUESS), tuple(map(_as_worker, workers)))


def _as_worker(said: bytes) -> Worker:
    """What a worker said of itself, which may be of another release and say more."""
    about = json.loads(said)
    return Worker(about["name"], about["model"], about["labels"])
