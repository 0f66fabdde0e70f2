"""What pages call the errors of HTTP, and what is said of those about which nothing more is known."""

from werkzeug.exceptions import HTTPException

from inference.sentences import Sentence

#: By status.
NAMES = {
    400: Sentence("Bad Request"),
    403: Sentence("Forbidden"),
    404: Sentence("Not Found"),
    405: Sentence("Method Not Allowed"),
    410: Sentence("Gone"),
    413: Sentence("Request Entity Too Large"),
    415: Sentence("Unsupported Media Type"),
    422: Sentence("Unprocessable Entity"),
    429: Sentence("Too Many Requests"),
    500: Sentence("Internal Server Error"),
    503: Sentence("Service Unavailable"),
}
#: By status, for exceptions without a sentence of their own.
SENTENCES = {
    400: Sentence("The request could not be understood. Please go back, load the page again, and try once more."),
    404: Sentence("This address was not found. Please check how it is written, or start from the home page."),
    405: Sentence("This address does not accept such a request. Please start from the home page."),
    500: Sentence("Something has gone wrong on this server. Please try again later."),
}


def name_of(error: HTTPException) -> str:
    """What the page calls an error."""
    return NAMES.get(error.code or 0) or error.name


def sentence_on(error: HTTPException) -> str:
    """What has gone wrong: the exception's own sentence, unless it is Werkzeug's for all exceptions of its class."""
    is_werkzeugs = error.description == type(error).description and not isinstance(error.description, Sentence)
    return (is_werkzeugs and SENTENCES.get(error.code or 0)) or error.description or ""
