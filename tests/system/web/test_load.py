"""The app on its servers when more people come than it can answer, and when it is told to stop."""

import base64
import io
import re
import select
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from inference.processor import has_bfloat16

from tests.support import servers
from tests.support.drawings import encoded
from tests.support.fuzz import SMALL_NETWORK
from tests.support.photographs import bird
from tests.support.servers import Answer, form, send_photo, until

BUSY = re.compile(
    r'role="alert">The app is busy: (1 photo is|\d+ photos are) in line. Please try again in (a|\d+) seconds?.<'
)
SERVERS = pytest.mark.parametrize("command", [servers.FLASK, servers.GUNICORN], ids=["flask", "gunicorn"])


def coloured(number: int) -> bytes:
    """A photo that is told from others by its colour."""
    return encoded(Image.new("RGB", (300, 200), colour_of(number)), "JPEG", quality=95)


def colour_of(number: int) -> tuple[int, int, int]:
    return 40 * (number % 7), 40 * (number // 7 % 7), 60 * (number // 49 % 4)


def colour_on(page: str) -> tuple[int, ...]:
    """The colour of the thumbnail on a page."""
    (jpeg,) = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", page)
    with Image.open(io.BytesIO(base64.b64decode(jpeg))) as image:
        return image.convert("RGB").getpixel((50, 50))


def slow() -> bytes:
    """A photo that takes the better part of a second to read."""
    return encoded(Image.new("RGBA", (5000, 5000), (90, 120, 60, 128)), "PNG")


def is_a_busy_page(answer: Answer) -> bool:
    """Whether it says that the app is busy and when to come again, in the app's look, with the form still there."""
    return (
        BUSY.search(answer.page) is not None
        and int(answer.headers["Retry-After"]) >= 1
        and 'name="bird_image"' in answer.page
        and "style.css" in answer.page
        and answer.headers["X-Frame-Options"] == "DENY"
    )


def send_all(address: str, photos: list[bytes]) -> list[Answer]:
    with ThreadPoolExecutor(len(photos)) as people:
        return list(people.map(lambda photo: send_photo(address, photo), photos))


@SERVERS
def test_sixty_four_people_at_once_are_answered_or_sent_away_and_nobody_gets_the_answer_to_anothers_photo(
    tmp_path, command
):
    uploads = tmp_path / "uploads"
    photos = [coloured(number) for number in range(150)]
    with servers.running(command, uploads) as address:
        send_photo(address, photos[0])
        idle, peak = servers.memory_at(address), 0
        with ThreadPoolExecutor(64) as people:
            answers = people.map(lambda photo: send_photo(address, photo), photos)
            for _ in range(10):
                peak = max(peak, servers.memory_at(address))
                time.sleep(0.1)
            answers = list(answers)
        assert set(Counter(answer.status for answer in answers)) == {200, 503}
        for number, answer in enumerate(answers):
            if answer.status == 200:
                np.testing.assert_allclose(colour_on(answer.page), colour_of(number), atol=6)
            else:
                assert is_a_busy_page(answer)
        assert sum(answer.status == 200 for answer in answers) >= 33
        assert send_photo(address, photos[0]).status == 200
        assert peak - idle < 300e6
        assert list(uploads.iterdir()) == []


def test_sixty_four_panoramas_at_once_take_the_memory_of_one(tmp_path):
    panorama = encoded(bird().resize((12000, 4000)), "JPEG", progressive=True)
    with servers.running(servers.GUNICORN, tmp_path / "uploads", **SMALL_NETWORK) as address:
        send_photo(address, coloured(0))
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


@pytest.mark.skipif(not hasattr(select, "POLLRDHUP"), reason="only Linux tells that a client has gone")
@SERVERS
def test_a_client_that_goes_away_while_waiting_gives_up_its_place(tmp_path, command):
    uploads = tmp_path / "uploads"
    body = form(slow(), "slow.png")
    with servers.running(command, uploads, BIRD_MAX_WAITING="2", **SMALL_NETWORK) as address:
        url = urlsplit(address)
        head = (
            f"POST / HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: {len(body)}\r\n"
            f"Content-Type: {servers.FORM_HEADERS['Content-Type']}\r\n\r\n"
        )
        people = [socket.create_connection((url.hostname, url.port), timeout=60) for _ in range(3)]
        for number, person in enumerate(people):
            person.sendall(head.encode() + body)
            until(lambda number=number: len(list(uploads.iterdir())) > number)
        time.sleep(0.2)  # from the folder into the line
        assert send_photo(address, coloured(1)).status == 503
        for person in people[1:]:
            person.close()
        time.sleep(0.2)  # the app looks for those who have gone every now and then
        assert send_photo(address, coloured(1)).status == 200
        assert people[0].recv(100).split()[1] == b"200"
        people[0].close()


def test_gunicorn_told_to_stop_answers_those_in_line_and_ends_well(tmp_path):
    port = servers.free_port()
    address = f"http://127.0.0.1:{port}"
    uploads = tmp_path / "uploads"
    process = subprocess.Popen(servers.GUNICORN, cwd=servers.ROOT, env=servers.environment(port, uploads))
    try:
        servers.wait_until_it_answers(address, process)
        photos = [coloured(number) for number in range(30)]
        with ThreadPoolExecutor(30) as people:
            answers = [people.submit(send_photo, address, photo) for photo in photos]
            # The app has all of them, and has answered a few at most.
            until(lambda: len(list(uploads.iterdir())) + sum(answer.done() for answer in answers) >= 30)
            process.send_signal(signal.SIGTERM)
            begun = time.monotonic()
            for number, answer in enumerate(answers):
                assert answer.result().status == 200
                np.testing.assert_allclose(colour_on(answer.result().page), colour_of(number), atol=6)
        assert process.wait(timeout=30) == 0
        assert time.monotonic() - begun < 30  # the grace time
        with pytest.raises(ConnectionRefusedError):
            send_photo(address, photos[0])
        assert list(uploads.iterdir()) == []
    finally:
        process.kill()
        process.wait()


def test_an_answer_says_where_its_time_went(server, goldfinch):
    answer = send_photo(server[0], goldfinch)
    parts = dict(re.findall(r"(\w+);dur=([\d.]+)", answer.headers["Server-Timing"]))
    assert list(parts) == ["receive", "wait", "decode", "thumbnail", "network", "template"]
    assert all(float(milliseconds) > 0 for milliseconds in parts.values())


@pytest.mark.skipif(not has_bfloat16(), reason="the processor has no bfloat16")
def test_the_app_answers_in_bfloat16_when_asked_to(server, tmp_path, goldfinch):
    with servers.running(servers.FLASK, tmp_path / "uploads", BIRD_PRECISION="bfloat16") as address:
        found, expected = (send_photo(each, goldfinch).page for each in (address, server[0]))
    label, confidence = re.compile(r"Predicted : (.*?)<"), re.compile(r"% : ([\d.]+) %")
    assert label.findall(found) == label.findall(expected)
    ((percent,), (expected_percent,)) = confidence.findall(found), confidence.findall(expected)
    assert float(percent) == pytest.approx(float(expected_percent), abs=5)
