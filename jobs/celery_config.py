"""The Celery configuration of web processes and workers, for each kind of broker."""

import ssl
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from celery import Celery

from . import ANSWER_LIFETIME, QUEUE, REDELIVERY, REDIS_CONNECTIONS, TIME_LIMIT

CONNECT_TIMEOUT = 1  # seconds
BROKER_TIMEOUT = 2  # seconds that a broker may take to accept a job
START_LIMIT = 300  # seconds that a pool process may take to load the model
SQS_WAIT = 5  # seconds that one request to Amazon SQS waits for a message; also until a failed job is tried again

_SETTINGS = {
    "task_default_queue": QUEUE,
    # No pickle: unpickling what comes out of a queue can run code.
    "task_serializer": "json",
    "result_serializer": "json",
    "accept_content": ["json"],
    # A job is acknowledged when there is an answer, not when a worker has received it; see acknowledgement.py.
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_acks_on_timeout": False,
    "task_acks_on_failure": True,
    "task_time_limit": TIME_LIMIT,
    "worker_prefetch_multiplier": 1,  # a worker reserves only as many jobs as it has processes: others may be free
    "worker_concurrency": 1,  # one network keeps all cores busy
    "worker_proc_alive_timeout": START_LIMIT,
    # Workers announce themselves in the job store, which works with every broker; Amazon SQS has no broadcasts.
    "worker_enable_remote_control": False,
    "broker_connection_retry_on_startup": True,
    # A Redis that is out of memory, or has become a replica, answers with an error. The worker must not end.
    "broker_channel_error_retry": True,
    "broker_heartbeat": 10,  # seconds; AMQP only. The other side is gone after two without one
    "broker_connection_timeout": CONNECT_TIMEOUT,
    "redis_socket_connect_timeout": CONNECT_TIMEOUT,
    "redis_socket_timeout": BROKER_TIMEOUT,
    "result_expires": ANSWER_LIFETIME,
    "result_backend_thread_safe": True,
}
_REDIS_OPTIONS = {
    # Keys of our own: another Celery app in the same database may redeliver jobs after a different time.
    "unacked_key": "{birds}:unacked",
    "unacked_index_key": "{birds}:unacked_index",
    "unacked_mutex_key": "{birds}:unacked_mutex",
    "unacked_mutex_expire": REDELIVERY,
    "visibility_timeout": REDELIVERY,
    "unacked_restore_interval": 1,  # seconds; by default Celery looks for lost jobs only every 100 seconds
    "unacked_restore_throttle": 1,
    "socket_connect_timeout": CONNECT_TIMEOUT,
    "socket_timeout": 2 * BROKER_TIMEOUT,
    "socket_keepalive": True,
    # The pixels are text already; base64 once more would make a message a third larger.
    "body_encoding": None,
}
_AMQP_OPTIONS = {"confirm_publish": True, "connect_timeout": CONNECT_TIMEOUT}
_SQS_CLIENT = {"connect_timeout": CONNECT_TIMEOUT, "retries": {"total_max_attempts": 1}}
_SQS_OPTIONS = {
    "visibility_timeout": REDELIVERY,
    "wait_time_seconds": SQS_WAIT,
    "polling_interval": 0,  # seconds between two such requests
    "body_encoding": None,
    "sqs_base64_encoding": False,
    "client-config": _SQS_CLIENT | {"read_timeout": SQS_WAIT + BROKER_TIMEOUT},
}

# A person is waiting, so there is only one more try, for a connection that a restart of the broker has broken.
_RETRY_ONCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
_WEB_SETTINGS = {
    "broker_pool_limit": 32,
    "broker_pool_acquire_timeout": CONNECT_TIMEOUT,
    "redis_max_connections": REDIS_CONNECTIONS,  # by default the 101st fails
    "task_publish_retry_policy": _RETRY_ONCE,
    "result_backend_transport_options": {"retry_policy": _RETRY_ONCE},
}
_WEB_REDIS_OPTIONS = {"socket_timeout": BROKER_TIMEOUT}
_WEB_AMQP_OPTIONS = {"read_timeout": BROKER_TIMEOUT, "write_timeout": BROKER_TIMEOUT}
_WEB_SQS_OPTIONS = {"client-config": _SQS_CLIENT | {"read_timeout": BROKER_TIMEOUT}}

# By the scheme of the broker's address: options of every process, and additional ones of a web process.
_TRANSPORT_OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "redis": (_REDIS_OPTIONS, _WEB_REDIS_OPTIONS),
    "rediss": (_REDIS_OPTIONS, _WEB_REDIS_OPTIONS),
    "sqs": (_SQS_OPTIONS, _WEB_SQS_OPTIONS),
    "amqp": (_AMQP_OPTIONS, _WEB_AMQP_OPTIONS),
    "amqps": (_AMQP_OPTIONS, _WEB_AMQP_OPTIONS),
    "pyamqp": (_AMQP_OPTIONS, _WEB_AMQP_OPTIONS),
}


def celery_app(queue_url: str, result_url: str, *, for_web: bool = False) -> Celery:
    """Create a configured Celery app, without tasks.

    :param queue_url: the address of the broker.
    :param result_url: the address of the Redis that keeps the answers.
    :param for_web: whether it is for a web process. There a person waits, so it gives up soon.
    """
    app = Celery("birds", broker=with_certificate_check(queue_url), backend=with_certificate_check(result_url))
    scheme = queue_url.partition("://")[0]
    options, web_options = _TRANSPORT_OPTIONS[scheme]
    app.conf.update(_SETTINGS)
    app.conf.update(_WEB_SETTINGS if for_web else {})
    app.conf.broker_transport_options = options | web_options if for_web else dict(options)
    if scheme == "amqps":
        app.conf.broker_use_ssl = {"server_hostname": None, "cert_reqs": ssl.CERT_REQUIRED}  # None: that of the URL
    return app


def with_certificate_check(url: str) -> str:
    """The address of a server, to which ``ssl_cert_reqs=required`` is added if it is a Redis with TLS.

    Celery insists that such an address says how certificates are checked.
    """
    parts = urlsplit(url)
    if parts.scheme != "rediss" or "ssl_cert_reqs" in parts.query:
        return url
    query = "&".join(filter(None, [parts.query, urlencode({"ssl_cert_reqs": "required"})]))
    return urlunsplit(parts._replace(query=query))
