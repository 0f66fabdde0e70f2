"""How gunicorn serves the app. gunicorn finds this file by its name in the folder where it starts."""

import os

import logs
from inference import MAX_WAITING

_max_waiting = os.environ.get("BIRD_MAX_WAITING", "")

workers = 1  # each additional one would load its own model and compete with the first for the processor
# A thread for each photo in the queue, and as many for pages, refusals and photos that are being received. A slow
# upload keeps its thread: in public, put a proxy in front that receives whole requests, such as nginx.
threads = (int(_max_waiting) if _max_waiting.isdecimal() else MAX_WAITING) + 32
timeout = 120  # seconds without a heartbeat; TensorFlow's import blocks all threads for a while
# Seconds after SIGTERM for the photos in the queue: 20 at most until their turn (admission.LONGEST_WAIT), and on a busy
# machine 20 to read one (sandbox.READ_TIMEOUT). A form with several photos may need longer.
graceful_timeout = 45
logconfig_dict = logs.CONFIG
control_socket_disable = True  # nothing uses it, and two apps of the same user would share the socket
