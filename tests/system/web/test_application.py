"""application.py: the page, what it refuses, and how the app starts, on real servers."""

import base64
import csv
import http.client
import io
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

import application as app_module
from web import csv_export as listing
from inference import CARD_FILE, LABELS_FILE, MODEL_FILE, REPORT_FILE
from inference.model_card import sha256
from inference.photo import FORMATS

from tests.support import servers
from tests.support.drawings import draw_goldfinch, encoded
from tests.support.fuzz import SMALL_NETWORK
from tests.unit.inference.test_labels import RunsCode

MIB = 2**20


def post(client, content: bytes, name: str, field: str = "bird_image"):
    return client.post("/", data={field: (io.BytesIO(content), name)}, follow_redirects=True)


def sentence_on(page: str) -> str:
    """The one message that a page shows."""
    (sentence,) = re.findall(r'<p class="message" role="alert">(.*?)</p>', page)
    return unescape(sentence)


def leftovers(uploads: Path) -> list[str]:
    return [path.name for path in uploads.iterdir()]


def test_the_names_that_the_outside_relies_on_are_there():
    assert all(callable(getattr(app_module, name)) for name in ("application", "index", "classify_image", "http_413"))


def test_the_page_shows_a_form_that_works_without_javascript(client):
    page = client.get("/").text
    assert 'method="post"' in page
    assert 'enctype="multipart/form-data"' in page
    assert 'name="bird_image"' in page
    assert 'knows <a href="/species">121 species' in page


def test_a_photo_is_answered_with_thumbnail_species_and_confidence(client, uploads, goldfinch):
    answer = post(client, goldfinch, "goldfinch.jpg")
    assert answer.status_code == 200
    assert 'name="bird_image"' in answer.text
    (thumbnail,) = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", answer.text)
    with Image.open(io.BytesIO(base64.b64decode(thumbnail))) as image:
        assert (image.format, image.size) == ("JPEG", (400, 300))
    (species,) = re.findall(r"Predicted : (.*?)<", answer.text)
    (percent,) = re.findall(r"Confidence \[0-100\]% : (\d+(?:\.\d{1,4})?) %", answer.text)
    identification, _thumbnail = app_module.classify_image(io.BytesIO(goldfinch))
    assert unescape(species) == identification.label
    assert float(percent) == pytest.approx(100 * identification.confidence, abs=0.01)
    assert leftovers(uploads) == []


def test_the_upload_lies_in_uploads_under_another_name_while_it_is_identified(client, uploads, goldfinch, monkeypatch):
    seen = []

    def answer_to(file: io.BufferedIOBase, **_options: object):
        seen.append((Path(file.name), leftovers(uploads), file.read()))
        raise app_module.PhotoError("stopped here")

    monkeypatch.setattr(app_module, "answer_to", answer_to)
    assert sentence_on(post(client, goldfinch, "goldfinch.jpg").text) == "stopped here"
    ((path, names, content),) = seen
    assert path.parent == uploads
    assert names == [path.name]
    assert "goldfinch" not in path.name
    assert content == goldfinch
    assert leftovers(uploads) == []


def test_a_start_that_sweeps_the_folder_meanwhile_does_no_harm(client, uploads, goldfinch, monkeypatch):
    answer_to = app_module.answer_to

    def sweep_and_answer(file: io.BufferedIOBase, **options: object):
        app_module.sweep_uploads(uploads)
        return answer_to(file, **options)

    monkeypatch.setattr(app_module, "answer_to", sweep_and_answer)
    answer = post(client, goldfinch, "goldfinch.jpg")
    assert answer.status_code == 200
    assert "Predicted : " in answer.text


@pytest.mark.parametrize("size", [1000, 100_000], ids=["in the buffer", "beyond it"])
def test_a_full_disk_is_not_called_the_clients_mistake(client, size, monkeypatch):
    # A real device that is always full, in the place of the folder's disk.
    full = open("/dev/full", "w+b")  # noqa: SIM115  the app closes it
    monkeypatch.setattr(app_module.tempfile, "NamedTemporaryFile", lambda **_where: full)
    answer = post(client, b"x" * size, "bird.jpg")
    assert answer.status_code == 503
    assert sentence_on(answer.text) == "There is no room for photos at the moment. Please try again later."
    assert int(answer.headers["Retry-After"]) > 0
    assert full.closed


def test_a_folder_that_is_gone_is_not_called_the_clients_mistake(client, uploads, goldfinch):
    uploads.rmdir()
    answer = post(client, goldfinch, "bird.jpg")
    assert answer.status_code == 503
    uploads.mkdir()
    assert post(client, goldfinch, "bird.jpg").status_code == 200


def test_a_form_of_too_many_photos_is_refused_and_opens_few_files(client, uploads, goldfinch, monkeypatch):
    opened = []
    make = app_module.tempfile.NamedTemporaryFile
    monkeypatch.setattr(
        app_module.tempfile, "NamedTemporaryFile", lambda **where: opened.append(where) or make(**where)
    )
    files = [(io.BytesIO(goldfinch if number == 0 else b"x"), "bird.jpg") for number in range(90)]
    answer = client.post("/", data={"bird_image": files}, follow_redirects=True)
    assert sentence_on(answer.text) == "Please send 20 photos at most at once."
    assert len(opened) == 20
    assert leftovers(uploads) == []


def test_of_several_photos_each_gets_its_card_in_order_though_one_cannot_be_read(client, uploads, goldfinch):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2026:05:03 06:01:02"
    dated = encoded(draw_goldfinch(), "JPEG", exif=exif)
    contents = {"first.jpg": goldfinch, "notes.txt": b"no bird", "<b>.jpg": b"no picture", "last.jpg": dated}
    files = [(io.BytesIO(content), name) for name, content in contents.items()]
    page = client.post("/", data={"bird_image": files}).text
    assert [unescape(name) for name in re.findall(r'<p class="name">(.+?)</p>', page)] == list(contents)
    assert page.count("Predicted : ") == 2
    assert len(re.findall(r'role="alert">(.+?)</p>', page)) == 2
    assert leftovers(uploads) == []
    (data,) = re.findall(r'href="data:text/csv;charset=utf-8;base64,([\w+/=]+)"', page)
    header, *rows = csv.reader(io.StringIO(base64.b64decode(data).decode()))
    assert header == listing.header()
    assert [row[0] for row in rows] == list(contents)
    assert [row[1] for row in rows] == ["", "", "", "2026-05-03 06:01:02"]
    assert rows[0][2:-1] == rows[3][2:-1]
    assert [row[-1] == "" for row in rows] == [True, False, False, True]


def test_a_form_may_bring_an_empty_field_beside_the_photo(client, goldfinch):
    # The page has two fields of that name: one for the camera, one for files.
    answer = client.post("/", data={"bird_image": [(io.BytesIO(b""), ""), (io.BytesIO(goldfinch), "bird.jpg")]})
    assert "Predicted : " in answer.text
    assert '<p class="name">bird' not in answer.text


def test_a_process_may_open_as_many_files_as_the_system_lets_it():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        app_module.allow_open_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(hard, app_module.OPEN_FILES), hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_an_accident_while_identifying_leaves_no_file_and_shows_no_traceback(
    client, uploads, goldfinch, monkeypatch, caplog
):
    def answer_to(file: io.BufferedIOBase, **_options: object):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(app_module, "answer_to", answer_to)
    monkeypatch.setitem(app_module.application.config, "PROPAGATE_EXCEPTIONS", False)
    answer = post(client, goldfinch, "goldfinch.jpg")
    assert answer.status_code == 500
    assert "server" in sentence_on(answer.text)
    assert "secret detail" not in answer.text
    assert leftovers(uploads) == []
    [accident] = [record for record in caplog.records if record.exc_info]
    assert "secret detail" in str(accident.exc_info[1])
    assert accident.request == answer.headers["X-Request-ID"]


def test_the_log_of_an_accident_does_not_lead_to_a_photo(client, monkeypatch, caplog):
    def look_up(_job: str):
        raise RuntimeError

    monkeypatch.setattr(app_module, "look_up", look_up)
    monkeypatch.setitem(app_module.application.config, "PROPAGATE_EXCEPTIONS", False)
    answer = client.get("/identifications/3d2f0c1e")
    assert answer.status_code == 500
    assert f"under {answer.headers['X-Request-ID']}." in answer.text
    assert "3d2f0c1e" not in caplog.text


def test_a_post_without_the_field_is_refused(client):
    answer = client.post("/", follow_redirects=True)
    assert sentence_on(answer.text) == "No file uploaded."
    answer = client.post("/", data=b"x" * 1000, content_type="image/jpeg", follow_redirects=True)
    assert sentence_on(answer.text) == "No file uploaded."
    assert sentence_on(post(client, b"x", "bird.jpg", field="other").text) == "No file uploaded."


def test_a_form_without_a_chosen_file_is_refused(client):
    boundary = "b"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="bird_image"; filename=""\r\n\r\n\r\n--{boundary}--\r\n'
    )
    answer = client.post(
        "/", data=body, content_type=f"multipart/form-data; boundary={boundary}", follow_redirects=True
    )
    assert sentence_on(answer.text) == "No file selected to upload."


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("bird.txt", ".txt"),
        ("bird.BMP", ".bmp"),
        ("bird", ""),
        ("bird.jpg.exe", ".exe"),
        ("a.<b>&", ".<b>&"),
        ("../../etc/passwd", ""),
        ("bird.jpg\0.sh", ".sh"),
        ("bird.g\0if", ".gif"),
        ("bird.\u202egpj", ".gpj"),  # shown as "bird.jpg"
        ("bird." + "x" * 5000, "." + "x" * 19),
    ],
)
def test_a_file_type_that_is_not_supported_is_refused_by_name(client, uploads, goldfinch, name, extension):
    assert sentence_on(post(client, goldfinch, name).text) == (
        f"The file type you selected: '{extension}' is not supported. "
        "Please select a '.jpg', '.jpeg', '.gif', '.png', '.webp', '.heic', '.heif', or a '.avif' file."
    )
    assert leftovers(uploads) == []


@pytest.mark.parametrize("name", ["bird.JPG", "bird.jpeg", "../../bird.png", "a\0b.gif", "x" * 5000 + ".jpg"])
def test_the_name_of_a_file_is_only_asked_for_its_extension(client, uploads, goldfinch, name):
    assert "Predicted : " in post(client, goldfinch, name).text
    assert leftovers(uploads) == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"<html>", "is not a picture"), (b"", "is not a picture"), (None, "is damaged or cut short")],
)
def test_a_file_that_is_no_whole_picture_is_refused(client, uploads, goldfinch, content, sentence):
    content = goldfinch[: len(goldfinch) // 2] if content is None else content
    assert sentence in sentence_on(post(client, content, "bird.jpg").text)
    assert leftovers(uploads) == []


def test_a_form_of_ten_thousand_parts_is_refused(server, goldfinch):
    address, uploads = server
    part = '--b\r\nContent-Disposition: form-data; name="bird_image"; filename="bird.jpg"\r\n\r\n'
    field = '--b\r\nContent-Disposition: form-data; name="comment"\r\n\r\n'
    many_parts = (part + "x\r\n") * 10_000 + "--b--\r\n"
    long_field = field + "x" * 600_000 + "\r\n--b--\r\n"
    for body in (many_parts, long_field):
        request = urllib.request.Request(
            address, body.encode(), {"Content-Type": "multipart/form-data; boundary=b"}, method="POST"
        )
        with urllib.request.build_opener(urllib.request.HTTPCookieProcessor()).open(request, timeout=60) as answer:
            assert sentence_on(answer.read().decode()) == (
                "The upload holds too many or too long fields. Please send photos and nothing else."
            )
    assert leftovers(uploads) == []


def test_every_answer_tells_the_browser_to_load_nothing_from_elsewhere(client, goldfinch):
    answers = [client.get("/"), client.get("/nothing"), client.get("/static/style.css"), client.post("/")]
    answers.append(post(client, goldfinch, "bird.jpg"))
    for answer in answers:
        policy = dict(rule.strip().split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["img-src"] == "'self' data: blob:"
        assert policy["frame-ancestors"] == "'none'"
        assert "unsafe" not in str(policy)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answers[-1].headers["Cache-Control"] == "no-store"


@pytest.fixture
def model_with_report(tmp_path, monkeypatch) -> Iterator[Path]:
    """A model file with a card and a report of it, where the app looks for them."""
    model = tmp_path / "models" / MODEL_FILE
    model.parent.mkdir()
    model.write_bytes(b"a model")
    (model.parent / CARD_FILE).write_text(json.dumps({"model": {"sha256": sha256(model)}}))
    (model.parent / REPORT_FILE).write_text("<title>How good</title><style>p { color: red }</style>")
    monkeypatch.setitem(app_module.application.config, "MODEL", str(model))
    caches = (app_module.report_page, app_module.model_card, app_module.model_figures)
    for cached in caches:
        cached.cache_clear()
    yield model
    for cached in caches:
        cached.cache_clear()


def test_the_page_links_to_the_training_report_which_may_bring_its_own_style_and_nothing_else(
    client, model_with_report
):
    assert '<a href="/report">' in client.get("/").text
    answer = client.get("/report")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert "<title>How good</title>" in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "style-src 'unsafe-inline'" in policy
    assert "script-src 'none'" in policy


def test_a_report_of_another_model_is_not_shown(client, model_with_report):
    model_with_report.write_bytes(b"another model")
    assert "/report" not in client.get("/").text
    answer = client.get("/report")
    assert answer.status_code == 404
    assert "style-src 'self'" in answer.headers["Content-Security-Policy"]


def test_other_addresses_and_methods_get_a_page_too(client):
    answer = client.get("/nothing")
    assert answer.status_code == 404
    assert "not found" in sentence_on(answer.text)
    answer = client.put("/")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


def test_labels_with_markup_are_escaped(client, goldfinch, monkeypatch):
    classifier = app_module.network()
    monkeypatch.setattr(classifier, "labels", tuple(f"<b>{label}</b>" for label in classifier.labels))
    page = post(client, goldfinch, "bird.jpg").text
    assert "Predicted : &lt;b&gt;" in page
    assert "<b>" not in page


def browser_like_post(address: str, size: int, *, chunked: bool = False) -> tuple[int, str]:
    """Send a whole form before reading the answer, as a browser does; its status and where it leads."""
    part = b'--b\r\nContent-Disposition: form-data; name="bird_image"; filename="bird.jpg"\r\n\r\n'
    body = part + b"x" * size + b"\r\n--b--\r\n"
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    chunks = [body[start : start + 50_000] for start in range(0, len(body), 50_000)]
    connection.request(
        "POST",
        "/",
        body=iter(chunks) if chunked else body,
        headers={"Content-Type": "multipart/form-data; boundary=b"}
        | ({} if chunked else {"Content-Length": len(body)}),
        encode_chunked=chunked,
    )
    answer = connection.getresponse()
    answer.read()
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    connection.request("GET", answer.headers["Location"], headers={"Cookie": cookie})
    page = connection.getresponse().read().decode()
    connection.close()
    return answer.status, sentence_on(page)


@pytest.mark.parametrize("chunked", [False, True], ids=["length known", "chunked"])
@pytest.mark.parametrize("size", [10 * MIB, 12 * MIB, 100 * MIB])
def test_a_file_too_large_is_refused_with_a_sentence_not_a_broken_connection(server, size, chunked):
    address, uploads = server
    assert browser_like_post(address, size, chunked=chunked) == (302, "Uploaded file too large.")
    assert leftovers(uploads) == []


def test_a_file_just_small_enough_is_read(server):
    address, _uploads = server
    status, sentence = browser_like_post(address, 10 * MIB - 1000)
    assert (status, sentence) == (302, "The file is not a picture. Please choose another one.")


def test_plain_curl_gets_an_answer(server, goldfinch, tmp_path):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    address, uploads = server
    path = tmp_path / "goldfinch.jpg"
    path.write_bytes(goldfinch)
    command = ["curl", "-sS", "-F", f"bird_image=@{path}", address]
    page = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "Predicted : " in page
    assert leftovers(uploads) == []


def running_with_a_small_network(command: list[str], folder: Path) -> Iterator[tuple[str, Path]]:
    """For a fixture: the address of the app with a pair that does not ship, and its folder of uploads."""
    with servers.running(command, folder / "uploads", **SMALL_NETWORK) as address:
        yield address, folder / "uploads"


@pytest.fixture(scope="module")
def small_flask(tmp_path_factory) -> Iterator[tuple[str, Path]]:
    yield from running_with_a_small_network(servers.FLASK, tmp_path_factory.mktemp("flask"))


@pytest.fixture(scope="module")
def small_gunicorn(tmp_path_factory) -> Iterator[tuple[str, Path]]:
    yield from running_with_a_small_network(servers.GUNICORN, tmp_path_factory.mktemp("gunicorn"))


def test_a_body_that_is_not_what_its_head_announces_is_the_clients_mistake(small_gunicorn):
    url = urlsplit(small_gunicorn[0])
    head = f"POST / HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    with socket.create_connection((url.hostname, url.port), timeout=60) as connection:
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\nno chunk\r\n".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")


def abort_upload(address: str, declared: int, sent: int) -> None:
    """Announce a form of ``declared`` bytes, send fewer, and hang up."""
    url = urlsplit(address)
    with socket.create_connection((url.hostname, url.port)) as connection:
        head = f"POST / HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        part = '--b\r\nContent-Disposition: form-data; name="bird_image"; filename="bird.jpg"\r\n\r\n'
        connection.sendall(f"{head}Content-Length: {declared}\r\n\r\n{part}".encode() + b"x" * sent)


@pytest.mark.parametrize("served_by", ["small_flask", "small_gunicorn"])
def test_any_mixture_of_requests_leaves_uploads_empty(request, goldfinch, served_by):
    address, uploads = request.getfixturevalue(served_by)
    jobs = [
        lambda: servers.post_photo(address, goldfinch)[0],
        lambda: servers.post_photo(address, b"<html>")[0],
        lambda: abort_upload(address, 2 * MIB, MIB),
        lambda: abort_upload(address, 20 * MIB, MIB),
        lambda: browser_like_post(address, 12 * MIB)[0],
    ]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: jobs[number % len(jobs)](), range(40)))
    assert sorted({answer for answer in answers if answer is not None}) == [200, 302]
    assert "Predicted : " in servers.post_photo(address, goldfinch)[1]
    deadline = time.monotonic() + 10
    while leftovers(uploads) and time.monotonic() < deadline:
        time.sleep(0.1)  # an aborted request may still be ending
    assert leftovers(uploads) == []


def test_a_restart_sweeps_what_a_killed_process_left(tmp_path):
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    (uploads / f"0123{app_module.UPLOAD_SUFFIX}").touch()
    (uploads / ".gitkeep").touch()
    app_module.sweep_uploads(uploads)
    assert leftovers(uploads) == [".gitkeep"]


def test_the_last_line_that_is_printed_is_the_address_and_the_app_then_answers_quickly(tmp_path, goldfinch):
    port = servers.free_port()
    with subprocess.Popen(
        servers.FLASK,
        cwd=servers.ROOT,
        env=servers.environment(port, tmp_path / "uploads"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
        reader.start()
        while not any("http://" in line for line in lines):
            assert process.poll() is None, lines
            time.sleep(0.05)
        time.sleep(1)
        assert lines[-1] == f"http://127.0.0.1:{port}\n"
        times = []
        for _ in range(6):
            begun = time.perf_counter()
            assert servers.post_photo(f"http://127.0.0.1:{port}", goldfinch)[0] == 200
            times.append(time.perf_counter() - begun)
        process.terminate()
    # Without the warm-up the first answer takes over ten times as long as the others.
    assert times[0] < 5 * np.median(times[1:])


@pytest.mark.parametrize("command", [[*servers.FLASK], [sys.executable, "-m", "flask", "--app", "application", "run"]])
def test_debug_mode_loads_the_model_once(tmp_path, command):
    # python's own import log tells which processes imported TensorFlow, the reloader's parent or its child
    port = servers.free_port()
    log = tmp_path / "log"
    settings = {"FLASK_DEBUG": "1", "PYTHONVERBOSE": "1", "FLASK_RUN_PORT": str(port)}
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=servers.ROOT,
            env=servers.environment(port, tmp_path / "uploads", **SMALL_NETWORK, **settings),
            stderr=output,
            stdout=output,
            start_new_session=True,
        )
        try:
            servers.wait_until_it_answers(f"http://127.0.0.1:{port}", process)
        finally:
            os.killpg(process.pid, 15)
            process.wait(timeout=20)
    printed = log.read_text(errors="replace")
    assert "Debugger is active" in printed
    assert printed.count("import 'inference.classifier'") == 1


def test_debug_mode_without_a_reloader_checks_the_pair_at_the_start(uploads, tmp_path):
    command = [sys.executable, "-c", "import application"]  # as gunicorn does
    settings = {"FLASK_DEBUG": "1", "BIRD_MODEL": str(tmp_path / "none.h5")}
    ended = subprocess.run(
        command, cwd=servers.ROOT, env=servers.environment(1, uploads, **settings), capture_output=True, text=True
    )
    assert ended.returncode == app_module.CANNOT_START
    assert "none.h5 is missing" in ended.stderr


def test_debug_mode_is_off_unless_asked_for_with_flasks_own_switch(uploads):
    command = [sys.executable, "-c", "import application; print(application.application.debug)"]
    for settings, debug in [({"BIRD_DEBUG": "true"}, "False"), ({"FLASK_DEBUG": "1"}, "True")]:
        environment = servers.environment(5000, uploads, **SMALL_NETWORK, **settings)
        ended = subprocess.run(command, cwd=servers.ROOT, env=environment, capture_output=True, text=True, check=True)
        assert ended.stdout == f"{debug}\n"


def one_line_refusal(uploads: Path, **settings: str) -> str:
    """Start where it must fail: exit code not 0, no traceback; the one line that the app prints."""
    ended = servers.start_and_fail(uploads, port=servers.free_port(), **settings)
    assert ended.returncode not in (0, 1)
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("application: ")]
    return line


def test_a_missing_model_stops_the_start(uploads, tmp_path):
    line = one_line_refusal(uploads, BIRD_MODEL=str(tmp_path / "none.h5"))
    assert line == (
        f"application: {tmp_path}/none.h5 is missing. Put your fine-tuned model there, or run python -m training DATA."
    )


def test_labels_of_the_wrong_length_stop_the_start(uploads, tmp_path):
    np.save(tmp_path / "labels.npy", {"a": 0, "b": 1})
    line = one_line_refusal(uploads, BIRD_LABELS=str(tmp_path / "labels.npy"))
    assert f"{MODEL_FILE} tells 121 classes apart, but {tmp_path}/labels.npy holds 2 labels." in line


def test_labels_that_run_code_stop_the_start_and_run_nothing(uploads, tmp_path):
    np.save(tmp_path / LABELS_FILE, {"a": 0, "b": RunsCode(tmp_path / "ran")})
    line = one_line_refusal(uploads, BIRD_LABELS=str(tmp_path / LABELS_FILE))
    assert "is refused: its pickle names 'pathlib" in line
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"BIRD_MAX_CONTENT_LENGTH": "10MB"}, "BIRD_MAX_CONTENT_LENGTH must be a number of bytes, not '10MB'."),
        ({"BIRD_MAX_PIXELS": "50MP"}, "BIRD_MAX_PIXELS must be a number of pixels, not '50MP'."),
        ({"BIRD_MAX_FORM_MEMORY_SIZE": "65536"}, "BIRD_MAX_FORM_MEMORY_SIZE must be at least 131072"),
        ({"BIRD_MAX_WAITING": "many"}, "BIRD_MAX_WAITING must be a number of photos, not 'many'."),
        ({"BIRD_MAX_WAITING": "-1"}, "BIRD_MAX_WAITING must be a number of photos, not -1."),
        ({"BIRD_PRECISION": "float16"}, "BIRD_PRECISION must be float32 or bfloat16, not 'float16'."),
        ({"PORT": "http"}, "PORT must be a number from 1 to 65535, not 'http'."),
        ({"BIRD_MODEL": ""}, "BIRD_MODEL is empty."),
        ({"BIRD_UPLOADS": "/dev/null/uploads"}, "BIRD_UPLOADS=/dev/null/uploads cannot be used: Not a directory."),
    ],
)
def test_a_setting_that_cannot_be_used_stops_the_start(uploads, settings, sentence):
    assert sentence in one_line_refusal(uploads, **settings)


def test_bfloat16_is_refused_where_the_processor_does_not_have_it(monkeypatch):
    # A stand-in for such a processor: the one here may have it.
    monkeypatch.setattr(app_module.settings, "has_bfloat16", lambda: False)
    monkeypatch.setitem(app_module.application.config, "PRECISION", "bfloat16")
    with pytest.raises(app_module.SettingError, match=r"^BIRD_PRECISION=bfloat16 needs a processor .* Leave it out\.$"):
        app_module.settings.check(app_module.application.config)


def test_another_pair_drops_in(small_flask):
    photo = encoded(Image.new("RGB", (300, 200), "teal"), "PNG")
    _status, page = servers.post_photo(small_flask[0], photo, "bird.png")
    assert re.search(r"Predicted : bird \d<", page)
    assert ">10 species</a>" in page


def test_the_list_of_extensions_in_the_page_is_the_one_that_is_accepted(client):
    assert f'accept="{",".join(FORMATS)}"' in client.get("/").text
