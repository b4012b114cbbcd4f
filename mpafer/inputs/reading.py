"""The one reader of image files: training, tests, prediction, prototypes, crops and the doctor see the same pixels.

An image is 8-bit RGB as `colours` makes it, turned upright as its EXIF says. Of an animation the first frame counts.
"""

from __future__ import annotations

import errno
import os
import stat
from functools import lru_cache
from typing import Any, BinaryIO

from PIL import Image, UnidentifiedImageError

from mpafer.common.errors import DataError
from mpafer.common.files import is_made
from mpafer.inputs.colours import RefusedImageError, to_rgb
from mpafer.inputs.png import damage

READER = 2  # of how a file becomes pixels, for the keys of what is kept; 1: colours and EXIF as Pillow leaves them
AGAIN, INSTEAD = "copy it again from where it came from", "put the image file there"
REMADE = "delete it: it is made again"
# Pillow runs an EPS file, which is a program, in Ghostscript; of the others it reads the first lines alone.
NO_PIXELS = {"EPS", "BUFR", "GRIB", "HDF5", "MPEG", "WMF"}
ORIENTATION = 0x0112
EXIF = {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"}  # where Pillow keeps it; a TIFF it turns itself
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}


class UnreadableImageError(DataError, OSError):
    """An image file that is missing, damaged or no image; the message names it."""


@lru_cache
def image_endings() -> tuple[str, ...]:
    """The endings of files that are read as images, in lower case: those of every format whose pixels Pillow reads."""
    endings = Image.registered_extensions()
    readable = (Image.OPEN.keys() | {"MPO"}) - NO_PIXELS  # Pillow opens MPO, a JPEG of several pictures, as JPEG
    return tuple(ending for ending, form in endings.items() if form in readable)


def read_image(path: str | os.PathLike[str]) -> Image.Image:
    """The image in RGB, upright.

    Raises:
        UnreadableImageError: whatever is wrong with the file.
    """
    try:
        with open_image_file(path) as file:
            return decode_image(file)
    except Exception as error:  # Pillow raises many kinds on broken files
        raise unreadable(path, error) from error


def unreadable(path: str | os.PathLike[str], error: Exception) -> UnreadableImageError:
    """The error on an image file, from the one that reading it raised."""
    reason, cure = reason_and_cure(error)
    cure = REMADE if cure == AGAIN and is_made(path) else cure
    message = f"cannot read the image {os.fspath(path)}: {reason}"
    return UnreadableImageError(f"{message}; {cure}" if cure else message)


def open_image_file(path: str | os.PathLike[str]) -> BinaryIO:
    """A regular file that is not empty, open for reading; it never waits for a pipe's other end.

    Raises:
        RefusedImageError: another kind of file, or an empty one.
        OSError: as `open`.
    """
    file = open_regular(path)
    if os.fstat(file.fileno()).st_size:
        return file
    file.close()
    raise RefusedImageError("an empty file", AGAIN)


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """A regular file, open for reading.

    Raises:
        RefusedImageError: another kind of file.
        OSError: as `open`.
    """
    file = open(path, "rb", opener=_open_at_once)  # noqa: SIM115 - the caller closes it
    kind = os.fstat(file.fileno()).st_mode
    if stat.S_ISREG(kind):
        return file
    file.close()
    raise RefusedImageError(f"it is {KINDS.get(stat.S_IFMT(kind), 'no regular file')}", INSTEAD)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))


def decode_image(file: BinaryIO) -> Image.Image:
    """An open file's image in RGB, upright; of a broken one Pillow raises many kinds of errors."""
    with Image.open(file) as image:
        if image.format in NO_PIXELS:
            raise RefusedImageError(f"Pillow reads no pixels of {image.format} files", "save it as PNG")
        if image.format == "PNG" and (what := _damage(file)):
            raise RefusedImageError(f"it is damaged: {what}", AGAIN)
        return upright_rgb(image)


def upright_rgb(image: Image.Image) -> Image.Image:
    """An open image in RGB, turned as its EXIF says.

    Raises:
        RefusedImageError: values whose range nothing tells.
    """
    rgb = to_rgb(image)
    turn = TURNS.get(_orientation(image)) if EXIF & image.info.keys() else None
    return rgb if turn is None else rgb.transpose(turn)


def _damage(file: BinaryIO) -> str:
    """`png.damage` of an open file, which stays where it is."""
    place = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(place)
    return damage(content)


def _orientation(image: Image.Image) -> Any:
    """The EXIF value, 1 = none."""
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:  # EXIF that cannot be read: the picture can
        return 1


def reason_and_cure(error: Exception) -> tuple[str, str]:
    """What is wrong with a file, from the error that reading it raised, and what to do about it ("" = it is plain)."""
    if isinstance(error, RefusedImageError):
        return error.reason, error.cure
    if isinstance(error, UnidentifiedImageError):
        return "not an image", f"{AGAIN}, or save it as PNG or JPEG"
    if isinstance(error, Image.DecompressionBombError):
        return "it has more pixels than Pillow's limit", "save it smaller"
    if isinstance(error, FileNotFoundError):
        return "there is no such file", ""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror, INSTEAD if error.errno in (errno.EISDIR, errno.ELOOP) else ""
    return " ".join(f"{error}".split()) or type(error).__name__, AGAIN
