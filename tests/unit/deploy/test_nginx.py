"""The numbers in nginx's configuration agree with those of the app."""

import runpy

from inference import MAX_WAITING
from tests.support import nginx
from tests.support.servers import ROOT


def test_nginx_hands_the_app_enough_photos_to_fill_its_queue_and_leaves_threads_for_everything_else(monkeypatch):
    monkeypatch.delenv("BIRD_MAX_WAITING", raising=False)
    threads = runpy.run_path(str(ROOT / "gunicorn.conf.py"))["threads"]
    assert MAX_WAITING + 1 < nginx.places() <= threads - 16
