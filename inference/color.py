"""Colors: from every mode and profile that a file may have to opaque sRGB."""

import io

import numpy as np
from PIL import Image, ImageCms

COLOR_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}  # Pillow's mode: the name in ICC profiles and TurboJPEG
_SRGB = ImageCms.createProfile("sRGB")


def to_opaque(image: Image.Image) -> Image.Image:
    """An image in mode ``L``, ``RGB`` or ``CMYK``: transparency on white, 16 bits a channel scaled to 8."""
    if image.mode.startswith("I"):  # 16-bit grayscale; convert() alone would clip it to white
        return Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype("uint8"))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image if image.mode in COLOR_SPACES else image.convert("RGB")


def to_srgb(image: Image.Image, icc_profile: bytes | None) -> Image.Image:
    """An image in mode ``RGB`` with sRGB colors.

    :param image: in mode ``L``, ``RGB`` or ``CMYK``.
    :param icc_profile: the profile in the file; one that is damaged or belongs to another mode is ignored.
    """
    if icc_profile:
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
            is_srgb = ImageCms.getProfileDescription(profile).startswith("sRGB")
            if not is_srgb and profile.profile.xcolor_space.strip() == COLOR_SPACES[image.mode]:
                converted = ImageCms.profileToProfile(image, profile, _SRGB, outputMode="RGB")
                if converted is not None:  # it is None only for a conversion in place
                    return converted
        except (ImageCms.PyCMSError, OSError):
            pass
    return image.convert("RGB")
