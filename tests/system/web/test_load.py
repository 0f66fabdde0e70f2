"""The app on its servers when more photos come than it can answer, and when it is told to stop."""

import re
import select
import signal
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest

from inference.processor import has_bfloat16
from tests.support import servers
from tests.support.clients import begin_upload
from tests.support.drawings import encoded
from tests.support.pages import color_on, percent_on, species_on
from tests.support.photographs import bird, color_of, colored_photo, slow_photo
from tests.support.servers import SMALL_NETWORK, Answer, form, leftovers, send_photo, until

BUSY = re.compile(
    r'role="alert">The app is busy: (1 photo is|\d+ photos are) in line. Please try again in (a|\d+) seconds?.<'
)
SERVERS = pytest.mark.parametrize("command", [servers.FLASK, servers.GUNICORN], ids=["flask", "gunicorn"])


def is_a_busy_page(answer: Answer) -> bool:
    """Whether a page says that the app is busy and when to try again, in the app's style, with the form still there."""
    return (
        BUSY.search(answer.page) is not None
        and int(answer.headers["Retry-After"]) >= 1
        and 'name="bird_image"' in answer.page
        and "style.css" in answer.page
        and answer.headers["X-Frame-Options"] == "DENY"
    )


def send_all(address: str, photos: list[bytes]) -> list[Answer]:
    """Send photos, all at the same time."""
    with ThreadPoolExecutor(len(photos)) as people:
        return list(
            people.map(lambda client: send_photo(address, photos[client - 1], client=client), range(1, len(photos) + 1))
        )


@SERVERS
def test_sixty_four_people_at_once_are_answered_or_refused_and_each_gets_the_answer_to_their_own_photo(
    tmp_path, command
):
    uploads = tmp_path / "uploads"
    photos = [colored_photo(number) for number in range(150)]
    with servers.running(command, uploads) as address:
        send_photo(address, photos[0])
        idle, peak = servers.memory_at(address), 0
        with ThreadPoolExecutor(64) as people:
            answers = people.map(
                lambda number: send_photo(address, photos[number], client=number + 1), range(len(photos))
            )
            for _ in range(10):
                peak = max(peak, servers.memory_at(address))
                time.sleep(0.1)
            answers = list(answers)
        assert set(Counter(answer.status for answer in answers)) == {200, 503}
        for number, answer in enumerate(answers):
            if answer.status == 200:
                np.testing.assert_allclose(color_on(answer.page), color_of(number), atol=6)
            else:
                assert is_a_busy_page(answer)
        assert sum(answer.status == 200 for answer in answers) >= 33
        assert send_photo(address, photos[0]).status == 200
        assert peak - idle < 300e6
        assert leftovers(uploads) == []


def test_sixty_four_panoramas_at_once_take_the_memory_of_one(tmp_path):
    panorama = encoded(bird().resize((12000, 4000)), "JPEG", progressive=True)
    with servers.running(servers.GUNICORN, tmp_path / "uploads", **SMALL_NETWORK) as address:
        send_photo(address, colored_photo(0))
        idle, peak, done = servers.memory_at(address), 0, threading.Event()

        def watch() -> None:
            nonlocal peak
            while not done.wait(0.01):
                peak = max(peak, servers.memory_at(address))

        watcher = threading.Thread(target=watch)
        watcher.start()
        answers = send_all(address, [panorama] * 64)
        done.set()
        watcher.join()
        # 302: on a slow machine such a photo may take more time than one may.
        assert set(Counter(answer.status for answer in answers)) <= {200, 302, 503}
        assert any(answer.status == 503 for answer in answers)
        assert peak - idle < 400e6  # reading one may take 370 MiB, as for any photo


@pytest.mark.skipif(not hasattr(select, "POLLRDHUP"), reason="only Linux tells that a client has disconnected")
@SERVERS
def test_a_client_that_disconnects_while_waiting_leaves_the_queue(tmp_path, command):
    uploads = tmp_path / "uploads"
    body = form(slow_photo(), "slow.png")
    with ExitStack() as stack:
        address = stack.enter_context(servers.running(command, uploads, BIRD_MAX_WAITING="5", **SMALL_NETWORK))
        clients = []
        for number in range(3):
            client = begin_upload(address, headers=f"Content-Length: {len(body)}", body=body)
            clients.append(stack.enter_context(client))
            until(lambda number=number: len(leftovers(uploads)) > number)
        time.sleep(0.2)  # from the folder into the queue, in which a client may have three of six places
        assert send_photo(address, colored_photo(1)).status == 503
        for client in clients[1:]:
            client.close()
        # The app looks now and then for clients that have disconnected.
        until(lambda: send_photo(address, colored_photo(1)).status == 200, seconds=5)
        assert clients[0].recv(100).split()[1] == b"200"


def test_gunicorn_told_to_stop_answers_the_photos_in_the_queue_and_ends_with_status_0(tmp_path):
    port = servers.free_port()
    address = f"http://127.0.0.1:{port}"
    uploads = tmp_path / "uploads"
    process = subprocess.Popen(servers.GUNICORN, cwd=servers.ROOT, env=servers.environment(port, uploads))
    try:
        servers.wait_until_it_answers(address, process)
        photos = [colored_photo(number) for number in range(30)]
        with ThreadPoolExecutor(30) as people:
            answers = [
                people.submit(send_photo, address, photo, client=number) for number, photo in enumerate(photos, 1)
            ]
            # The app has all of them, and has answered a few at most.
            until(lambda: len(leftovers(uploads)) + sum(answer.done() for answer in answers) >= 30)
            process.send_signal(signal.SIGTERM)
            begun = time.monotonic()
            for number, answer in enumerate(answers):
                assert answer.result().status == 200
                np.testing.assert_allclose(color_on(answer.result().page), color_of(number), atol=6)
        assert process.wait(timeout=30) == 0
        assert time.monotonic() - begun < 30  # the grace time
        with pytest.raises(ConnectionRefusedError):
            send_photo(address, photos[0])
        assert leftovers(uploads) == []
    finally:
        process.kill()
        process.wait()


def test_an_answer_says_how_long_each_stage_took(server, goldfinch):
    answer = send_photo(server[0], goldfinch)
    parts = dict(re.findall(r"(\w+);dur=([\d.]+)", answer.headers["Server-Timing"]))
    assert list(parts) == ["receive", "wait", "decode", "thumbnail", "network", "template"]
    assert all(float(milliseconds) > 0 for milliseconds in parts.values())


@pytest.mark.skipif(not has_bfloat16(), reason="the processor has no bfloat16")
def test_the_app_answers_in_bfloat16_when_asked_to(tmp_path, goldfinch):
    pages = []
    for precision in ("bfloat16", "float32"):
        settings = {"BIRD_ENGINE": "tensorflow", "BIRD_PRECISION": precision}
        with servers.running(servers.FLASK, tmp_path / "uploads", **settings) as address:
            pages.append(send_photo(address, goldfinch).page)
    assert species_on(pages[0]) == species_on(pages[1])
    assert percent_on(pages[0]) == pytest.approx(percent_on(pages[1]), abs=5)
