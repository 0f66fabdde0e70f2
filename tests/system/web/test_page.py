"""application.py: the page and what it answers, with the model that ships and on real servers."""

import base64
import csv
import io
import re
import shutil
import subprocess
import sys
from html import unescape

import pytest
from PIL import Image

from inference import Candidate
from lists import csv_export
from tests.support import servers
from tests.support.drawings import draw_goldfinch, encoded
from tests.support.pages import percent_on, sentence_on, species_on, thumbnail_on
from tests.support.servers import SMALL_NETWORK, leftovers


def test_the_names_that_the_outside_relies_on_are_there(app_module):
    assert all(callable(getattr(app_module, name)) for name in ("application", "index", "classify_image", "http_413"))


def test_the_page_shows_a_form_that_works_without_javascript(client):
    page = client.get("/").text
    assert 'method="post"' in page
    assert 'enctype="multipart/form-data"' in page
    assert 'name="bird_image"' in page
    assert 'knows <a href="/species">121 species' in page


def test_a_photo_is_answered_with_thumbnail_species_and_confidence(client, app_module, uploads, goldfinch):
    answer = client.post("/", data={"bird_image": (io.BytesIO(goldfinch), "goldfinch.jpg")})
    assert answer.status_code == 200
    assert 'name="bird_image"' in answer.text
    assert thumbnail_on(answer.text).size == (400, 300)
    identification, thumbnail = app_module.classify_image(io.BytesIO(goldfinch))
    assert species_on(answer.text) == identification.label
    assert percent_on(answer.text) == pytest.approx(100 * identification.confidence, abs=0.01)
    assert f"base64,{thumbnail}" in answer.text
    assert leftovers(uploads) == []


def test_classify_image_takes_a_path_or_an_open_file(app_module, goldfinch, tmp_path):
    path = tmp_path / "bird.jpg"
    path.write_bytes(goldfinch)
    identification, thumbnail = app_module.classify_image(path)
    assert app_module.classify_image(str(path))[0] == identification
    assert identification.candidates[0] == Candidate(identification.label, identification.confidence)
    with Image.open(io.BytesIO(base64.b64decode(thumbnail))) as image:
        assert (image.format, image.size) == ("JPEG", (400, 300))


def test_of_several_photos_each_gets_its_card_in_order_though_one_cannot_be_read(client, uploads, goldfinch):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2026:05:03 06:01:02"
    dated = encoded(draw_goldfinch(), "JPEG", exif=exif)
    contents = {"first.jpg": goldfinch, "notes.txt": b"no bird", "<b>.jpg": b"no image", "last.jpg": dated}
    files = [(io.BytesIO(content), name) for name, content in contents.items()]
    page = client.post("/", data={"bird_image": files}).text
    assert [unescape(name) for name in re.findall(r'<p class="name"[^>]*>(.+?)</p>', page)] == list(contents)
    assert page.count("Predicted : ") == 2
    assert len(re.findall(r'role="alert">(.+?)</p>', page)) == 2
    assert leftovers(uploads) == []
    (data,) = re.findall(r'href="data:text/csv;charset=utf-8;base64,([\w+/=]+)"', page)
    header, *rows = csv.reader(io.StringIO(base64.b64decode(data).decode("utf-8-sig")))
    assert header == csv_export.header()
    assert [row[0] for row in rows] == list(contents)
    assert [row[1] for row in rows] == ["", "", "", "2026-05-03 06:01:02"]
    assert rows[0][2:-1] == rows[3][2:-1]
    assert [row[header.index("error")] == "" for row in rows] == [True, False, False, True]


@pytest.mark.parametrize("content", [b"<html>", b""], ids=["a web page", "nothing"])
def test_a_file_that_is_no_photo_is_refused_with_a_sentence(client, uploads, content):
    answer = client.post("/", data={"bird_image": (io.BytesIO(content), "bird.jpg")}, follow_redirects=True)
    assert sentence_on(answer.text) == "The file is not a picture. Please choose another one."
    assert leftovers(uploads) == []


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


def test_another_pair_drops_in(tmp_path):
    photo = encoded(Image.new("RGB", (300, 200), "teal"), "PNG")
    with servers.running(servers.FLASK, tmp_path / "uploads", **SMALL_NETWORK) as address:
        _status, page = servers.post_photo(address, photo, "bird.png")
    assert re.search(r"Predicted : bird \d<", page)
    assert ">10 species</a>" in page


def test_a_command_of_flask_starts_nothing(tmp_path):
    # Neither the model, which is missing, nor the uploads folder, which cannot be made, nor the port keeps it from
    # answering.
    command = [sys.executable, "-m", "flask", "--app", "application", "routes"]
    environment = servers.environment(
        0, tmp_path / "uploads", BIRD_MODEL=str(tmp_path / "none.h5"), BIRD_UPLOADS="/dev/null/uploads", PORT="http"
    )
    ended = subprocess.run(command, cwd=servers.ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "/api/v1/identifications" in ended.stdout
    assert not (tmp_path / "uploads").exists()
