"""What ``/metrics`` counts of a server, and to whom it is told."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from inference.digest import sha256
from tests.support import servers
from tests.support.api import IDENTIFICATIONS, metrics_at, send
from tests.support.photographs import slow_photo
from tests.support.servers import KERAS2, SMALL_NETWORK, until
from web.telemetry import FORWARDED


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app with a small network under gunicorn. No photo may wait, so that one slow photo makes it busy."""
    uploads = tmp_path_factory.mktemp("metrics") / "uploads"
    with servers.running(servers.GUNICORN, uploads, BIRD_MAX_WAITING="0", **SMALL_NETWORK) as address:
        yield address


def test_the_outcomes_of_photos_and_the_time_of_each_stage_are_counted(address, goldfinch):
    before = metrics_at(address)
    assert before["bird_model_info", "10", sha256(KERAS2 / "model.h5")] == 1
    send(address, goldfinch)
    send(address, goldfinch)
    send(address, b"no picture")
    requests.get(f"{address}{IDENTIFICATIONS}/abc", timeout=60)  # no photo
    with ThreadPoolExecutor() as pool:
        other = pool.submit(send, address, slow_photo())
        until(lambda: metrics_at(address)["bird_line_photos",] == 1)
        assert send(address, goldfinch).status_code == 503
        assert other.result().ok
    after = metrics_at(address)
    gained = {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}
    assert {key[1]: value for key, value in gained.items() if key[0] == "bird_photos_total"} == {
        "identified": 3,
        "refused": 1,
        "busy": 1,
    }
    stages = {key[1]: value for key, value in gained.items() if key[0] == "bird_stage_seconds_count"}
    assert stages == {"receive": 4, "wait": 3, "decode": 3, "thumbnail": 3, "network": 3}
    assert all(gained["bird_stage_seconds_sum", stage] > 0 for stage in stages)
    assert after["bird_line_photos",] == 0


@pytest.mark.parametrize("header", FORWARDED)
def test_a_client_that_comes_through_a_proxy_is_not_told_the_metrics(address, header):
    answer = requests.get(f"{address}/metrics", headers={header: "x"}, timeout=60)
    assert answer.status_code == 404
    assert "bird_" not in answer.text.replace("bird_image", "")
