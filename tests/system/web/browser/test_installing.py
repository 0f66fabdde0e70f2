"""The site as an app on somebody's device: installed, without a connection, and given photos that other apps share."""

import base64
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from jobs.pending import Position
from tests.support.seam import ColorClassifier, ColorWorkers

#: Goes to the share target as Chromium does it: it posts a form that no page shows, in the window of the app.
SHARE = """([field, photo]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([Uint8Array.from(atob(photo), c => c.charCodeAt(0))], "IMG_0042.jpg"));
    const form = document.createElement("form");
    Object.assign(form, {method: "post", action: "/", enctype: "multipart/form-data"});
    const input = document.createElement("input");
    Object.assign(input, {type: "file", name: field, files: transfer.files});
    form.append(input);
    document.body.append(form);
    form.submit();
}"""
#: The addresses in each cache of the browser.
KEPT = """async () => {
    const kept = {};
    for (const name of await caches.keys()) kept[name] = (await (await caches.open(name)).keys()).map(({url}) => url);
    return kept;
}"""
#: Waits until the service worker has taken over.
ACTIVE = """async () => {
    const {active} = await navigator.serviceWorker.ready;
    if (active.state !== "activated") await new Promise((done) => active.addEventListener("statechange", done));
}"""


@pytest.fixture
def open_app(open_page, serve):
    """Opens the app in a window whose service worker is at work."""

    def open_app(classifier: ColorClassifier | None = None, **settings: str) -> Page:
        page = open_page(
            address=serve(classifier or ColorClassifier(), **settings),
            service_workers="allow",
            viewport={"width": 320, "height": 640},
        )
        page.evaluate(ACTIVE)
        page.reload()
        assert page.evaluate("navigator.serviceWorker.controller !== null")
        return page

    return open_app


def share(page: Page, photo: Path, field: str = "bird_image") -> None:
    """Share a photo with the app."""
    with page.expect_navigation():
        page.evaluate(SHARE, [field, base64.b64encode(photo.read_bytes()).decode()])


def test_the_browser_finds_nothing_that_keeps_it_from_installing_the_app(open_app):
    page = open_app()
    browser = page.context.new_cdp_session(page)
    assert browser.send("Page.getAppManifest")["errors"] == []
    errors = browser.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert {error["errorId"] for error in errors} <= {"in-incognito"}  # as every window of these tests is


def test_a_shared_photo_is_answered_and_nothing_of_it_is_kept(open_app, bird):
    page = open_app()
    address = page.url
    share(page, bird)
    expect(page.get_by_text("Predicted : ")).to_be_attached()
    [(name, kept)] = page.evaluate(KEPT).items()
    assert name.startswith("offline-")
    assert sorted(kept) == [
        f"{address}offline",
        f"{address}static/icon.svg",
        f"{address}static/simple.min.css",
        f"{address}static/style.css",
    ]
    share(page, bird, field="photo")  # as a device would that knows another release's manifest
    expect(page.get_by_text("No file uploaded.")).to_be_visible()


def test_a_shared_photo_that_has_to_wait_leads_to_the_page_that_asks_again(open_app, bird):
    workers = ColorWorkers()
    page = open_app(workers)
    workers.found = Position(2, seconds=1)
    share(page, bird)
    assert page.url.endswith("/identifications/job")
    workers.found = ColorClassifier().classify(np.zeros((224, 224, 3), dtype="uint8"))
    expect(page.get_by_text("Predicted : Blackbird")).to_be_attached()


def test_without_a_connection_the_device_says_so_and_claims_of_no_photo_that_it_was_sent(open_app, bird):
    page = open_app()
    page.context.set_offline(True)
    page.goto(page.url + "about")
    expect(page.get_by_role("heading", name="No connection")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(247, 245, 238)"
    assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
    share(page, bird)
    expect(page.get_by_role("heading", name="No connection")).to_be_visible()
    expect(page.get_by_text("did not get through, and is not kept here")).to_be_visible()
    page.context.set_offline(False)
    page.get_by_role("link", name="Try again").click()
    expect(page.get_by_label("A photo of a bird")).to_be_attached()


def test_a_new_release_deletes_what_an_earlier_one_kept_and_nothing_of_another_site_on_the_host(open_app):
    page = open_app()
    page.evaluate("caches.open('offline-/-earlier')")
    page.evaluate("caches.open('offline-/birds/-earlier')")
    page.evaluate("navigator.serviceWorker.getRegistration().then((found) => found.unregister())")
    page.reload()
    page.evaluate(ACTIVE)
    kept = page.evaluate(KEPT)
    assert "offline-/-earlier" not in kept
    assert "offline-/birds/-earlier" in kept
