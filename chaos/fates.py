"""What became of each job, and what of that must not be."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from jobs import MAX_TRIES

#: Fates of a job beside the names of exceptions, which are explanations.
ANSWERED, WRONG, CHANGED, PENDING = "answered", "answered wrongly", "another answer when asked again", "pending"
REFUSED = "refused: "  # followed by the name of an exception; such a job was not accepted
BROKEN = "broken: "  # followed by an exception that no person should see
FAILED = "JobFailedError"  # the only explanation for a job that was not lost
EXPLANATIONS = (FAILED, "JobLostError", "UnknownJobError")

Interval = tuple[float, float]


@dataclass
class Job:
    """A job of a run.

    :param number: from 0.
    :param is_deadly: whether it kills each process that works on it.
    :param sent: when, in seconds of the monotonic clock.
    :param ended: when its fate was known; the same.
    :param id: of the job store, if the job was pending.
    """

    number: int
    is_deadly: bool = False
    sent: float = 0
    ended: float = 0
    fate: str = PENDING
    id: str = ""

    def end(self, fate: str, now: float) -> None:
        """Note the fate of the job."""
        self.fate, self.ended = fate, now


@dataclass
class Outcome:
    """What was seen in a run.

    :param begun: how often the network began with each job, by number.
    :param done: how often it was done with each.
    :param published: how many answers were published for each job, by the name of a channel.
    :param kills: how many workers were killed, by what was killed.
    :param faults: when something was broken for a while, from and to, in seconds of the monotonic clock.
    """

    jobs: list[Job]
    begun: Counter[int]
    done: Counter[int]
    published: Mapping[str, int]
    kills: Counter[str] = field(default_factory=Counter)
    faults: list[Interval] = field(default_factory=list)

    @property
    def accepted(self) -> list[Job]:
        """The jobs that were not refused."""
        return [job for job in self.jobs if not job.fate.startswith(REFUSED)]

    @property
    def hit(self) -> list[Job]:
        """The jobs with which a network began more than once, or was never done."""
        return [job for job in self.accepted if self.begun[job.number] > min(1, self.done[job.number])]

    @property
    def fates(self) -> Counter[str]:
        """How many jobs had each fate."""
        return Counter(job.fate for job in self.jobs)

    def wait(self, job: Job) -> float:
        """The seconds that a job waited while nothing was broken."""
        broken = sum(max(0, min(end, job.ended) - max(begin, job.sent)) for begin, end in self.faults)
        return job.ended - job.sent - broken

    def longest(self, jobs: list[Job]) -> float:
        """The longest wait of these jobs, in seconds."""
        return max(map(self.wait, jobs), default=0)

    def complaints(self, longest_wait: float, *, store_forgets: bool = False) -> Iterator[str]:
        """What must not be, in words.

        :param longest_wait: seconds that a job may wait while nothing is broken.
        :param store_forgets: whether what was broken may take jobs away from the store.
        """
        allowed = {ANSWERED, FAILED} | (set(EXPLANATIONS) if store_forgets else set())
        for fate, number in self.fates.items():
            if fate not in allowed and not fate.startswith(REFUSED):
                yield f"{number} jobs: {fate}"
        if twice := sum(number > 1 for number in self.published.values()):
            yield f"{twice} jobs were answered twice"
        if answered := [job for job in self.accepted if job.is_deadly and job.fate == ANSWERED]:
            yield f"{len(answered)} jobs were answered, although each try was killed"
        if not self.kills and (failed := [job for job in self.jobs if job.fate == FAILED and not job.is_deadly]):
            yield f"{len(failed)} jobs failed, although nothing killed what worked on them"
        if not store_forgets and (often := [number for number, tries in self.begun.items() if tries > MAX_TRIES]):
            yield f"{len(often)} jobs were tried more than {MAX_TRIES} times, such as job {often[0]}"
        if late := [job for job in self.accepted if self.wait(job) > longest_wait]:
            hit = sum(self.wait(job) > longest_wait for job in self.hit)
            yield f"{len(late)} jobs waited longer than {longest_wait} s, {hit} of them hit"
        if not any(job.fate == ANSWERED for job in self.jobs):
            yield "no job was answered"
