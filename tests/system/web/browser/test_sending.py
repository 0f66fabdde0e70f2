"""A person sends photos and reads the species: with the page's script and without it."""

import base64
import csv
import io
import re
from urllib.parse import quote

import requests
from PIL import Image
from playwright.sync_api import expect

from lists import csv_export
from tests.support.browsing import (
    PREDICTED,
    answer,
    cards,
    data_transfer,
    downloaded_list,
    drop,
    keep_screenshot,
    photo_field,
    serious_faults,
)
from tests.support.drawings import draw_goldfinch, encoded


def test_a_person_chooses_a_photo_and_reads_which_species_it_may_be(open_page, server, bird):
    page = open_page()
    page.evaluate("window.isTheSamePage = true")
    photo_field(page).set_input_files(bird)
    expect(page.get_by_role("heading", name="Not sure. It is probably one of these:", exact=True)).to_be_visible()
    expect(page.get_by_role("list", name="What it probably is")).to_contain_text("American Goldfinch")
    expect(page.get_by_text("Predicted : American Goldfinch", exact=True)).to_be_attached()
    expect(page.get_by_text(re.compile(r"^Confidence \[0-100\]% : [\d.]+ %$"))).to_be_visible()
    expect(page.get_by_role("meter")).to_have_count(5)
    expect(page.get_by_text(re.compile(r"The model knows 121 species\. It took \d+\.\d\d s\."))).to_be_visible()
    assert "wikipedia.org" in page.get_by_role("link", name="American Goldfinch").get_attribute("href")
    expect(page.get_by_role("log").locator("p")).to_have_text(
        ["Sending the photo.", re.compile(r"^goldfinch\.jpg Not sure, probably American Goldfinch")]
    )
    expect(page).to_have_title("Which bird is it?")
    photo = page.get_by_alt_text("The photo you sent")
    assert photo.evaluate("image => image.naturalWidth") == 900  # the photo itself, which is sharper than its thumbnail
    assert page.evaluate("window.isTheSamePage")
    assert serious_faults(page) == []
    assert list(server[1].iterdir()) == []


def test_the_photo_appears_at_once_and_the_progress_of_its_upload_is_shown(open_page, bird):
    page = open_page()
    connection = page.context.new_cdp_session(page)
    slow_network = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 20_000}
    connection.send("Network.emulateNetworkConditions", slow_network)
    photo_field(page).set_input_files(bird)
    expect(page.get_by_text("On its way.")).to_be_visible()
    keep_screenshot(page, "a photo on its way")
    photo = page.get_by_alt_text("The photo you sent")
    assert photo.evaluate("image => image.naturalWidth") == 900  # the photo itself
    photo.evaluate("image => (image.dataset.stays = '')")
    expect(page.get_by_role("progressbar")).to_have_attribute("value", re.compile(r"^0\.\d"))
    assert serious_faults(page) == []
    connection.send("Network.emulateNetworkConditions", slow_network | {"uploadThroughput": -1})
    expect(answer(page)).to_be_visible()
    expect(photo).to_have_attribute("data-stays", "")  # so the answer does not jump while another image is loaded
    expect(page.get_by_role("progressbar")).to_have_count(0)


def test_a_person_drops_photos_anywhere_on_the_page(open_page, goldfinch):
    page = open_page()
    dropped = {"one.jpg": goldfinch, "two.jpg": goldfinch}
    transfer = data_transfer(page, dropped)
    page.dispatch_event("footer", "dragover", {"dataTransfer": transfer})
    expect(page.locator(".target.over")).to_be_visible()
    keep_screenshot(page, "a photo over the page")
    page.dispatch_event("footer", "drop", {"dataTransfer": transfer})
    expect(page.locator(".target.over")).to_have_count(0)
    expect(page.get_by_text(PREDICTED)).to_have_count(2)
    expect(page.locator(".name")).to_have_text(list(dropped))


def test_a_person_pastes_a_photo_from_the_clipboard(open_page, goldfinch):
    page = open_page()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    png = base64.b64encode(encoded(draw_goldfinch(400, 300), "PNG")).decode()
    page.evaluate(
        """async text => {
            const content = new Blob([Uint8Array.from(atob(text), c => c.charCodeAt())], { type: "image/png" });
            await navigator.clipboard.write([new ClipboardItem({ "image/png": content })]);
        }""",
        png,
    )
    page.keyboard.press("Control+V")
    expect(page.get_by_text("Predicted : American Goldfinch")).to_be_attached()


def test_a_phone_has_a_field_for_its_camera(open_page, bird):
    page = open_page(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 800})
    camera = page.get_by_label("Take a photo")
    expect(camera).to_be_visible()
    assert camera.get_attribute("capture") == "environment"
    keep_screenshot(page, "a phone")
    camera.set_input_files(bird)
    expect(answer(page)).to_be_visible()


def test_more_photos_than_twenty_are_refused_and_twenty_are_not(open_page, tmp_path):
    small = encoded(draw_goldfinch(80, 60), "JPEG")
    paths = [tmp_path / f"{number}.jpg" for number in range(21)]
    for path in paths:
        path.write_bytes(small)
    page = open_page()
    photo_field(page).set_input_files(paths)
    expect(page.get_by_role("alert")).to_have_text("Please send 20 photos at most at once.")
    expect(cards(page)).to_have_count(0)
    photo_field(page).set_input_files(paths[:20])
    expect(page.get_by_text(PREDICTED)).to_have_count(20)
    expect(page.locator(".name")).to_have_text([path.name for path in paths[:20]])
    expect(page.get_by_role("alert")).to_have_count(0)


def test_of_several_photos_each_gets_its_card_in_order_and_all_of_them_a_list(open_page, bird, tmp_path):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2026:05:03 06:01:02"
    contents = {
        "first.jpg": bird.read_bytes(),
        "notes, old.txt": b"no bird",
        "cut.jpg": bird.read_bytes()[:-5000],
        'a "last" one.jpg': encoded(draw_goldfinch(), "JPEG", exif=exif),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    page = open_page()
    photo_field(page).set_input_files([tmp_path / name for name in contents])
    expect(page.locator(".name")).to_have_text(list(contents))  # all of them at once, in order
    expect(page.get_by_role("article", name='a "last" one.jpg')).to_have_count(1)
    expect(page.get_by_text(PREDICTED)).to_have_count(2)
    expect(cards(page).get_by_role("alert")).to_have_text(
        [re.compile(r"The file type you selected: '\.txt'"), re.compile("The picture is damaged")]
    )
    expect(page.locator(".name")).to_have_text(list(contents))
    header, *rows = csv.reader(downloaded_list(page).read_text(encoding="utf-8-sig").splitlines(keepends=True))
    assert header == csv_export.header()
    assert [row[0] for row in rows] == list(contents)
    assert [row[1] for row in rows] == ["", "", "", "2026-05-03 06:01:02"]
    assert [row[2] for row in rows] == ["American Goldfinch", "", "", "American Goldfinch"]
    assert [bool(row[header.index("error")]) for row in rows] == [False, True, True, False]
    assert serious_faults(page) == []


def servers_list(address: str, files: dict[str, bytes]) -> bytes:
    """The CSV list that the server makes of photos that are sent together, without a script."""
    parts = b"".join(
        b"--b\r\nContent-Disposition: form-data; name=\"bird_image\"; filename*=UTF-8''"
        + quote(name, safe="").encode()
        + b"\r\nContent-Type: image/jpeg\r\n\r\n"
        + content
        + b"\r\n"
        for name, content in files.items()
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    page = requests.post(address, parts + b"--b--\r\n", headers=headers, timeout=60).text
    (text,) = re.findall(r'href="data:text/csv;charset=utf-8;base64,([\w+/=]+)"', page)
    return base64.b64decode(text)


def test_the_list_that_the_script_makes_is_byte_for_byte_the_one_that_the_server_makes(open_page, server, goldfinch):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2026:05:03 06:01:02"
    files = {
        "plain.jpg": goldfinch,
        'a "last" one.jpg': encoded(draw_goldfinch(300, 225), "JPEG", exif=exif),
        "a, b.jpg": encoded(Image.new("RGB", (60, 40), "teal"), "JPEG"),
        "two\nlines.jpg": encoded(Image.new("RGB", (60, 40), "maroon"), "JPEG"),
        'three\r\nlines, "quoted"\r.jpg': encoded(Image.new("RGB", (60, 40), "navy"), "JPEG"),
        " žluna zelená; 🐦.jpg ": goldfinch,
        "=1+1; -2\t＠3.jpg": goldfinch[:-5000],
        "notes, old.txt": b"no bird",
    }
    page = open_page()
    drop(page, files)
    expect(cards(page).get_by_role("alert")).to_have_count(2)
    expect(page.get_by_text(PREDICTED)).to_have_count(6)
    expected = servers_list(server[0], files)
    names = [row[0] for row in csv.reader(io.StringIO(expected.decode("utf-8-sig"), newline=""))]
    assert names == ["file", *[csv_export.defused(name) for name in files]]
    assert downloaded_list(page).read_bytes() == expected


def test_without_javascript_a_person_sends_one_photo_or_several(open_page, bird, tmp_path):
    page = open_page(java_script_enabled=False)
    photo_field(page).set_input_files(bird)
    page.get_by_role("button", name="Name the bird").click()
    expect(answer(page)).to_be_visible()
    notes = tmp_path / "notes.txt"
    notes.write_text("no bird")
    page.get_by_label("Another photo").set_input_files([notes, bird])
    page.get_by_role("button", name="Name the bird").click()
    expect(page.locator(".name")).to_have_text(["notes.txt", "goldfinch.jpg"])
    expect(page.get_by_text(PREDICTED)).to_have_count(1)
    rows = list(csv.reader(downloaded_list(page).read_text(encoding="utf-8-sig").splitlines(keepends=True)))
    assert [row[0] for row in rows] == ["file", "notes.txt", "goldfinch.jpg"]


def test_without_javascript_a_person_reads_what_is_wrong(open_page, tmp_path):
    page = open_page(java_script_enabled=False)
    page.get_by_role("button", name="Name the bird").click()
    expect(page.get_by_role("alert")).to_have_text("No file selected to upload.")
    large, wrong = tmp_path / "large.jpg", tmp_path / "notes.txt"
    large.write_bytes(bytes(12 * 2**20))
    wrong.write_text("no bird")
    photo_field(page).set_input_files(large)
    page.get_by_role("button", name="Name the bird").click()
    expect(page.get_by_role("alert")).to_have_text("Uploaded file too large.")
    photo_field(page).set_input_files(wrong)
    page.get_by_role("button", name="Name the bird").click()
    expect(page.get_by_role("alert")).to_contain_text("The file type you selected: '.txt' is not supported.")
    page.reload()
    expect(page.get_by_role("alert")).to_have_count(0)
