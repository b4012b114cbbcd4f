"""The one reader of image files."""

from __future__ import annotations

from typing import BinaryIO

from PIL import Image

from mpafer.common.errors import UserError


class UnreadableImageError(UserError, OSError):
    """An image file that is missing, damaged or no image; the message names it."""


def decode_image(source: str | BinaryIO) -> Image.Image:
    """The image of a path or an open file in RGB; of a broken one Pillow raises many kinds of errors."""
    with Image.open(source) as image:
        return image.convert("RGB")


def read_image(path: str) -> Image.Image:
    """The image in RGB.

    Raises:
        UnreadableImageError: whatever is wrong with the file.
    """
    try:
        return decode_image(path)
    except Exception as error:
        raise UnreadableImageError(f"cannot read the image {path}: {error}") from error
