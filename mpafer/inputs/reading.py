"""The one reader of image files."""

from __future__ import annotations

from PIL import Image

from mpafer.common.errors import UserError


class UnreadableImageError(UserError, OSError):
    """An image file that is missing, damaged or no image; the message names it."""


def read_image(path: str) -> Image.Image:
    """The image in RGB; whatever is wrong with the file, the error names it."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except Exception as error:
        raise UnreadableImageError(f"cannot read the image {path}: {error}") from error
