"""How gunicorn serves the app. It reads this file by itself in the folder in which it starts."""

import os

import logs
from inference import MAX_WAITING

waiting = os.environ.get("BIRD_MAX_WAITING", "")

workers = 1  # each further one would load a model of its own and take the processor from the first
# A thread for each photo in line, and as many for pages, for those who are sent away and for photos that are coming
# in. A slow upload keeps its thread: before the public, put a proxy that takes in whole requests, such as nginx.
threads = (int(waiting) if waiting.isdecimal() else MAX_WAITING) + 32
timeout = 120  # seconds without a sign of life; the import of TensorFlow stops all threads for a while
# Seconds after SIGTERM for those who are in line: 20 at most until their turn (line.LONGEST_WAIT), and on a machine
# that is busy with other things 20 for the reading (sandbox.PATIENCE). A form of several photos may need longer.
graceful_timeout = 45
logconfig_dict = logs.CONFIG
control_socket_disable = True  # nobody manages it from outside, and two apps of one user would share the socket
