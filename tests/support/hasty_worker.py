"""The worker, which soon gets the jobs of one that is gone: celery -A tests.support.hasty_worker worker

No test waits for the real time; this one shows that ``REDELIVERY`` is the time that counts.
"""

import jobs

jobs.REDELIVERY = 8  # seconds; before jobs.celery_config reads it

from jobs.worker import app  # noqa: E402

__all__ = ["app"]
