"""How gunicorn serves the app. It reads this file by itself in the folder in which it starts."""

import os

from inference import MAX_WAITING

waiting = os.environ.get("BIRD_MAX_WAITING", "")

workers = 1  # each further one would load a model of its own and take the processor from the first
# A thread for each photo in line, and enough of them to turn others away at once and to show pages.
threads = (int(waiting) if waiting.isdecimal() else MAX_WAITING) + 32
timeout = 120  # seconds for the start, which loads the model
# Seconds after SIGTERM for those who are in line: they wait for 20 at most, and reading a photo takes 2.5 at most.
graceful_timeout = 30
