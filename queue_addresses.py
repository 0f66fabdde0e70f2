"""The addresses of brokers and of Redis, checked so that every library reads the same in them."""

import re
from urllib.parse import unquote

REDIS_SCHEMES = ("redis", "rediss")
BROKER_SCHEMES = (*REDIS_SCHEMES, "amqp", "amqps", "pyamqp", "sqs")  # those that jobs/celery_config.py configures

# The parts of an address, as strict as they must be for Celery, kombu and redis-py to read the same in them. What is
# more, a host that was in truth the end of a password would be looked up in the DNS and logged.
_CHARACTER = r"(?:[^\s\x00-\x1f#%/:;?@\[\]]|%[0-9A-Fa-f]{2})"
_ADDRESS = re.compile(
    rf"(?P<scheme>\w+)://(?:(?P<user>{_CHARACTER}*)(?::(?P<password>(?:{_CHARACTER}|:)*))?@)?"
    rf"(?:[\w.-]*|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?"
    rf"(?P<path>/(?:{_CHARACTER}|[:/])*)?(?:\?(?P<query>(?:{_CHARACTER}|[:/])*))?"
)
_REDIS_PATH = re.compile(r"/?|/[0-9]+")
# Those that Celery and redis-py understand in the same way.
_TLS_OPTION = r"(?:ssl_cert_reqs=(?:none|optional|required)|ssl_(?:ca_certs|certfile|keyfile)=[^&]*)"
_TLS_OPTIONS = re.compile(rf"(?:{_TLS_OPTION}(?:&|$))*")


class AddressError(ValueError):
    """An address cannot be used; the message says which and why, and repeats none of it."""


def queue_urls(queue_url: str, result_url: str) -> tuple[str, str]:
    """The addresses of the broker and of the Redis that keeps the answers; both are empty without a queue.

    :raises AddressError: one of them cannot be used. Its message repeats no address, which may contain a password.
    """
    if not queue_url:
        return "", ""
    scheme = url_scheme(queue_url)
    if scheme not in BROKER_SCHEMES:
        raise AddressError(
            "BIRD_QUEUE_URL must be the address of a Redis, of RabbitMQ or of Amazon SQS, such as redis://host:6379/0, "
            "amqp://host or sqs://, without quotes or spaces around it."
        )
    for url in queue_url.split(";"):  # several brokers, of which Celery takes the first that answers
        _check_address("BIRD_QUEUE_URL", url)
    if not result_url and scheme not in REDIS_SCHEMES:
        raise AddressError(
            f"BIRD_RESULT_URL is needed: {scheme}:// carries photos to the workers, but keeps no answers. "
            "Give the address of a Redis, such as redis://host:6379/0."
        )
    if url_scheme(result_url or queue_url) not in REDIS_SCHEMES:
        raise AddressError("BIRD_RESULT_URL must be the address of a Redis, such as redis://host:6379/0.")
    _check_address("BIRD_RESULT_URL", result_url or queue_url)
    return queue_url, result_url or queue_url


def _check_address(name: str, url: str) -> None:
    """:raises AddressError: its parts cannot be what its author meant. The message repeats none of them."""
    parts = _ADDRESS.fullmatch(url)
    if parts is None or int(parts["port"] or 0) >= 2**16 or not _decodes(url):
        raise AddressError(
            f"{name} must be written like redis://USER:PASSWORD@HOST:6379/0, without spaces. In a password, "
            "write @ as %40, # as %23, / as %2F, ? as %3F, ; as %3B, [ as %5B, ] as %5D, % as %25 and a space as %20."
        )
    if parts["scheme"] not in REDIS_SCHEMES:
        return
    if parts["user"] and not parts["password"]:
        raise AddressError(
            f"{name} has a user name, but no password. Write a password without a user name after a colon, as in "
            "redis://:PASSWORD@HOST:6379/0."
        )
    if not _REDIS_PATH.fullmatch(parts["path"] or ""):
        raise AddressError(
            f"{name} must end with the number of a Redis database, as in redis://HOST:6379/0, or with the port. In a "
            "password, write / as %2F."
        )
    if parts["query"] and not (parts["scheme"] == "rediss" and _TLS_OPTIONS.fullmatch(parts["query"])):
        raise AddressError(
            f"{name} has options that cannot be used. Only rediss:// takes some: ssl_ca_certs, ssl_certfile, "
            "ssl_keyfile, and ssl_cert_reqs, as in rediss://HOST:6379/0?ssl_cert_reqs=required (or none). In a "
            "password, write ? as %3F."
        )


def _decodes(url: str) -> bool:
    """Whether the escape sequences of an address are UTF-8; the ``%ab`` of a password that was not escaped is not."""
    try:
        unquote(url, errors="strict")
    except UnicodeDecodeError:
        return False
    return True


def url_scheme(url: str) -> str:
    """The part of an address before ``://``; empty if there is no ``://``."""
    scheme, separator, _rest = url.partition("://")
    return scheme if separator else ""
