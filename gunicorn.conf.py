"""How gunicorn serves the app. gunicorn finds this file by its name in the folder where it starts."""

import contextlib
import os
import signal
import time

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


# After SIGHUP, gunicorn starts a new worker and stops the old one at once, while the new one still loads its model.
# Here the old one goes on until the new one is ready, so that nobody waits for the new model or is refused.


def on_reload(server):
    """Let the workers that run now be more than there should be, until the new ones have stopped them."""
    server.replaced = set(server.WORKERS)
    server.num_workers += len(server.replaced)


def post_fork(server, worker):
    """Tell a new worker whom it replaces."""
    worker.replaced = getattr(server, "replaced", set())


def post_worker_init(worker):
    """Take requests only when the model is ready, and then stop the workers that this one replaces."""
    if not worker.replaced:
        return  # at the start: /healthz says that the model is being loaded
    from web import startup  # not in the main process, which would then hold the app, too

    with worker.wsgi.app_context():
        while worker.alive and not startup.is_ready():
            worker.notify()
            time.sleep(0.1)
    if worker.alive:
        for pid in worker.replaced:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def child_exit(server, worker):
    """Have no new worker started for one that was replaced."""
    replaced = getattr(server, "replaced", set())
    if worker.pid in replaced:
        replaced.remove(worker.pid)
        server.num_workers -= 1
