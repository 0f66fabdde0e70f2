"""The pages in a browser (Debian's Chromium, driven by Playwright)."""

import base64
import re
from collections.abc import Callable
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import JSHandle, Locator, Page

SCREENSHOTS = Path(__file__).parents[1] / "screenshots"
PREDICTED = re.compile(r"^Predicted : \w")
ACCESSIBILITY_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

Open = Callable[..., Page]
Serve = Callable[..., str]


def keep_screenshot(page: Page, name: str) -> None:
    """Leave a screenshot for people to look at."""
    SCREENSHOTS.mkdir(exist_ok=True)
    file_name = re.sub(r"\W+", "_", name)
    page.screenshot(path=SCREENSHOTS / f"{file_name}.png")


def photo_field(page: Page) -> Locator:
    """The field for photos."""
    return page.get_by_label("A photo of a bird")


def answer(page: Page) -> Locator:
    """The answer about the only photo, or the first of several."""
    return page.locator(".answer").first


def cards(page: Page) -> Locator:
    """The result cards."""
    return page.locator("#cards .card")


def state_of(page: Page) -> Locator:
    """What the only card says of a photo that has no answer yet."""
    return page.locator(".state")


def serious_faults(page: Page) -> list[tuple[str, list[str]]]:
    """What axe-core finds that keeps somebody from using the page: the rule, and where it is broken."""
    page.wait_for_load_state()  # a half-styled page shows what style.css hides
    found = Axe().run(page, options={"runOnly": ACCESSIBILITY_RULES})
    return [
        (fault["id"], [node["html"] for node in fault["nodes"]])
        for fault in found.response["violations"]
        if fault["impact"] in ("serious", "critical")
    ]


def data_transfer(page: Page, files: dict[str, bytes]) -> JSHandle:
    """What a browser hands to a page when files are dropped on it."""
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


def drop(page: Page, files: dict[str, bytes]) -> None:
    """Drop files on the page."""
    page.dispatch_event("footer", "drop", {"dataTransfer": data_transfer(page, files)})


def downloaded_list(page: Page) -> Path:
    """The CSV list of all photos on the page."""
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the list (CSV)").click()
    assert download.value.suggested_filename == "birds.csv"
    return download.value.path()
