"""Who sent the photo of a request, for the queues."""

from flask import has_request_context, request

from jobs.sender import ANYBODY, Sender

from .rate_limit import rate_limit_key


def current_sender() -> Sender:
    """The client of this request, as the rate limit knows it. What comes through the API is sent by a program."""
    if not has_request_context():
        return ANYBODY
    return Sender(rate_limit_key(request.remote_addr or ""), is_batch=request.blueprint == "api")
