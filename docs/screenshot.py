"""Take the README's screenshot of the page: ``python -m docs.screenshot``. It needs Chromium."""

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from inference.judge import STRICTNESS
from tests.conftest import CHROMIUM, OFFLINE
from tests.support import servers
from tests.support.drawings import draw_goldfinch

SCREENSHOT = Path(__file__).with_name("screenshot.png")


def main() -> None:
    """Start the app, send it a drawing of a goldfinch, and save what the page shows."""
    with tempfile.TemporaryDirectory() as folder:
        drawing = Path(folder) / "goldfinch.jpg"
        draw_goldfinch().save(drawing)
        uploads = Path(folder) / "uploads"
        # As strict as the app is by default, other than in the tests.
        with (
            servers.running(servers.FLASK, uploads, BIRD_STRICTNESS=str(STRICTNESS)) as address,
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OFFLINE)
            page = browser.new_page(viewport={"width": 800, "height": 770})
            page.goto(address)
            page.get_by_label("A photo of a bird").set_input_files(drawing)
            page.get_by_text("Which of the birds that we know it resembles").click()
            page.get_by_text("Predicted").wait_for()
            page.screenshot(path=SCREENSHOT)
            browser.close()


if __name__ == "__main__":
    main()
