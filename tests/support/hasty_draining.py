"""The app, but it stops reading a refused upload after a second: gunicorn tests.support.hasty_draining:application

Also a program: python -m tests.support.hasty_draining. No test waits for the real time; this one shows that
``DRAIN_SECONDS`` is the time that counts.
"""

from web import draining

draining.DRAIN_SECONDS = 1

from application import application, serve  # noqa: E402

__all__ = ["application"]

if __name__ == "__main__":
    serve()
