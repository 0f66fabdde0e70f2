"""Everything that knows HTTP. ``init_app`` sets up an application; ``startup.start`` loads its model."""

from flask import Flask

from inference.packages import FOR_FEEDBACK, is_installed

from . import (
    api,
    cards,
    draining,
    errors,
    health,
    installing,
    languages,
    naming,
    pages,
    security,
    startup,
    telemetry,
    uploads,
    wording,
)


def init_app(app: Flask) -> None:
    """Set up everything on a Flask application except its first page."""
    app.request_class = uploads.UploadRequest
    telemetry.init_app(app)
    startup.init_app(app)
    draining.init_app(app)
    security.init_app(app)
    errors.init_app(app)
    languages.init_app(app)
    wording.init_app(app)
    cards.init_app(app)
    naming.init_app(app)
    pages.init_app(app)
    app.register_blueprint(api.api)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(installing.installing)
    app.register_blueprint(telemetry.blueprint)
    if app.config["FEEDBACK"] and all(map(is_installed, FOR_FEEDBACK)):  # or the start says what is missing
        _init_feedback(app)


def _init_feedback(app: Flask) -> None:
    from . import feedback, review

    feedback.init_app(app)
    if app.config["REVIEW_KEY"]:
        app.register_blueprint(review.blueprint)
