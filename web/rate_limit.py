"""How many photos one client may send, and how many keys it may try."""

import math
import time
from collections.abc import Callable
from ipaddress import ip_address, ip_network

from flask import Flask, g, request
from flask_limiter import Limiter, RequestLimit, RouteLimit
from limits import parse_many
from werkzeug.exceptions import TooManyRequests

from settings import SettingError, Settings

from .services import current_services

KEY_TRIES = "10 per minute"  # of the key of the review page, by one client


def rate_limit_key(address: str) -> str:
    """The key under which a client is counted. With IPv6, a client may use every address of its network.

    :param address: an IP address, or whatever else a proxy forwards as one.
    :return: the IPv4 address, or the /64 network (the smallest that a site gets by RFC 6177) of the IPv6 address.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    # A server that listens on both kinds writes IPv4 addresses as IPv6 ones, all of them in one /64 network.
    return str(parsed.ipv4_mapped or ip_network((address, 64), strict=False))


limiter = Limiter(lambda: rate_limit_key(request.remote_addr or ""))


def _limit(cost: int | Callable[[], int]) -> RouteLimit:
    return limiter.shared_limit(
        lambda: current_services().settings.rate_limit,
        scope="photos",
        methods=["POST"],
        cost=cost,
        exempt_when=lambda: not current_services().settings.rate_limit,
    )


#: A decorator for views: each POST counts as one photo, before its body is received.
count_photo = _limit(cost=1)
_further_photos = _limit(cost=lambda: int(g.further_photos))
_key_tries = limiter.shared_limit(KEY_TRIES, scope="review keys")


def most_photos() -> int | None:
    """How many photos a client may send at once; None if there is no limit."""
    return min((limit.limit.amount for limit in limiter.current_limits), default=None)


def count_further_photos(number: int) -> None:
    """Count the photos of a form except the first, which ``count_photo`` has counted.

    :raises TooManyRequests: they are more than the client may send now. None of them is counted then.
    """
    if not number:
        return
    for limit in limiter.current_limits:
        if _remaining(limit) < number:
            raise TooManyRequests(retry_after=_seconds_until(limit.reset_at))
    g.further_photos = number
    with _further_photos:  # raises TooManyRequests, too, if another request has come between
        pass


def count_key_try() -> None:
    """Count that the client of this request gives a key of the review page, right or wrong.

    :raises TooManyRequests: it has given too many. ``seconds_until_reset`` tells when it may try again.
    """
    with _key_tries:
        pass


def _remaining(limit: RequestLimit) -> float:
    try:
        return limit.remaining
    except limiter.storage.base_exceptions:  # Redis does not answer, and the limiter is about to count in memory
        return math.inf


def seconds_until_reset() -> int:
    """Whole seconds until the client of this request, which has sent too much, may send again; at least 1."""
    limit = limiter.current_limit
    try:
        return _seconds_until(limit.reset_at) if limit else 1
    except limiter.storage.base_exceptions:  # Redis has stopped answering since the limit was reached
        return 1


def _seconds_until(timestamp: float) -> int:
    return max(1, math.ceil(timestamp - time.time()))


def init_app(app: Flask, settings: Settings) -> None:
    """Count what each client sends: in memory, or with a queue in its Redis, for all web processes together.

    :raises SettingError: ``rate_limit`` is not a limit.
    """
    try:
        if settings.rate_limit:
            parse_many(settings.rate_limit)
    except ValueError as error:
        raise SettingError(
            "BIRD_RATE_LIMIT must be a number of uploads in a time, such as 60 per minute, not "
            f"{settings.rate_limit!r}."
        ) from error
    has_key = settings.feedback is not None and bool(settings.feedback.review_key)
    app.config["RATELIMIT_ENABLED"] = bool(settings.rate_limit) or has_key
    app.config["RATELIMIT_STORAGE_URI"] = settings.result_url or "memory://"
    if settings.result_url:
        from jobs.store import REDIS_OPTIONS  # redis is not needed where there is no queue

        app.config["RATELIMIT_STORAGE_OPTIONS"] = REDIS_OPTIONS
    app.config["RATELIMIT_IN_MEMORY_FALLBACK_ENABLED"] = True  # nobody must be refused because Redis does not answer
    limiter.init_app(app)
