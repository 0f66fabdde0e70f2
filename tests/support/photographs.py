"""Photos, damaged photos and other files as people send them; all of them are made here."""

import struct
import zlib
from collections.abc import Iterator
from functools import cache

import numpy as np
import pillow_heif
from PIL import Image

from inference.formats import FORMATS

from .drawings import draw_goldfinch, encoded

pillow_heif.register_heif_opener()

NOT_A_PICTURE = "The file is not a picture. Please choose another one."
DAMAGED = "The picture is damaged or cut short. Please choose another one."
TOO_THIN = "The picture is less than 16 pixels wide or high. Please send a larger one."
TOO_COSTLY = "The picture takes too much memory or time to read. Please send a smaller one."

TRANSPOSED_FOR_ORIENTATION = {  # how a camera that writes this EXIF orientation has turned the image
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def too_many(millions: int) -> str:
    """The sentence for an image with too many pixels."""
    return f"The picture has more than {millions} million pixels. Please send a smaller one."


def slow_photo() -> bytes:
    """A PNG that takes the better part of a second to decode."""
    return encoded(Image.new("RGBA", (5000, 5000), (90, 120, 60, 128)), "PNG")


def color_of(number: int) -> tuple[int, int, int]:
    """A color of its own for each number below 196."""
    return 40 * (number % 7), 40 * (number // 7 % 7), 60 * (number // 49 % 4)


def colored_photo(number: int) -> bytes:
    """A JPEG that can be told from others by its color, ``color_of(number)``."""
    return encoded(Image.new("RGB", (300, 200), color_of(number)), "JPEG", quality=95)


@cache
def bird() -> Image.Image:
    """The image in most of these files. Do not change it: everybody gets the same object."""
    return draw_goldfinch(450, 360)


def exif(orientation: int) -> bytes:
    """EXIF data: an orientation, a camera, and where the photo was taken."""
    tags = Image.Exif()
    tags[0x0112], tags[0x010F] = orientation, "secret camera"
    tags.get_ifd(0x8825).update({1: "N", 2: (47.0, 3.0, 0.0)})
    return tags.tobytes()


def held(orientation: int, file_format: str) -> bytes:
    """The bird, photographed with a camera held so that it writes this EXIF orientation."""
    transpose = TRANSPOSED_FOR_ORIENTATION[orientation]
    stored = bird() if transpose is None else bird().transpose(transpose)
    return encoded(stored, file_format, exif=exif(orientation), quality=95)


def frames(count: int) -> list[Image.Image]:
    """The bird, then plain images."""
    return [bird(), *(Image.new("RGB", (450, 360), (0, 255 - number % 200, 0)) for number in range(1, count))]


def animated(file_format: str, count: int) -> bytes:
    """A file of several frames, the bird first."""
    first, *others = frames(count)
    return encoded(first, file_format, save_all=True, append_images=others)


def transparent(mode: str) -> Image.Image:
    """The bird, more transparent towards the top.

    :param mode: of Pillow, without the alpha channel.
    """
    image = bird().convert(mode)
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def sixteen_bit(color_type: int) -> bytes:
    """A PNG with 16 bits a channel, gray (0), RGB (2) or RGBA (6); Pillow writes only the first."""
    image = bird().convert({0: "L", 2: "RGB", 6: "RGBA"}[color_type])
    rows = np.asarray(image).astype(">u2") * 257
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    return png(image.size, 16, color_type, zlib.compress(raw))


def interlaced() -> bytes:
    """A PNG in the seven passes of Adam7 (PNG specification, section 8.2); Pillow writes none."""
    pixels = np.asarray(bird())
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = [row for x, y, step_x, step_y in passes for row in pixels[y::step_y, x::step_x]]
    return png(bird().size, 8, 2, zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)), interlace=1)


def png(size: tuple[int, int], depth: int, color_type: int, data: bytes, interlace: int = 0) -> bytes:
    """A PNG file around compressed rows."""
    header = struct.pack(">IIBBBBB", *size, depth, color_type, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunks(content: bytes, *chunks: bytes) -> bytes:
    """A PNG with further chunks behind its header."""
    return content[:33] + b"".join(chunks) + content[33:]


def large_xmp() -> bytes:
    """A chunk of a PNG with the history of a picture that was edited for years: 1.4 MB, compressed to a few kB."""
    history = b"<x:xmpmeta>" + b"history step " * 110_000 + b"</x:xmpmeta>"
    return chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(history))


def display_p3() -> bytes:
    """An ICC profile (version 2.4) with the primaries of Display P3, for D50, and a gamma of 2.2."""

    def xyz(*values: float) -> bytes:
        return struct.pack(">4s4x3i", b"XYZ ", *(round(value * 65536) for value in values))

    name = b"Display P3\0"
    gamma = struct.pack(">4s4xIH2x", b"curv", 1, round(2.2 * 256))
    tags = {
        b"desc": struct.pack(">4s4xI", b"desc", len(name)) + name + bytes(78),
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.51512, 0.24120, -0.00105),
        b"gXYZ": xyz(0.29198, 0.69225, 0.04189),
        b"bXYZ": xyz(0.15710, 0.06657, 0.78407),
        b"rTRC": gamma,
        b"gTRC": gamma,
        b"bTRC": gamma,
    }
    table, data = b"", b""
    for signature, content in tags.items():
        table += struct.pack(">4sII", signature, 132 + 12 * len(tags) + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    size = 132 + len(table) + len(data)
    head = struct.pack(">I4xI4s4s4s12x4s", size, 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    head += bytes(28) + xyz(0.9642, 1.0, 0.8249)[8:]
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + data


def padded(jpeg: bytes, padding: bytes = b"\0") -> bytes:
    """A JPEG with stray bytes before its end marker, as some cameras write it."""
    return jpeg[:-2] + padding + jpeg[-2:]


def with_jfif_version(jpeg: bytes, version: bytes) -> bytes:
    """A JPEG whose JFIF header says that it has this version, a byte each for the major and the minor one."""
    position = jpeg.index(b"JFIF\0") + 5
    return jpeg[:position] + version + jpeg[position + 2 :]


def with_samsungs_scan_parameters(jpeg: bytes) -> bytes:
    """A baseline JPEG whose scan says, as phones of Samsung write it, that it holds the first coefficients alone."""
    scan = jpeg.index(b"\xff\xda")
    end = scan + 2 + int.from_bytes(jpeg[scan + 2 : scan + 4])
    return jpeg[: end - 3] + bytes(3) + jpeg[end:]


def unusually_sampled() -> bytes:
    """A gray JPEG of 464 × 368 pixels whose luma is sampled at 2 × 2 and chroma at 2 × 1; Pillow writes none.

    Every block is empty: in the tables that Pillow writes (ITU-T T.81, annex K) 00 1010 for luma, 00 00 for chroma.
    """
    jpeg = bytearray(encoded(Image.new("RGB", (464, 368), (128, 128, 128)), "JPEG", subsampling="4:2:0"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 14] = jpeg[frame + 17] = 0x21
    scan = jpeg.index(b"\xff\xda") + 14
    bits = ("001010" * 4 + "0000" * 4) * (464 // 16 * 368 // 16)
    return bytes(jpeg[:scan]) + int(bits, 2).to_bytes(len(bits) // 8) + b"\xff\xd9"


def smashed(content: bytes, start: float, count: int) -> bytes:
    """A file with ``count`` bytes replaced by zeros.

    :param start: where they begin, as a share of the file.
    """
    position = int(start * len(content))
    return content[:position] + bytes(count) + content[position + count :]


def progressive_bomb(scans: int) -> bytes:
    """A JPEG of 49 megapixels with tiny scans, for each of which a decoder goes over the whole image."""
    file = encoded(Image.new("L", (7000, 7000)), "JPEG", progressive=True)
    end = file.rindex(b"\xff\xda")
    return file[:end] + file[end:-2] * scans + b"\xff\xd9"


def good() -> Iterator[tuple[str, str, bytes]]:
    """Photos that have to be identified: a description, the file's name, its content."""
    image = bird()
    yield "JPEG", "bird.jpg", encoded(image, "JPEG")
    yield "JPEG, progressive", "bird.jpeg", encoded(image, "JPEG", progressive=True)
    yield "JPEG, CMYK", "bird.jpg", encoded(image.convert("CMYK"), "JPEG", quality=95)
    yield "JPEG, gray", "bird.jpg", encoded(image.convert("L"), "JPEG")
    yield "JPEG with a byte of padding", "bird.jpg", padded(encoded(image, "JPEG"))
    yield (
        "JPEG with stray bytes in its head",
        "bird.jpg",
        encoded(image, "JPEG").replace(b"\xff\xdb", b"\0\0\0\xff\xdb", 1),
    )
    yield "JPEG with 1,403 bytes of padding", "bird.jpg", padded(encoded(image, "JPEG"), bytes(1403))
    yield "JPEG with a version that JFIF never had", "bird.jpg", with_jfif_version(encoded(image, "JPEG"), b"\2\1")
    yield "JPEG as phones of Samsung write it", "bird.jpg", with_samsungs_scan_parameters(encoded(image, "JPEG"))
    yield "JPEG whose colors are sampled unusually", "bird.jpg", unusually_sampled()
    yield "JPEG, further picture behind it (MPO)", "bird.jpg", animated("MPO", 2)
    yield "JPEG of 12 megapixels", "bird.jpg", encoded(image.resize((4000, 3000)), "JPEG")
    yield "JPEG of 51 megapixels", "bird.jpg", encoded(image.resize((8736, 5856)), "JPEG")
    yield "JPEG in Display P3", "bird.jpg", encoded(image, "JPEG", icc_profile=display_p3())
    yield "JPEG with a damaged profile", "bird.jpg", encoded(image, "JPEG", icc_profile=b"no profile")
    yield "JPEG named .png", "bird.png", encoded(image, "JPEG")
    yield "PNG", "bird.png", encoded(image, "PNG")
    yield "PNG, palette", "bird.png", encoded(image.quantize(200), "PNG")
    yield "PNG, alpha", "bird.png", encoded(transparent("RGB"), "PNG")
    yield "PNG, gray with alpha", "bird.png", encoded(transparent("L"), "PNG")
    yield "PNG, 16 bits, gray", "bird.png", sixteen_bit(0)
    yield "PNG, 16 bits, RGB", "bird.png", sixteen_bit(2)
    yield "PNG, 16 bits, RGBA", "bird.png", sixteen_bit(6)
    yield "PNG with 1.4 MB of XMP", "bird.png", with_chunks(encoded(image, "PNG"), large_xmp())
    yield "PNG, interlaced", "bird.png", interlaced()
    yield "GIF", "bird.gif", encoded(image, "GIF")
    yield "GIF of 300 frames", "bird.gif", animated("GIF", 300)
    yield "WebP", "bird.webp", encoded(image, "WEBP")
    yield "WebP, lossless, alpha", "bird.webp", encoded(transparent("RGB"), "WEBP", lossless=True)
    yield "WebP, animated", "bird.webp", animated("WEBP", 20)
    yield "HEIC", "bird.heic", encoded(image, "HEIF")
    yield "HEIC, tiles as an iPhone writes them", "bird.HEIC", encoded(image, "HEIF", tile_size=256)
    yield "HEIC, alpha", "bird.heif", encoded(transparent("RGB"), "HEIF")
    yield "AVIF", "bird.avif", encoded(image, "AVIF")
    yield "AVIF, animated", "bird.avif", animated("AVIF", 5)
    yield "a panorama", "bird.jpg", encoded(image.resize((12000, 1500)), "JPEG")
    yield "as small as can be", "bird.png", encoded(image.resize((16, 16)), "PNG")


def bad() -> Iterator[tuple[str, str, bytes, str]]:
    """Files that have to be refused: a description, the file's name, its content, the sentence."""
    image = bird()
    yield "nothing", "bird.jpg", b"", NOT_A_PICTURE
    yield "a web page", "bird.jpg", b"<html><body>bird</body></html>", NOT_A_PICTURE
    yield "a TIFF named .png", "bird.png", encoded(image, "TIFF"), NOT_A_PICTURE
    yield "a drawing with code in it", "bird.png", b"<svg onload='alert(1)'></svg>", NOT_A_PICTURE
    yield "PostScript", "bird.gif", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n", NOT_A_PICTURE
    for file_format in sorted(set(FORMATS.values())):
        content = encoded(image, file_format)
        yield f"half a {file_format}", "bird.jpg", content[: len(content) // 2], DAMAGED
        yield f"a {file_format} without its last bytes", "bird.jpg", content[:-20], DAMAGED
    yield "a GIF cut after its first frame", "bird.gif", animated("GIF", 9)[:-100], DAMAGED
    yield "a JPEG with a hole", "bird.jpg", smashed(encoded(image, "JPEG"), 0.6, 1000), DAMAGED
    yield (
        "a JPEG with a hole and padding",
        "bird.jpg",
        padded(smashed(encoded(image, "JPEG"), 0.6, 1000), bytes(1403)),
        DAMAGED,
    )
    yield (
        "a progressive JPEG with a hole",
        "bird.jpg",
        smashed(encoded(image, "JPEG", progressive=True), 0.8, 99),
        DAMAGED,
    )
    yield "a PNG with a hole", "bird.png", smashed(encoded(image, "PNG"), 0.9, 20), DAMAGED
    yield (
        "a PNG with a wrong checksum",
        "bird.png",
        encoded(image, "PNG")[:-14] + b"\0\0" + encoded(image, "PNG")[-12:],
        DAMAGED,
    )
    yield "a GIF with a hole", "bird.gif", smashed(encoded(image, "GIF"), 0.7, 300), DAMAGED
    yield (
        "a PNG that holds fewer rows than it says",
        "bird.png",
        png((500, 500), 8, 2, zlib.compress(bytes(9000))),
        DAMAGED,
    )
    yield "53 megapixels, JPEG", "bird.jpg", encoded(Image.new("L", (8500, 6200)), "JPEG"), too_many(52)
    yield "53 megapixels, GIF", "bird.gif", encoded(Image.new("P", (8500, 6200)), "GIF"), too_many(52)
    yield "25 megapixels, WebP", "bird.webp", encoded(Image.new("RGB", (5000, 5000)), "WEBP", method=0), too_many(24)
    yield (
        "25 megapixels, WebP, lossless",
        "bird.webp",
        encoded(Image.new("RGB", (5000, 5000)), "WEBP", lossless=True, method=0),
        too_many(24),
    )
    yield "33 megapixels, AVIF", "bird.avif", encoded(Image.new("L", (6600, 5000)), "AVIF", speed=10), too_many(32)
    yield "a PNG of 10 gigapixels", "bird.png", png((100_000, 100_000), 8, 2, zlib.compress(bytes(10**6))), too_many(52)
    yield "a PNG as wide as can be", "bird.png", png((2**31 - 1, 2**31 - 1), 16, 6, b""), too_many(52)
    yield "a line", "bird.png", encoded(Image.new("RGB", (15, 400)), "PNG"), TOO_THIN
    yield "a dot", "bird.gif", encoded(Image.new("RGB", (1, 1)), "GIF"), TOO_THIN
    yield "a JPEG of 5,000 empty scans", "bird.jpg", progressive_bomb(5000), TOO_COSTLY
    inks = Image.new("CMYK", (7000, 7000), (9, 90, 40, 0))
    four_planes = encoded(inks, "JPEG", progressive=True)
    yield "a progressive JPEG of 49 megapixels in four inks", "bird.jpg", four_planes, TOO_COSTLY
