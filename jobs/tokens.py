"""The messages that a broker carries: tokens, each of which has a worker take the job whose turn it is.

A token may be lost, or be one too many: the job store knows which jobs there are, and workers send the tokens that are
missing (``bootsteps.py``).
"""

from functools import partial
from typing import Any

from celery import Celery

from . import NO_BROKER, QUEUE, TASK
from .celery_config import BROKER_TIMEOUT, CONNECT_TIMEOUT
from .errors import unavailable_on
from .messages import VERSION, encode_version_1

MOST_TOKENS = 100  # that are sent at once


#: Each kind of broker raises exceptions of its own.
_broker_answers = partial(unavailable_on, NO_BROKER, Exception)


def send_token(app: Celery) -> None:
    """Send a token.

    :raises UnavailableError: the broker does not answer.
    """
    with _broker_answers():
        app.send_task(TASK, kwargs={"version": VERSION}, ignore_result=True, confirm_timeout=BROKER_TIMEOUT)


def count_tokens(app: Celery) -> int:
    """Count the tokens that the broker has and no worker has received. Amazon SQS knows their number only roughly.

    :raises UnavailableError: the broker does not answer.
    """
    connections: Any = app.pool  # celery-types takes it for a pool of producers
    with _broker_answers(), connections.acquire(block=True, timeout=CONNECT_TIMEOUT) as connection:
        declared: Any = app.amqp.queues[QUEUE](connection.default_channel).queue_declare()
    return int(declared.message_count)


def send_missing_tokens(app: Celery, waiting: int) -> int:
    """Send the tokens that the broker has lost.

    :param waiting: how many jobs wait, each of which needs one.
    :return: how many were sent.
    :raises UnavailableError: the broker does not answer.
    """
    missing = min(waiting - count_tokens(app), MOST_TOKENS)
    for _ in range(missing):
        send_token(app)
    return max(missing, 0)


def send_version_1(app: Celery, job_id: str, pixels: bytes) -> None:
    """Send a job to workers of which some are of the release before.

    :param pixels: as ``encode_pixels`` returned them.
    :raises UnavailableError: the broker does not answer.
    """
    arguments = (encode_version_1(pixels),)
    with _broker_answers():
        app.send_task(TASK, arguments, task_id=job_id, argsrepr="pixels", confirm_timeout=BROKER_TIMEOUT)
