"""From an image of any mode to 8-bit RGB.

- Transparent parts are laid on black: nearly all files hold black there anyway, and aligned faces have black borders.
- 16-bit grey is divided by 65,535; of colours with 16 bits Pillow hands over the upper eight.
- Of floats and 32-bit integers a file seldom says which value is white. A TIFF may (SMinSampleValue, SMaxSampleValue,
  as long as no value lies outside). Else white is 1 (floats alone), 255 or 65,535: the lowest that no value exceeds.
  Negative values, higher ones, and those that stay below a sixteenth of their white are refused, not guessed at.
- CMYK is converted by Pillow's plain formula, and colour profiles are not applied, as CLIP's own preprocessing does.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

BACKGROUND = (0, 0, 0, 255)  # RGBA
DEEP = {"I", "F", "I;16", "I;16L", "I;16B", "I;16N"}  # one channel of more than 8 bits
WHITES = (1, 255, 65535)
NEAR = 16  # the brightest value reaches its white divided by this, or the white is not trusted
PHOTOMETRIC, BITS, LOWEST, HIGHEST = 262, 258, 340, 341  # TIFF tags; the last: SMinSampleValue, SMaxSampleValue


class RefusedImageError(Exception):
    """A file that cannot be taken for an image: why, and what to do about it."""

    def __init__(self, reason: str, cure: str) -> None:
        super().__init__(reason, cure)
        self.reason, self.cure = reason, cure


def to_rgb(image: Image.Image) -> Image.Image:
    """The current frame in RGB; the same object where it is plain RGB.

    Raises:
        RefusedImageError: values whose range nothing tells.
    """
    if image.mode in DEEP:
        return Image.fromarray(_levels(image)).convert("RGB")
    if image.mode == "LAB":
        return ImageCms.applyTransform(image, _lab_to_rgb()) or image
    if image.has_transparency_data:
        if isinstance(place := image.info.get("transparency"), tuple) and max(place) > 255:
            image.info["transparency"] = tuple(value >> 8 for value in place)  # of 16 bits, as the pixels were
        background = Image.new("RGBA", image.size, BACKGROUND)
        return Image.alpha_composite(background, image.convert("RGBA")).convert("RGB")
    if image.mode == "RGB":
        image.load()
        return image
    return image.convert("RGB")


@lru_cache
def _lab_to_rgb() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")


def _levels(image: Image.Image) -> np.ndarray:
    """The grey levels of an image of more than 8 bits, [H, W] uint8."""
    tags = getattr(image, "tag_v2", {})
    values = np.asarray(image).astype(np.float64)
    low, white = _range(image, values, tags)
    levels = np.rint((values - low) * (255 / (white - low))).astype(np.uint8)
    if tags.get(PHOTOMETRIC) == 0:  # white is zero; Pillow turns only 8-bit images round
        levels = 255 - levels
    transparent = image.info.get("transparency")  # a PNG's value that stands for nothing
    return levels if transparent is None else np.where(values == transparent, np.uint8(BACKGROUND[0]), levels)


def _range(image: Image.Image, values: np.ndarray, tags: Mapping[int, Any]) -> tuple[float, float]:
    """The values of black and white."""
    low, high = float(values.min()), float(values.max())
    if not np.isfinite((low, high)).all():
        raise RefusedImageError("it holds values that are no numbers", "save it as 8-bit PNG")
    stated = _stated(tags, LOWEST), _stated(tags, HIGHEST)
    if stated[0] is not None and stated[1] is not None and stated[0] <= low and high <= stated[1] > stated[0]:
        return stated[0], stated[1]
    if image.mode not in ("I", "F"):
        return 0, 2 ** (_stated(tags, BITS) or 16) - 1
    if image.mode == "I" and image.format in ("PNG", "PPM"):  # scaled by Pillow
        return 0, 65535
    whites = WHITES if image.mode == "F" else WHITES[1:]
    white = next((white for white in whites if high <= white), None)
    if low < 0 or white is None or (white > whites[0] and high < white / NEAR):
        raise RefusedImageError(
            f"its values lie from {low:g} to {high:g}, and nothing says which is white",
            "save it as 8-bit PNG, or as floats from 0 to 1",
        )
    return 0, white


def _stated(tags: Mapping[int, Any], tag: int) -> float | None:
    """A TIFF tag's number, the first of several."""
    value = tags.get(tag)
    value = value[0] if isinstance(value, tuple) and value else value
    return float(value) if isinstance(value, int | float) else None
