"""Why something could not be done with corrections; each message is a sentence for the person who wanted it."""


class FeedbackError(Exception):
    """The database or the photo store cannot be used, now or with these settings."""


class TooManyError(FeedbackError):
    """A client has sent as many corrections as it may."""


class ClaimError(FeedbackError):
    """What a visitor says cannot be kept: it is no name of a species."""
