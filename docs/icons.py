"""Draw the icons of the installed app from static/icon.svg: ``python -m docs.icons``. It needs Chromium."""

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import CHROMIUM, OFFLINE

STATIC = Path(__file__).parent.parent / "static"
GREEN = "#1f6f54"  # the ground of icon.svg
COLORS = 64  # of an icon: the drawing has four, and its edges have those in between
#: Side in pixels of each icon, what is around the drawing, and how much of the side the drawing takes.
ICONS = {
    "192.png": (192, "transparent", 1.0),
    "512.png": (512, "transparent", 1.0),
    # A system cuts a circle, or another shape, out of this one. What is within 40 % of its middle is never cut off
    # (W3C, Web Application Manifest, "Icon masks and safe zone").
    "maskable-512.png": (512, GREEN, 0.75),
    "apple-touch.png": (180, GREEN, 1.0),  # iOS rounds the corners itself, and makes transparent ones black
}


def draw(browser: Browser, side: int, ground: str, share: float) -> bytes:
    """An icon as PNG; ``ICONS`` says what the parameters mean."""
    page = browser.new_page(viewport={"width": side, "height": side})
    drawing = (STATIC / "icon.svg").read_text(encoding="utf-8")
    page.set_content(
        f"<style>body {{ margin: 0; background: {ground} }}"
        f"svg {{ display: block; width: {share:.0%}; margin: {(1 - share) / 2:.1%} }}</style>{drawing}"
    )
    drawn = Image.open(io.BytesIO(page.screenshot(omit_background=True)))
    page.close()
    small = io.BytesIO()
    drawn.quantize(COLORS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


def main() -> None:
    """Write all icons."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OFFLINE)
        for name, parameters in ICONS.items():
            (STATIC / "icons" / name).write_bytes(draw(browser, *parameters))
        browser.close()


if __name__ == "__main__":
    main()
