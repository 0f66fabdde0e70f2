"""What an instance meets in public."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
import requests
from PIL import Image
from playwright.sync_api import sync_playwright

from inference.compiled import COMPILED_FILE
from tests.conftest import CHROMIUM, OFFLINE
from tests.support.drawings import encoded
from tests.support.servers import answers, free_port

from .beanstalk import APP_PORT, Instance
from .visits import (
    TOO_LARGE,
    connections,
    drip,
    health,
    is_answered,
    raw_upload,
    read_to_end,
    send,
    wait_until,
    wait_until_ready,
)

MB = 10**6  # bytes
CLIENTS = 100  # more than the app has threads


def noise() -> bytes:
    """A JPEG of 9.8 MB: noise hardly compresses."""
    pixels = np.random.default_rng(3).integers(0, 256, (2900, 2900, 3), np.uint8)
    return encoded(Image.fromarray(pixels), "JPEG", quality=95)


def padded(photo: bytes, size: int) -> bytes:
    """A photo of exactly ``size`` bytes, with zeros after the end of the image."""
    return photo + bytes(size - len(photo))


def has_tensorflow(instance: Instance) -> bool:
    """Whether TensorFlow is installed there."""
    return bool(list(instance.venv.glob("lib/*/site-packages/tensorflow")))


def app_process(instance: Instance) -> psutil.Process:
    """gunicorn's only worker."""
    children = instance.service.process.children()
    [worker] = [child for child in children if any("gunicorn" in part for part in child.cmdline())]
    return worker


def requests_in(instance: Instance) -> int:
    """How many connections nginx has open to the app."""
    found = app_process(instance).net_connections("tcp")
    return sum(each.status == psutil.CONN_ESTABLISHED and each.laddr.port == APP_PORT for each in found)


def test_health_is_503_until_the_model_is_ready_and_then_a_photo_is_answered(instance, goldfinch):
    assert health(instance.address).status_code == 503  # the app has not been started
    instance.start()
    statuses: list[int] = []
    while not statuses or statuses[-1] != 200:
        statuses.append(health(instance.address).status_code)
        time.sleep(0.02)
        assert len(statuses) < 6000
    assert set(statuses[:-1]) == {503}
    assert len(statuses) > 10
    instance.run_hooks("postdeploy")
    assert is_answered(send(instance.address, goldfinch))


def test_only_one_process_loads_the_model(site):
    assert site.service.process.children() == [app_process(site)]


def test_a_compiled_network_needs_no_tensorflow(site):
    if not (site.current / "models" / COMPILED_FILE).exists():
        pytest.skip(f"{COMPILED_FILE} is not here")
    assert health(site.address).json()["engine"]["name"] == "onnx"
    assert not has_tensorflow(site)


def test_a_photo_of_9_9_mb_is_answered(site):
    assert is_answered(send(site.address, padded(noise(), 9_900_000)))


@pytest.mark.parametrize("size", [10_500_000, 15 * MB, 200 * MB])
def test_a_photo_that_is_too_large_gets_the_sentence_on_the_page(site, goldfinch, size):
    answer = send(site.address, padded(goldfinch, size))
    assert answer.status_code == 200
    assert TOO_LARGE in answer.text
    assert "<form" in answer.text


@pytest.mark.parametrize("size", [10_500_000, 15 * MB, 200 * MB])
def test_a_program_gets_the_sentence_as_a_problem(site, goldfinch, size):
    answer = send(site.address, padded(goldfinch, size), "/api/v1/identifications")
    assert answer.status_code == 413
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"] == TOO_LARGE


def test_a_body_of_unknown_length_that_is_too_large_gets_the_sentence_too(site):
    blocks = (bytes(MB) for _ in range(50))
    answer = requests.post(f"{site.address}/api/v1/identifications", data=blocks, headers={"Content-Type": "image/png"})
    assert (answer.status_code, answer.json()["detail"]) == (413, TOO_LARGE)


def test_a_browser_without_a_script_shows_the_sentence(site, goldfinch, tmp_path):
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    photo = tmp_path / "bird.jpg"
    photo.write_bytes(padded(goldfinch, 200 * MB))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OFFLINE)
        page = browser.new_page(java_script_enabled=False)
        page.goto(site.address)
        page.set_input_files("#bird_image", photo)
        page.click("#photos button")
        assert page.text_content(".message") == TOO_LARGE
        browser.close()


def test_a_client_that_pauses_while_sending_too_much_can_finish(site, goldfinch):
    """nginx answers at once, but a browser reads the answer only after it has sent everything."""
    request = raw_upload(padded(goldfinch, 12 * MB))
    with connections(site.address, 1) as [client]:
        client.sendall(request[: 6 * MB])
        time.sleep(7)  # nginx's default is to wait 5 seconds
        client.sendall(request[6 * MB :])
        assert read_to_end(client).startswith("HTTP/1.1 302 ")


def test_slow_clients_hold_no_thread(site, goldfinch):
    request = raw_upload(goldfinch)
    with connections(site.address, CLIENTS) as clients:
        sent = drip(clients, request, rate=1000, seconds=5)
        assert 3000 < sent < len(request)
        assert requests_in(site) == 0
        started = time.monotonic()
        assert is_answered(send(site.address, goldfinch))
        assert time.monotonic() - started < 5
        clients[0].sendall(request[sent:])
        assert "Predicted : " in read_to_end(clients[0])


def test_idle_connections_block_nobody(site, goldfinch):
    with connections(site.address, 200):
        started = time.monotonic()
        assert is_answered(send(site.address, goldfinch))
        assert time.monotonic() - started < 5


def test_clients_that_read_slowly_hold_no_thread(site, goldfinch):
    with connections(site.address, CLIENTS) as clients:
        for client in clients:
            client.sendall(b"GET /report HTTP/1.1\r\nHost: birds\r\n\r\n")
        time.sleep(2)
        assert requests_in(site) == 0
        assert is_answered(send(site.address, goldfinch))


@pytest.mark.parametrize("path", ["/metrics", "//metrics", "/%6Detrics", "/./metrics", "/metrics?x"])
def test_nginx_hides_metrics_from_the_outside(site, path):
    before = site.service.log.read_text().count('"/metrics"')
    with connections(site.address, 1) as [client]:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: birds\r\nConnection: close\r\n\r\n".encode())
        assert read_to_end(client).startswith("HTTP/1.1 404 ")
    assert site.service.log.read_text().count('"/metrics"') == before


def test_the_machine_itself_can_read_metrics(site):
    answer = requests.get(f"http://127.0.0.1:{APP_PORT}/metrics")
    assert answer.status_code == 200
    assert "bird_photos_total" in answer.text


def test_nginx_serves_static_files_which_browsers_revalidate(site):
    answer = requests.get(f"{site.address}/static/style.css")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/css"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "/static/" not in site.service.log.read_text()


def test_the_log_has_a_line_for_each_photo_without_names_or_addresses(site, goldfinch):
    answer = send(site.address, goldfinch, name="our garden.jpg")
    log = site.service.log.read_text()
    lines = [json.loads(line) for line in re.findall(r"^\{.*\}$", log, re.MULTILINE)]
    [line] = [line for line in lines if line.get("request") == answer.headers["X-Request-ID"]]
    assert (line["route"], line["outcome"]) == ("/", "identified")
    assert line["ms"]["network"] > 0
    assert "our garden" not in log


def test_on_sigterm_the_app_answers_the_photos_in_the_queue(site, goldfinch):
    with ThreadPoolExecutor(CLIENTS) as visitors:
        answers = [visitors.submit(send, site.address, goldfinch) for _ in range(16)]  # as many as one client may
        wait_until(lambda: health(site.address).json()["waiting"] >= 3)
        assert site.service.stop() == 0
        assert all(is_answered(answer.result()) for answer in answers)


@pytest.mark.parametrize("after", [0, 0.3, 0.6, 1, 3])  # a compiled network is loaded in one or two seconds
def test_sigterm_while_the_model_is_loading_stops_the_app(instance, after):
    assert not instance.is_running()
    instance.start()
    wait_until(lambda: answers(APP_PORT))
    time.sleep(after)
    started = time.monotonic()
    assert instance.service.stop() == 0
    assert time.monotonic() - started < 10


def test_while_the_app_does_not_answer_nginx_says_so(instance):
    answer = requests.get(instance.address)
    assert answer.status_code == 503
    assert 2 <= int(answer.headers["Retry-After"]) <= 9
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "The app is not answering at the moment. Please try again in a few seconds." in answer.text
    assert "The app is not answering at the moment." in send(instance.address, bytes(15 * MB)).text
    answer = send(instance.address, b"a photo", "/api/v1/identifications")
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")
    assert answer.json()["detail"] == "The app is not answering at the moment. Please try again in a few seconds."


def test_uploads_left_by_a_killed_process_are_deleted_at_the_next_start(site, uploads, goldfinch):
    with connections(f"http://127.0.0.1:{APP_PORT}", 3) as clients:  # nginx only passes on whole requests
        drip(clients, raw_upload(padded(goldfinch, 2 * MB)), rate=5 * MB, seconds=0.2)
        wait_until(lambda: len(list(uploads.glob("*.upload"))) == 3)
        site.service.kill()
    assert len(list(uploads.glob("*.upload"))) == 3
    site.start()
    wait_until_ready(site.address)
    assert list(uploads.glob("*.upload")) == []


def test_a_client_cannot_forge_its_address(site):
    """Runs after the other tests because it uses up this machine's rate limit."""
    addresses = site.service.log.read_text().count("127.0.0.1")
    claims = [{"X-Forwarded-For": f"198.51.100.{number}"} for number in range(70)]
    statuses = [requests.post(site.address, headers=claim, allow_redirects=False).status_code for claim in claims]
    assert statuses[-1] == 429
    assert set(statuses) == {302, 429}
    log = site.service.log.read_text()
    assert (log.count("127.0.0.1"), log.count("198.51.100.")) == (addresses, 0)


def test_an_operator_can_ask_for_tensorflow(instance, with_tensorflow, goldfinch):
    if instance.is_running():
        instance.service.stop()
    assert has_tensorflow(with_tensorflow)
    with_tensorflow.start()
    with_tensorflow.run_hooks("postdeploy")
    assert health(with_tensorflow.address).json()["engine"]["name"] == "tensorflow"
    assert is_answered(send(with_tensorflow.address, goldfinch))
    assert with_tensorflow.service.stop() == 0


def test_with_a_queue_the_same_bundle_becomes_a_web_process_without_tensorflow_or_a_worker(
    instance, split_web, queue, goldfinch
):
    if instance.is_running():
        instance.service.stop()
    assert list(split_web.venv.glob("lib/*/site-packages/flask"))
    assert not has_tensorflow(split_web)
    split_web.start()
    split_web.run_hooks("postdeploy")  # the deployment of the web process succeeds without a worker
    assert health(split_web.address).json()["mode"] == "queue"
    assert health(split_web.address).status_code == 503
    port = free_port()  # the web process has this machine's port 8000
    instance.properties |= {"BIRD_SERVICE": "worker", "BIRD_QUEUE_URL": queue.url, "BIRD_HEALTH_PORT": str(port)}
    instance.start()
    wait_until(lambda: answers(port))
    assert health(f"http://127.0.0.1:{port}").status_code == 503
    wait_until_ready(f"http://127.0.0.1:{port}")
    assert health(f"http://127.0.0.1:{port}").json()["mode"] == "worker"
    assert health(split_web.address).status_code == 200
    assert is_answered(send(split_web.address, goldfinch))
    assert instance.service.stop() == 0
    assert split_web.service.stop() == 0
