"""Who may review: somebody who knows ``BIRD_REVIEW_KEY``, for some hours, with a cookie that nobody else gets."""

import hmac
import secrets
from hashlib import sha256

from flask import request, url_for
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from .services import current_services
from .uploads import receiving

COOKIE = "review"
HOURS = 12  # after which the key has to be given again
TOKEN = "token"  # the form field with the token of the session


def is_right(key: str) -> bool:
    """Whether it is the key of the review page; how long that takes tells nothing about the key."""
    return hmac.compare_digest(_digest(key), _digest(_key()))


def is_signed_in() -> bool:
    """Whether this request comes from a reviewer."""
    try:
        _serializer().loads(request.cookies.get(COOKIE, ""), max_age=HOURS * 60 * 60)
    except BadData:
        return False
    return True


def form_token() -> str:
    """What a reviewer's form must carry, so that no other site can send one in the reviewer's name."""
    secret = current_services().settings.secret_key
    cookie = request.cookies.get(COOKIE, "")
    return hmac.new(secret.encode(), f"review form {cookie}".encode(), sha256).hexdigest()


def received_form() -> MultiDict[str, str]:
    """The form of this request.

    :raises BrokenUploadError: it was interrupted or is malformed.
    """
    with receiving():
        return request.form


def has_form_token() -> bool:
    """Whether the form of this request carries it.

    :raises BrokenUploadError: as ``received_form``.
    """
    return hmac.compare_digest(_digest(received_form().get(TOKEN, "")), _digest(form_token()))


def sign_in(response: Response) -> None:
    """Begin a session."""
    response.set_cookie(
        COOKIE,
        _serializer().dumps(secrets.token_hex(8)),
        max_age=HOURS * 60 * 60,
        path=url_for("review.page"),
        secure=request.is_secure,
        httponly=True,
        samesite="Strict",
    )


def sign_out(response: Response) -> None:
    """Have the browser forget the session."""
    response.delete_cookie(COOKIE, path=url_for("review.page"), secure=request.is_secure, httponly=True)


def _serializer() -> URLSafeTimedSerializer:
    # Another review key is another salt: it ends all sessions.
    return URLSafeTimedSerializer(current_services().settings.secret_key, salt=f"review {_digest(_key()).hex()}")


def _key() -> str:
    feedback = current_services().settings.feedback
    return feedback.review_key if feedback else ""


def _digest(text: str) -> bytes:
    return sha256(text.encode(errors="replace")).digest()
