"""A drawing of a bird, which the tests, the benchmarks and the screenshot use as a photo."""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SUPERSAMPLING = 3  # drawn larger and shrunk, for smooth edges


def draw_goldfinch(width: int = 900, height: int = 675) -> Image.Image:
    """An American Goldfinch on a twig: yellow, with a black cap and black wings."""
    canvas = Image.new("RGB", (1200, 900), "#3f5a35")
    draw = ImageDraw.Draw(canvas)
    rng = np.random.default_rng(7)
    for _ in range(60):  # leaves out of focus
        x, y, radius = rng.integers(0, 1200), rng.integers(0, 900), rng.integers(30, 110)
        shade = tuple(int(level) for level in rng.integers((60, 90, 40), (110, 140, 80)))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=shade)
    canvas = canvas.filter(ImageFilter.GaussianBlur(26))
    canvas = canvas.resize((1200 * SUPERSAMPLING, 900 * SUPERSAMPLING))
    draw = ImageDraw.Draw(canvas)

    def shape(points: list[tuple[int, int]], fill: str) -> None:
        draw.polygon([(x * SUPERSAMPLING, y * SUPERSAMPLING) for x, y in _smooth(points)], fill=fill)

    def ellipse(x: int, y: int, radius_x: int, radius_y: int, fill: str) -> None:
        box = (x - radius_x, y - radius_y, x + radius_x, y + radius_y)
        draw.ellipse([side * SUPERSAMPLING for side in box], fill=fill)

    shape([(0, 742), (420, 716), (820, 738), (1200, 700), (1200, 730), (820, 772), (420, 752), (0, 780)], "#6b5137")
    shape([(330, 600), (190, 700), (95, 800), (150, 812), (270, 735), (390, 660)], "#1d1d1c")  # tail
    shape([(380, 640), (250, 700), (190, 760), (215, 770), (330, 700), (420, 670)], "#efefe6")
    shape([(740, 230), (640, 300), (480, 420), (350, 560), (360, 650), (500, 705), (640, 690), (760, 600),
           (850, 470), (880, 350), (850, 260)], "#f3cf1f")  # fmt: skip
    shape([(700, 560), (760, 600), (640, 690), (500, 705), (560, 660)], "#e2b90f")
    ellipse(800, 300, 118, 112, "#f6d62c")  # head
    shape([(905, 285), (985, 318), (900, 345), (880, 318)], "#e59a62")  # bill
    shape([(720, 235), (770, 182), (840, 180), (900, 225), (912, 285), (870, 268), (800, 240)], "#161616")  # cap
    ellipse(855, 290, 17, 17, "#0c0c0c")
    ellipse(861, 284, 5, 5, "#ffffff")
    shape([(640, 400), (540, 430), (420, 540), (300, 680), (380, 672), (540, 610), (640, 530), (680, 450)], "#181818")
    shape([(625, 470), (560, 500), (500, 560), (515, 572), (585, 525), (640, 495)], "#f2f0e6")  # wing bars
    shape([(520, 560), (440, 600), (360, 660), (375, 668), (460, 622), (530, 580)], "#f2f0e6")
    for x in (600, 660):
        shape([(x, 690), (x + 12, 690), (x + 18, 752), (x - 4, 752)], "#b57f63")
    # A lens is never as sharp as a drawing.
    return canvas.resize((width, height), Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(width / 300))


def _smooth(points: list[tuple[int, int]], rounds: int = 3) -> list[tuple[float, float]]:
    """Round the corners of a polygon (Chaikin's corner cutting)."""
    outline = np.array(points, dtype=float)
    for _ in range(rounds):
        following = np.roll(outline, -1, axis=0)
        outline = np.stack([0.75 * outline + 0.25 * following, 0.25 * outline + 0.75 * following], axis=1).reshape(
            -1, 2
        )
    return [tuple(point) for point in outline]


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    """An image as a file.

    :param options: of Pillow's writer of that format.
    """
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()
