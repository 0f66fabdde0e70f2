"""Take a screenshot of each state of the page: ``python -m docs.states FOLDER [LOCALE]``. It needs Chromium.

A stand-in for the network answers, so that every verdict can be had. LOCALE is the browser's, such as ``de-DE``.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from inference.sandbox import Sandbox
from inference.verdict import Verdict
from jobs.errors import BusyError
from jobs.pending import Position
from tests.conftest import CHROMIUM, OFFLINE
from tests.support import seam
from tests.support.seam import PHOTO_OF, ColorClassifier, ColorWorkers, HalvesClassifier

LABELS = (
    "American Crow",
    "Eastern Bluebird",
    "Northern Cardinal",
    "American Goldfinch",
    "European Greenfinch",
    "Snow Bunting",
)
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1000, "height": 800}  # CSS pixels
SETTLED = 700  # milliseconds after which nothing moves any more

Act = Callable[[Page], object]


class Slow(ColorClassifier):
    """A network that takes its time."""

    def classify(self, *arguments: Any, **options: Any) -> Any:
        """Answer after a while."""
        time.sleep(3)
        return super().classify(*arguments, **options)


def workers(found: Position | None = None, error: Exception | None = None) -> ColorWorkers:
    """Workers that are behind, or busy."""
    made = ColorWorkers()
    made.found, made.error = found, error
    return made


def states(photos: dict[str, Path]) -> Iterator[tuple[str, ColorClassifier, str, Act]]:
    """The name of each state, the network, the page, and what a person does there."""

    def send(*names: str) -> Act:
        return lambda page: page.locator("#bird_image").set_input_files([photos[name] for name in names])

    def send_offline(page: Page) -> None:
        page.context.set_offline(True)
        send("sure")(page)

    answering = ColorClassifier(LABELS, gives_verdicts=True)
    yield "home", answering, "/", lambda page: None
    for verdict in Verdict:
        yield verdict, answering, "/", send(verdict)
    yield "several", answering, "/", send(*Verdict)
    yield "two birds", HalvesClassifier(LABELS, gives_verdicts=True), "/", send("two")
    yield "being looked at", Slow(LABELS), "/", send("sure")
    yield "in line", workers(Position(3, 20)), "/", send("sure")
    yield "busy", workers(error=BusyError(30, 1.0)), "/", send("sure")
    yield "offline", answering, "/", send_offline
    yield "wrong file", answering, "/", send("text")
    yield "species", answering, "/species", lambda page: None
    yield "not found", answering, "/nowhere", lambda page: None
    yield "no connection", answering, "/offline", lambda page: None


def draw(folder: Path) -> dict[str, Path]:
    """A photo for each verdict, one of two birds, and a file that is no photo."""
    photos = {"two": folder / "two.png", "text": folder / "notes.txt"}
    for verdict, color in PHOTO_OF.items():
        photos[verdict] = folder / f"{verdict}.png"
        Image.new("RGB", (800, 600), color).save(photos[verdict])
    two = Image.new("RGB", (800, 600), "yellow")
    two.paste("red", (400, 0, 800, 600))
    two.save(photos["two"])
    photos["text"].write_text("no photo")
    return photos


def take(browser: Browser, address: str, act: Act, target: Path, **options: Any) -> None:
    """Open a page, do what a person does there, and save what it shows then."""
    page = browser.new_context(**options).new_page()
    page.goto(address)
    act(page)
    page.wait_for_timeout(SETTLED)
    page.screenshot(path=target, full_page=True)
    page.context.close()


def main(folder: Path, locale: str = "en-US") -> None:
    """Take them on a phone, in the light and in the dark, and on a desk."""
    folder.mkdir(parents=True, exist_ok=True)
    sandbox = Sandbox()
    sandbox.start()
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OFFLINE)
        for name, classifier, path, act in states(draw(Path(temporary))):
            app = seam.new_application(Path(temporary) / "uploads").application
            seam.install(app, sandbox, classifier)
            with seam.served(app) as address:
                for device, viewport, scheme in [
                    ("phone", PHONE, "light"),
                    ("phone", PHONE, "dark"),
                    ("desk", DESK, "light"),
                ]:
                    target = folder / f"{name.replace(' ', '-')}-{device}-{scheme}.png"
                    options = {
                        "viewport": viewport,
                        "color_scheme": scheme,
                        "locale": locale,
                        "has_touch": device == "phone",
                    }
                    take(browser, address + path, act, target, **options)
        browser.close()
    sandbox.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3])
