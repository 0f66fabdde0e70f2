"""How Celery is set up, on both sides of the queue."""

from urllib.parse import urlencode, urlsplit, urlunsplit

from celery import Celery

from . import KEPT, QUEUE, REDELIVERY, TIME_LIMIT

CONNECT_TIMEOUT = 1  # seconds
ANSWER_TIMEOUT = 2  # seconds that a broker may take to take a photo
START_LIMIT = 300  # seconds that a worker's process may take to load the model
SQS_WAIT = 5  # seconds that one request to Amazon SQS waits for a message; also until a failed job is tried again

SETTINGS = {
    "task_default_queue": QUEUE,
    # Nothing that comes out of a queue is run: no pickle.
    "task_serializer": "json",
    "result_serializer": "json",
    "accept_content": ["json"],
    # A job is done with when there is an answer, not when a worker has taken it.
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_acks_on_timeout": False,
    "task_acks_on_failure": True,
    "task_time_limit": TIME_LIMIT,
    # No worker takes a job that another could begin with at once.
    "worker_prefetch_multiplier": 1,
    "worker_concurrency": 1,  # one network keeps all cores busy
    "worker_proc_alive_timeout": START_LIMIT,
    # Workers show themselves in the register, which works with every broker; Amazon SQS has no broadcasts.
    "worker_enable_remote_control": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_timeout": CONNECT_TIMEOUT,
    "redis_socket_connect_timeout": CONNECT_TIMEOUT,
    "redis_socket_timeout": ANSWER_TIMEOUT,
    "result_expires": KEPT,
    "result_backend_thread_safe": True,
}
# A worker keeps an answer until it can give it away, or the time limit ends it and the job is done again.
_WORKER_SETTINGS = {
    "result_backend_always_retry": True,
    "result_backend_max_sleep_between_retries_ms": 1000,
}

# By kind of broker.
_REDIS_OPTIONS = {
    "visibility_timeout": REDELIVERY,
    "unacked_restore_interval": 1,  # seconds; by default a lost job is looked for every 100 seconds
    "unacked_restore_throttle": 1,
    "socket_connect_timeout": CONNECT_TIMEOUT,
    "socket_keepalive": True,
    # The picture is text already: in base64 again it would take a third more.
    "body_encoding": None,
}
_TRANSPORT_OPTIONS = {
    "redis": _REDIS_OPTIONS,
    "rediss": _REDIS_OPTIONS,
    "sentinel": _REDIS_OPTIONS,
    "sqs": {
        "visibility_timeout": REDELIVERY,
        "wait_time_seconds": SQS_WAIT,
        "polling_interval": 0,  # seconds between two such requests
        "body_encoding": None,
        "sqs_base64_encoding": False,
        "client-config": {"connect_timeout": CONNECT_TIMEOUT, "read_timeout": SQS_WAIT + ANSWER_TIMEOUT},
    },
    "amqp": {"confirm_publish": True, "connect_timeout": CONNECT_TIMEOUT},
}
_TRANSPORT_OPTIONS["amqps"] = _TRANSPORT_OPTIONS["pyamqp"] = _TRANSPORT_OPTIONS["amqp"]

# Somebody looks at an empty page meanwhile: one more try, for a connection that a restart of the broker has broken.
_IMPATIENCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
_WEB_SETTINGS = {
    "redis_max_connections": 10_000,  # one for each thread that asks for an answer; by default the 101st fails
    "task_publish_retry_policy": _IMPATIENCE,
    "result_backend_transport_options": {"retry_policy": _IMPATIENCE},
}
_WEB_TRANSPORT_OPTIONS = {
    "redis": {"socket_timeout": ANSWER_TIMEOUT},
    "rediss": {"socket_timeout": ANSWER_TIMEOUT},
    "amqp": {"read_timeout": ANSWER_TIMEOUT, "write_timeout": ANSWER_TIMEOUT},
}


def celery_app(queue_url: str, result_url: str, *, for_web: bool = False) -> Celery:
    """The Celery app.

    :param queue_url: of the broker.
    :param result_url: of the Redis that keeps the answers.
    :param for_web: whether a person waits for all that it does: it then gives up soon.
    """
    app = Celery("birds", broker=with_checked_certificate(queue_url), backend=with_checked_certificate(result_url))
    scheme = queue_url.partition("://")[0]
    options = dict(_TRANSPORT_OPTIONS.get(scheme, {}))
    app.conf.update(SETTINGS)
    app.conf.update(_WEB_SETTINGS if for_web else _WORKER_SETTINGS)
    if for_web:
        options |= _WEB_TRANSPORT_OPTIONS.get(scheme, {})
    app.conf.broker_transport_options = options
    return app


def with_checked_certificate(url: str) -> str:
    """An address of a Redis, with the checking of its certificate, about which Celery wants to be told."""
    parts = urlsplit(url)
    if parts.scheme != "rediss" or "ssl_cert_reqs" in parts.query:
        return url
    query = "&".join(filter(None, [parts.query, urlencode({"ssl_cert_reqs": "required"})]))
    return urlunsplit(parts._replace(query=query))
