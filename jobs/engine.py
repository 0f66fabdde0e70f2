"""How Celery is set up, on both sides of the queue."""

import ssl
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
    "worker_prefetch_multiplier": 1,  # a worker has no more jobs than processes: another may have it sooner
    "worker_concurrency": 1,  # one network keeps all cores busy
    "worker_proc_alive_timeout": START_LIMIT,
    # Workers show themselves in the register, which works with every broker; Amazon SQS has no broadcasts.
    "worker_enable_remote_control": False,
    "broker_connection_retry_on_startup": True,
    # A Redis without memory, or one that has become a replica, says so in an error: it is no reason to end.
    "broker_channel_error_retry": True,
    "broker_heartbeat": 10,  # seconds; AMQP. After two of them without one, the other side is gone
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
    # Keys of their own: other Celery apps in the same database have other ideas of when a job is lost.
    "unacked_key": "{birds}:unacked",
    "unacked_index_key": "{birds}:unacked_index",
    "unacked_mutex_key": "{birds}:unacked_mutex",
    "unacked_mutex_expire": REDELIVERY,
    "visibility_timeout": REDELIVERY,
    "unacked_restore_interval": 1,  # seconds; by default a lost job is looked for every 100 seconds
    "unacked_restore_throttle": 1,
    "socket_connect_timeout": CONNECT_TIMEOUT,
    "socket_timeout": 2 * ANSWER_TIMEOUT,
    "socket_keepalive": True,
    # The picture is text already: in base64 again it would take a third more.
    "body_encoding": None,
}
_AMQP_OPTIONS = {"confirm_publish": True, "connect_timeout": CONNECT_TIMEOUT}
_SQS_CLIENT = {"connect_timeout": CONNECT_TIMEOUT, "retries": {"total_max_attempts": 1}}
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
        "client-config": _SQS_CLIENT | {"read_timeout": SQS_WAIT + ANSWER_TIMEOUT},
    },
    "amqp": _AMQP_OPTIONS,
    "amqps": _AMQP_OPTIONS,
    "pyamqp": _AMQP_OPTIONS,
}

# Somebody looks at an empty page meanwhile: one more try, for a connection that a restart of the broker has broken.
_IMPATIENCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
_WEB_SETTINGS = {
    "broker_pool_limit": 32,
    "broker_pool_acquire_timeout": CONNECT_TIMEOUT,
    "redis_max_connections": 10_000,  # one for each thread that asks for an answer; by default the 101st fails
    "task_publish_retry_policy": _IMPATIENCE,
    "result_backend_transport_options": {"retry_policy": _IMPATIENCE},
}
_WEB_REDIS_OPTIONS = {"socket_timeout": ANSWER_TIMEOUT}
_WEB_AMQP_OPTIONS = {"read_timeout": ANSWER_TIMEOUT, "write_timeout": ANSWER_TIMEOUT}
_WEB_TRANSPORT_OPTIONS = {
    "redis": _WEB_REDIS_OPTIONS,
    "rediss": _WEB_REDIS_OPTIONS,
    "sentinel": _WEB_REDIS_OPTIONS,
    "sqs": {"client-config": _SQS_CLIENT | {"read_timeout": ANSWER_TIMEOUT}},
    "amqp": _WEB_AMQP_OPTIONS,
    "amqps": _WEB_AMQP_OPTIONS,
    "pyamqp": _WEB_AMQP_OPTIONS,
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
    if scheme == "amqps":
        app.conf.broker_use_ssl = {"server_hostname": None, "cert_reqs": ssl.CERT_REQUIRED}  # None: that of the URL
    return app


def with_checked_certificate(url: str) -> str:
    """An address of a Redis, with the checking of its certificate, about which Celery wants to be told."""
    parts = urlsplit(url)
    if parts.scheme != "rediss" or "ssl_cert_reqs" in parts.query:
        return url
    query = "&".join(filter(None, [parts.query, urlencode({"ssl_cert_reqs": "required"})]))
    return urlunsplit(parts._replace(query=query))
