"""web/installing.py: what a device is told about the site, and what it keeps of it."""

import io
import re
from pathlib import Path

import pytest
from PIL import Image

from inference.formats import DECODERS
from tests.support.servers import ROOT
from web import installing


@pytest.fixture
def other_style(app_module, tmp_path: Path) -> Path:
    """The style sheet of another release, which the app serves once it has been written."""
    folder = tmp_path / "static"
    folder.mkdir()
    for name in installing.OFFLINE_FILES:
        (folder / name).write_bytes((ROOT / "static" / name).read_bytes())
    app_module.application.static_folder = str(folder)
    return folder / "style.css"


def test_the_manifest_has_what_browsers_ask_of_an_app(client):
    answer = client.get("/manifest.webmanifest")
    assert answer.mimetype == "application/manifest+json"
    assert {"name", "short_name", "description", "lang", "theme_color", "background_color"} <= set(answer.json)
    assert (answer.json["start_url"], answer.json["scope"], answer.json["display"]) == ("/", "/", "standalone")


def test_an_app_is_named_in_the_language_that_its_reader_has_chosen(client):
    client.set_cookie("language", "de")
    assert client.get("/manifest.webmanifest", headers={"Accept-Language": "fr"}).json["lang"] == "de"
    # Browsers fetch a manifest without cookies, unless the page says otherwise.
    assert '<link rel="manifest" crossorigin="use-credentials"' in client.get("/").text


def test_every_icon_has_the_size_that_is_promised(client):
    for icon in client.get("/manifest.webmanifest").json["icons"]:
        with client.get(icon["src"]) as answer, Image.open(io.BytesIO(answer.data)) as image:
            assert (answer.mimetype, f"{image.width}x{image.height}") == (icon["type"], icon["sizes"])


def test_a_system_may_cut_a_circle_out_of_the_icon_that_is_made_for_it():
    with Image.open(ROOT / "static" / "icons" / "maskable-512.png") as image:
        assert image.convert("RGBA").getextrema()[3] == (255, 255)  # nowhere transparent


def test_photos_are_shared_with_the_form_that_takes_them(client, photo):
    share = client.get("/manifest.webmanifest").json["share_target"]
    [field] = share["params"]["files"]
    assert {f"image/{decoder.lower()}" for decoder in DECODERS} <= set(field["accept"])
    assert (share["method"], share["enctype"]) == ("POST", "multipart/form-data")
    answer = client.post(share["action"], data={field["name"]: (io.BytesIO(photo), "IMG_0042.png")})
    assert "Predicted : " in answer.text


def test_under_a_prefix_everything_stays_there(client):
    manifest = client.get("/manifest.webmanifest", base_url="http://localhost/birds").json
    script = client.get("/service-worker.js", base_url="http://localhost/birds").text
    assert (manifest["start_url"], manifest["share_target"]["action"]) == ("/birds/", "/birds/")
    assert manifest["icons"][0]["src"].startswith("/birds/static/")
    assert all(address.startswith("/birds/") for address in re.findall(r'"(/[^"]+)"', script))


def test_browsers_ask_each_time_whether_the_service_worker_is_a_new_one(client):
    answer = client.get("/service-worker.js")
    assert (answer.mimetype, answer.headers["Cache-Control"]) == ("text/javascript", "no-cache")
    unchanged = client.get("/service-worker.js", headers={"If-None-Match": answer.headers["ETag"]})
    assert unchanged.status_code == 304


def test_it_is_a_new_one_if_what_it_keeps_has_changed(client, other_style):
    before = client.get("/service-worker.js").text
    assert client.get("/service-worker.js").text == before
    other_style.write_text("body { color: red }")
    assert client.get("/service-worker.js").text != before


def test_a_message_that_waits_for_its_page_is_not_kept_with_the_offline_page(client):
    client.post("/", data={"bird_image": (io.BytesIO(), "")})
    for path in ("/service-worker.js", "/offline"):
        answer = client.get(path)
        assert "No file selected" not in answer.text
        assert "Set-Cookie" not in answer.headers
    assert "No file selected to upload." in client.get("/").text
