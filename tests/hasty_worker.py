"""The worker, when a broker gives a job of another one that is gone to it soon: celery -A tests.hasty_worker worker

The real time is waited for in no test; that it is the one that counts is seen from this one.
"""

import jobs

jobs.REDELIVERY = 8  # seconds; before Celery is told of it

from worker import app  # noqa: E402

__all__ = ["app"]
