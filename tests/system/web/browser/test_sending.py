"""The pages in a real browser (Debian's Chromium, driven by Playwright); each test leaves a screenshot."""

import base64
import csv
import io
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from web import csv_export as listing
from inference.photo import open_photo

from tests.support import servers
from tests.support.drawings import draw_goldfinch, encoded
from tests.support.fuzz import SMALL_NETWORK
from tests.support.photographs import display_p3
from tests.support.servers import until
from tests.system.web.test_load import slow

SCREENSHOTS = Path(__file__).parents[2] / "screenshots"
PREDICTED = re.compile(r"^Predicted : \w")

Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, server: tuple[str, Path], request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens the app, or one of its pages, in a browser of one's own; ``options`` are Playwright's of a context.

    In the end the browser must have complained of nothing, and a picture of the page is kept.
    """
    opened, complaints = [], []

    def open_page(path: str = "/", *, address: str = server[0], **options: object) -> Page:
        page = browser.new_context(**({"viewport": {"width": 800, "height": 700}} | options)).new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda message: is_status(message.text) or complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address + path)
        opened.append(page)
        return page

    yield open_page
    for page in opened:
        keep_picture(page, request.node.name)
        page.context.close()
    assert complaints == []


def keep_picture(page: Page, name: str) -> None:
    """Leave a screenshot for people to look at."""
    SCREENSHOTS.mkdir(exist_ok=True)
    file_name = re.sub(r"\W+", "_", name)
    page.screenshot(path=SCREENSHOTS / f"{file_name}.png")


@pytest.fixture(scope="session")
def bird(goldfinch: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JPEG file of a drawn bird."""
    path = tmp_path_factory.mktemp("photos") / "goldfinch.jpg"
    path.write_bytes(goldfinch)
    return path


def is_status(complaint: str) -> bool:
    """Whether it is of an answer that says no, which is the script's to deal with."""
    return complaint.startswith("Failed to load resource")


def photo_field(page: Page) -> Locator:
    return page.get_by_label("A photo of a bird")


def cards(page: Page) -> Locator:
    return page.locator("#cards .card")


def serious_faults(page: Page) -> list[tuple[str, list[str]]]:
    """What axe-core finds that keeps somebody from using the page: the rule, and where it is broken."""
    found = Axe().run(
        page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    )
    return [
        (fault["id"], [node["html"] for node in fault["nodes"]])
        for fault in found.response["violations"]
        if fault["impact"] in ("serious", "critical")
    ]


def data_transfer(page: Page, files: dict[str, bytes]):
    """What a browser hands to a page with files that are dropped on it."""
    texts = {name: base64.b64encode(content).decode() for name, content in files.items()}
    return page.evaluate_handle(
        """texts => {
            const transfer = new DataTransfer();
            for (const [name, text] of Object.entries(texts))
                transfer.items.add(new File([Uint8Array.from(atob(text), c => c.charCodeAt())], name));
            return transfer;
        }""",
        texts,
    )


def test_a_person_chooses_a_photo_and_reads_the_species(open_page, server, bird):
    page = open_page()
    page.evaluate("window.isTheSamePage = true")
    photo_field(page).set_input_files(bird)
    expect(page.get_by_text(PREDICTED)).to_be_visible()
    expect(page.get_by_text(re.compile(r"^Confidence \[0-100\]% : [\d.]+ %$"))).to_be_visible()
    expect(page.get_by_role("meter")).to_have_count(5)
    expect(page.get_by_text(re.compile(r"One of the 121 species .* named in \d+\.\d\d s\."))).to_be_visible()
    assert "wikipedia.org" in page.get_by_role("link", name="Look up American Goldfinch").get_attribute("href")
    expect(page.get_by_role("log").locator("p")).to_have_text(
        ["Sending the photo.", re.compile(r"^goldfinch\.jpg American Goldfinch, \d+ %$")]
    )
    expect(page).to_have_title("American Goldfinch – Which bird is it?")
    thumbnail = page.get_by_alt_text("The photo you sent")
    assert thumbnail.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [400, 300]
    assert page.evaluate("window.isTheSamePage")
    assert serious_faults(page) == []
    assert list(server[1].iterdir()) == []


def test_the_photo_appears_at_once_and_its_way_is_shown(open_page, bird):
    page = open_page()
    connection = page.context.new_cdp_session(page)
    slow_network = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 20_000}
    connection.send("Network.emulateNetworkConditions", slow_network)
    photo_field(page).set_input_files(bird)
    expect(page.get_by_text("On its way.")).to_be_visible()
    keep_picture(page, "a photo on its way")
    assert page.get_by_alt_text("The photo you sent").evaluate("image => image.naturalWidth") == 900  # the photo itself
    page.wait_for_function(
        "0 < document.querySelector('progress').value && document.querySelector('progress').value < 1"
    )
    assert serious_faults(page) == []
    connection.send("Network.emulateNetworkConditions", slow_network | {"uploadThroughput": -1})
    expect(page.get_by_text(PREDICTED)).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_count(0)


def test_a_person_drops_photos_anywhere_on_the_page(open_page, goldfinch):
    page = open_page()
    dropped = {"one.jpg": goldfinch, "two.jpg": goldfinch}
    transfer = data_transfer(page, dropped)
    page.dispatch_event("footer", "dragover", {"dataTransfer": transfer})
    expect(page.locator(".target.over")).to_be_visible()
    keep_picture(page, "a photo over the page")
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
    expect(page.get_by_text("Predicted : American Goldfinch")).to_be_visible()


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
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the list (CSV)").click()
    assert download.value.suggested_filename == "birds.csv"
    header, *rows = csv.reader(download.value.path().open(encoding="utf-8", newline=""))
    assert header == listing.header()
    assert [row[0] for row in rows] == list(contents)
    assert [row[1] for row in rows] == ["", "", "", "2026-05-03 06:01:02"]
    assert [row[2] for row in rows] == ["American Goldfinch", "", "", "American Goldfinch"]
    assert [bool(row[-1]) for row in rows] == [False, True, True, False]
    assert serious_faults(page) == []


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


def test_a_photo_that_is_too_large_is_made_smaller_and_stays_upright_dated_and_in_its_colours(open_page, tmp_path):
    # A phone's photo, held upright: in the file it lies on its side, and its colours are Display P3's.
    rng = np.random.default_rng(5)
    halves = np.zeros((3000, 4000, 3), "uint8")
    halves[:, :2000], halves[:, 2000:] = (200, 60, 60), (60, 60, 200)
    noisy = Image.fromarray((halves + rng.integers(0, 50, halves.shape)).clip(0, 255).astype("uint8"))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2026:05:03 06:01:02"
    photo = tmp_path / "phone.jpg"
    noisy.save(photo, quality=97, exif=exif, icc_profile=display_p3(), subsampling=0)
    assert photo.stat().st_size > 10 * 2**20
    plain = io.BytesIO(encoded(noisy.resize((400, 300)), "JPEG", exif=exif, icc_profile=display_p3(), quality=97))
    upright = np.asarray(open_photo(plain).image)  # the server's own way from P3 to sRGB
    page = open_page()
    photo_field(page).set_input_files(photo)
    expect(page.get_by_text(PREDICTED)).to_be_visible()
    thumbnail = page.get_by_alt_text("The photo you sent")
    assert thumbnail.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [300, 400]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(thumbnail.get_attribute("src").partition(",")[2]))))
    for rows in (slice(20, 180), slice(220, 380)):
        np.testing.assert_allclose(shown[rows].mean((0, 1)), upright[rows].mean((0, 1)), atol=4)
    assert page.locator(".card").get_attribute("data-row").startswith('["2026-05-03 06:01:02"')


def test_a_photo_of_too_many_pixels_is_made_smaller_too(open_page, bird, tmp_path):
    photo = tmp_path / "many.jpg"
    Image.open(bird).resize((8400, 6300)).save(photo, quality=70)
    assert photo.stat().st_size < 10 * 2**20
    page = open_page()
    photo_field(page).set_input_files(photo)
    expect(page.get_by_text("Predicted : American Goldfinch")).to_be_visible()


def test_what_is_too_large_and_cannot_be_made_smaller_is_not_sent(open_page, tmp_path):
    photo = tmp_path / "large.jpg"
    photo.write_bytes(bytes(12 * 2**20))
    page = open_page()
    sent = []
    page.on("request", lambda request: sent.append(request.method))
    photo_field(page).set_input_files(photo)
    expect(cards(page).get_by_role("alert")).to_have_text("Uploaded file too large.")
    assert "POST" not in sent
    assert serious_faults(page) == []


def test_a_person_who_comes_when_the_app_is_busy_is_told_so_and_answered_in_the_end(open_page, bird, tmp_path):
    uploads = tmp_path / "uploads"
    with servers.running(servers.GUNICORN, uploads, BIRD_MAX_WAITING="0", **SMALL_NETWORK) as address:
        page = open_page(address=address)
        with ThreadPoolExecutor() as pool:
            other = pool.submit(servers.send_photo, address, slow(), "slow.png")
            until(lambda: list(uploads.iterdir()))
            photo_field(page).set_input_files(bird)
            sentence = (
                r"^The app is busy: 1 photo is in line. Please try again in .* seconds?\. The page does so by itself\.$"
            )
            expect(page.locator(".state")).to_have_text(re.compile(sentence))
            keep_picture(page, "busy")
            assert other.result().status == 200
        expect(page.get_by_text(PREDICTED)).to_be_visible()


def test_a_photo_that_found_no_connection_can_be_sent_again(open_page, bird):
    page = open_page()
    page.context.set_offline(True)
    photo_field(page).set_input_files(bird)
    expect(page.get_by_text("The photo could not be sent. Is there a connection?", exact=True)).to_be_visible()
    keep_picture(page, "no connection")
    assert serious_faults(page) == []
    page.context.set_offline(False)
    page.get_by_role("button", name="Send it again").press("Enter")
    expect(page.get_by_role("article")).to_be_focused()
    expect(page.get_by_text(PREDICTED)).to_be_visible()


def test_without_javascript_a_person_sends_one_photo_or_several(open_page, bird, tmp_path):
    page = open_page(java_script_enabled=False)
    photo_field(page).set_input_files(bird)
    page.get_by_role("button", name="Name the bird").click()
    expect(page.get_by_text(PREDICTED)).to_be_visible()
    notes = tmp_path / "notes.txt"
    notes.write_text("no bird")
    page.get_by_label("Another photo").set_input_files([notes, bird])
    page.get_by_role("button", name="Name the bird").click()
    expect(page.locator(".name")).to_have_text(["notes.txt", "goldfinch.jpg"])
    expect(page.get_by_text(PREDICTED)).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the list (CSV)").click()
    rows = list(csv.reader(download.value.path().open(encoding="utf-8", newline="")))
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/species", "/species?q=tern", "/about", "/api", "/nothing"])
def test_everybody_can_use_every_page_in_the_light_and_in_the_dark_on_a_small_phone(open_page, path, scheme):
    page = open_page(path, color_scheme=scheme, viewport={"width": 320, "height": 640}, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", ground))) < 64) is (scheme == "dark")
    assert serious_faults(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_answer_fits_a_small_phone_and_can_be_read_in_the_light_and_in_the_dark(open_page, bird, scheme):
    page = open_page(color_scheme=scheme, viewport={"width": 320, "height": 640})
    photo_field(page).set_input_files(bird)
    expect(page.get_by_text(PREDICTED)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert serious_faults(page) == []


def test_a_phone_has_a_field_for_its_camera(open_page, bird):
    page = open_page(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 800})
    camera = page.get_by_label("Take a photo")
    expect(camera).to_be_visible()
    assert camera.get_attribute("capture") == "environment"
    keep_picture(page, "a phone")
    camera.set_input_files(bird)
    expect(page.get_by_text(PREDICTED)).to_be_visible()


def test_a_person_gets_everywhere_with_the_keyboard_alone(open_page, bird):
    page = open_page()
    page.on("filechooser", lambda _chooser: None)  # Playwright needs a while until it catches choosers
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(photo_field(page)).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files([bird, bird])
    expect(page.get_by_text(PREDICTED)).to_have_count(2)
    expect(photo_field(page)).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("link", name="Download the list (CSV)")).to_be_focused()
    with page.expect_download():
        page.keyboard.press("Enter")
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("link", name="Look up American Goldfinch").last).to_be_focused()


def test_a_model_that_is_not_sure_shows_what_it_may_be_as_equals(open_page, bird, tmp_path):
    settings = {"BIRD_UNSURE_BELOW": "1", **SMALL_NETWORK}
    with servers.running(servers.FLASK, tmp_path / "uploads", **settings) as address:
        page = open_page(address=address)
        photo_field(page).set_input_files(bird)
        expect(page.get_by_text("Not sure. It may be any of these:")).to_be_visible()
        expect(page.get_by_role("list", name="What it may be").get_by_role("listitem")).to_have_count(5)
        expect(page.get_by_text(PREDICTED)).to_be_visible()
        expect(page.get_by_role("log")).to_contain_text("goldfinch.jpg Not sure, perhaps bird")
        expect(page).to_have_title("Which bird is it?")
        assert serious_faults(page) == []


def test_the_first_page_is_light_and_asks_nobody_else_for_anything(open_page):
    page = open_page("/about")
    asked = []
    page.on("requestfinished", lambda request: asked.append(request))
    page.context.clear_cookies()
    page.goto(page.url.removesuffix("about"), wait_until="networkidle")
    assert len(asked) >= 6  # the page, two styles, scripts, its icon
    assert all(request.url.startswith(page.url) for request in asked)
    assert {request.response().status for request in asked} <= {200, 304}
    sizes = [request.sizes() for request in asked]
    assert sum(size["responseHeadersSize"] + size["responseBodySize"] for size in sizes) < 100_000


def test_a_person_looks_for_a_species(open_page):
    page = open_page("/species")
    expect(page.get_by_role("row")).to_have_count(122)
    page.get_by_label("Part of a name").fill("yellowthroat common")
    page.keyboard.press("Enter")
    expect(page.get_by_role("rowheader")).to_have_text(["Common Yellowthroat"])
    expect(page.get_by_text("1 of 121 found.")).to_be_visible()
    page.get_by_role("link", name="Show all").click()
    expect(page.get_by_role("row")).to_have_count(122)


def test_a_person_follows_the_link_to_the_report_and_sees_its_charts_in_its_own_style(open_page):
    page = open_page()
    page.get_by_role("link", name="How good the model is").click()
    expect(page.get_by_role("heading", name="How good the model is")).to_be_visible()
    chart = page.get_by_alt_text("Loss and accuracy by epoch")
    assert chart.evaluate("image => image.naturalWidth") > 100
    assert page.locator(".figures").evaluate("list => getComputedStyle(list).display") == "flex"
