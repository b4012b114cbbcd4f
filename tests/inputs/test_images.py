"""The one reader of images: the same picture in every form gives the same pixels; what is no image is refused."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from mpafer.common.errors import DataError, user_message
from mpafer.inputs.reading import AGAIN, UnreadableImageError, image_endings, read_image

ROWS, COLUMNS = 24, 20
Save = Callable[[np.ndarray, Path], object]  # a picture [H, W, 3] or [H, W] uint8, and the file it goes to


def picture(channels: int = 3) -> np.ndarray:
    """Slopes, brighter to the right, and no symmetry: each turn gives other pixels."""
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    slopes = [rows * 3 + columns * 8, rows * 7 + 40, 200 - columns * 5]
    pixels = np.stack(slopes, axis=2).clip(0, 255).astype(np.uint8)
    return pixels if channels == 3 else pixels[:, :, 0]


def pixels(path: Path) -> np.ndarray:
    image = read_image(path)
    assert image.mode == "RGB"
    return np.asarray(image)


def bare(path: Path) -> np.ndarray:
    """As images were read before."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def tiff(values: np.ndarray, **tags: Any) -> bytes:
    """A TIFF of one grey channel; tags by name: width, bits, photometric, lowest, highest."""
    kinds = {"u": 1, "i": 2, "f": 3}
    order = ">" if values.dtype.byteorder == ">" else "<"
    entries = {
        256: (3, tags.get("width", values.shape[1])), 257: (3, values.shape[0]), 259: (3, 1),
        258: (3, tags.get("bits", 8 * values.itemsize)),
        262: (3, tags.get("photometric", 1)), 273: (4, 8), 277: (3, 1), 278: (3, values.shape[0]),
        279: (4, values.nbytes), 339: (3, kinds[values.dtype.kind]),
    }  # fmt: skip
    entries |= {tag: (11, tags[name]) for tag, name in ((340, "lowest"), (341, "highest")) if name in tags}
    codes = {3: "H2x", 4: "I", 11: "f"}
    rows = [
        struct.pack(f"{order}HHI{codes[code]}", tag, code, 1, value) for tag, (code, value) in sorted(entries.items())
    ]
    data = values.tobytes() + b"\0" * (values.nbytes % 2)
    start = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(f"{order}I", 8 + len(data))
    return start + data + struct.pack(f"{order}H", len(rows)) + b"".join(rows) + bytes(4)


def packed(grey: np.ndarray) -> np.ndarray:
    """8 bits -> 12 bits, two values in three bytes."""
    values = np.rint(grey / 255 * 4095).astype(np.uint16)
    left, right = values[:, ::2], values[:, 1::2]
    return np.stack([left >> 4, (left & 15) << 4 | right >> 8, right & 255], 2).astype(np.uint8).reshape(len(grey), -1)


def deep_png(values: np.ndarray, transparent: bytes = b"") -> bytes:
    """A PNG of 16 bits a channel, [H, W, channels], and its chunk tRNS."""
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[values.shape[2]]
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, kind, 0, 0, 0)),
        *([(b"tRNS", transparent)] if transparent else []), (b"IDAT", zlib.compress(lines)), (b"IEND", b""),
    )  # fmt: skip
    sealed = (struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(sealed)


# --- what was read rightly before -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "ending", "options"),
    [
        ("RGB", "png", {}), ("RGB", "jpg", {"quality": 90}), ("RGB", "jpg", {"progressive": True, "subsampling": 0}),
        ("L", "png", {}), ("L", "jpg", {}), ("P", "png", {}), ("1", "png", {}), ("CMYK", "jpg", {}), ("RGB", "bmp", {}),
        ("RGBA", "png", {}), ("LA", "png", {}), ("CMYK", "tif", {}),
    ],
)  # fmt: skip
def test_plain_images_have_the_pixels_they_had(tmp_path, mode, ending, options):
    path = tmp_path / f"x.{ending}"
    Image.fromarray(picture()).convert(mode).save(path, **options)
    assert np.array_equal(pixels(path), bare(path))


# --- turned by EXIF -------------------------------------------------------------------------------

# value -> how a stored picture is turned to be upright
UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda p: np.rot90(p),
}


@pytest.mark.parametrize("value", UPRIGHT)
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif", "mpo"])
def test_turned_by_exif(tmp_path, value, ending):
    path, plain = tmp_path / f"x.{ending}", tmp_path / f"plain.{ending}"
    exif = Image.Exif()
    exif[0x0112] = value
    options: dict[str, Any] = {"lossless": True} if ending == "webp" else {}
    if ending == "mpo":
        options |= {"save_all": True, "append_images": [Image.new("RGB", (8, 8))]}
    Image.fromarray(picture()).save(path, exif=exif, **options)
    Image.fromarray(picture()).save(plain, **options)
    stored = bare(plain)
    assert np.array_equal(pixels(path), UPRIGHT[value](stored))
    if value > 1:  # control
        assert not np.array_equal(pixels(path), stored)


@pytest.mark.parametrize("exif", [b"Exif\0\0broken", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"\0"])
def test_broken_exif_does_not_hide_the_picture(tmp_path, exif):
    Image.fromarray(picture()).save(tmp_path / "x.png", exif=exif)
    assert np.array_equal(pixels(tmp_path / "x.png"), picture())


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_a_turn_that_is_none(tmp_path, value):
    exif = Image.Exif()
    exif[0x0112] = value
    Image.fromarray(picture()).save(tmp_path / "x.png", exif=exif)
    assert np.array_equal(pixels(tmp_path / "x.png"), picture())


# --- more than 8 bits -----------------------------------------------------------------------------

GREY: dict[str, tuple[str, Save]] = {
    "16 bits": ("png", lambda p, path: Image.fromarray(p * np.uint16(257)).save(path)),
    "16 bits, no multiple of 257": ("png", lambda p, path: Image.fromarray(p * np.uint16(257) // 2 * 2).save(path)),
    "16 bits TIFF": ("tif", lambda p, path: path.write_bytes(tiff(p * np.uint16(257)))),
    "16 bits, big-endian": ("tif", lambda p, path: path.write_bytes(tiff((p * np.uint16(257)).astype(">u2")))),
    "16 bits, dark": ("tif", lambda p, path: path.write_bytes(tiff(p * np.uint16(257)))),
    "16 bits, white is 0": ("tif", lambda p, path: path.write_bytes(tiff(65535 - p * np.uint16(257), photometric=0))),
    "16 bits, white is 1000": (
        "tif",
        lambda p, path: path.write_bytes(tiff(np.rint(p / 255 * 1000).astype(np.uint16), lowest=0, highest=1000)),
    ),
    "PGM of 16 bits": (
        "pgm",
        lambda p, path: path.write_bytes(
            b"P5 %d %d 65535\n" % (COLUMNS, ROWS) + (p * np.uint16(257)).astype(">u2").tobytes()
        ),
    ),
    "PGM of 10 bits": (
        "pgm",
        lambda p, path: path.write_bytes(
            b"P5 %d %d 1023\n" % (COLUMNS, ROWS) + np.rint(p / 255 * 1023).astype(">u2").tobytes()
        ),
    ),
    "12 bits": ("tif", lambda p, path: path.write_bytes(tiff(packed(p), width=COLUMNS, bits=12))),
    "32 bits holding 8": ("tif", lambda p, path: Image.fromarray(p.astype(np.int32)).save(path)),
    "32 bits holding 16": ("tif", lambda p, path: Image.fromarray(p * np.int32(257)).save(path)),
    "floats to 1": ("tif", lambda p, path: Image.fromarray((p / 255).astype(np.float32)).save(path)),
    "floats to 255": ("tif", lambda p, path: Image.fromarray(p.astype(np.float32)).save(path)),
    "floats to 65535": ("tif", lambda p, path: Image.fromarray(p * np.float32(257)).save(path)),
    "floats from -1 to 1": (
        "tif",
        lambda p, path: path.write_bytes(tiff((p / 127.5 - 1).astype(np.float32), lowest=-1.0, highest=1.0)),
    ),
    "PFM": ("pfm", lambda p, path: Image.fromarray((p / 255).astype(np.float32)).save(path)),
}


@pytest.mark.parametrize("form", GREY)
def test_grey_of_more_than_8_bits(tmp_path, form):
    ending, save = GREY[form]
    grey = picture(1) // 5 if form.endswith("dark") else picture(1)
    save(grey, tmp_path / f"x.{ending}")
    expected = np.repeat(grey[:, :, None], 3, axis=2)
    assert np.array_equal(pixels(tmp_path / f"x.{ending}"), expected)
    assert expected.std() > 10


def test_16_bit_grey_was_white(tmp_path):
    """A control: what the bare reading makes of it."""
    Image.fromarray(picture(1) * np.uint16(257)).save(tmp_path / "x.png")
    assert bare(tmp_path / "x.png").mean() > 250 > 200 > pixels(tmp_path / "x.png").mean()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_png_of_any_channels(tmp_path, channels):
    plain = picture() if channels > 2 else picture(1)[:, :, None]
    opaque = np.full((ROWS, COLUMNS, 1), 255, np.uint8)
    values = plain if channels % 2 else np.concatenate([plain, opaque], axis=2)
    (tmp_path / "x.png").write_bytes(deep_png(values.astype(np.uint16) * 257))
    assert np.array_equal(pixels(tmp_path / "x.png"), np.broadcast_to(plain, (ROWS, COLUMNS, 3)))


@pytest.mark.parametrize(
    "values",
    [
        np.linspace(0, 3.7, 12, dtype=np.float32), np.linspace(-1, 1, 12, dtype=np.float32),
        np.linspace(0, 1e6, 12, dtype=np.float32), np.linspace(0, 4095, 12).astype(np.int32),
        np.linspace(0, 2e9, 12).astype(np.int32), np.linspace(-5, 200, 12).astype(np.int16),
    ],
)  # fmt: skip
def test_a_range_that_nothing_tells_is_refused(tmp_path, values):
    (tmp_path / "x.tif").write_bytes(tiff(values.reshape(3, 4)))
    message = r"x\.tif: its values lie from .* to .*, and nothing says which is white; save it as 8-bit PNG"
    with pytest.raises(DataError, match=message):
        read_image(tmp_path / "x.tif")


def test_no_numbers_are_refused(tmp_path):
    (tmp_path / "x.tif").write_bytes(tiff(np.array([[0, np.nan], [0.5, 1]], np.float32)))
    with pytest.raises(DataError, match=r"x\.tif: it holds values that are no numbers; save it as 8-bit PNG"):
        read_image(tmp_path / "x.tif")


# --- colours --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P", "bytes", "colour", "grey", "16 bits"])
def test_transparent_parts_are_black(tmp_path, mode):
    """The hidden colours are bright; half-transparent pixels are half as bright."""
    path, opaque = tmp_path / "x.png", np.full((ROWS, COLUMNS), 255, np.uint8)
    opaque[:9] = 0
    options: dict[str, Any] = {}
    if mode in ("LA", "RGBA"):
        opaque[9:12] = 128
        image = Image.fromarray(picture()).convert(mode[:-1])
        image.putalpha(Image.fromarray(opaque))
    elif mode in ("P", "bytes"):
        image = Image.fromarray(picture()).quantize(16)
        image.paste(15, (0, 0, COLUMNS, 9))
        options = {"transparency": 15 if mode == "P" else bytes([*15 * [255], 0])}
        opaque = np.where(np.asarray(image) == 15, 0, 255)
    else:
        place = {"colour": (255, 255, 0), "grey": 250, "16 bits": 250 * 257}[mode]
        values = picture() if mode == "colour" else picture(1).clip(0, 240) * np.uint16(257 if "16" in mode else 1)
        values[:9] = place
        image = Image.fromarray(values if mode == "16 bits" else values.astype(np.uint8))
        options = {"transparency": place}
    image.save(path, **options)
    seen = pixels(path)
    assert not seen[opaque == 0].any() and seen[opaque == 255].any()
    hidden = bare(path)
    if mode != "16 bits":
        assert hidden[opaque == 0].mean() > 50, "a control: they are read as colours without a background"
        assert np.array_equal(seen[opaque == 255], hidden[opaque == 255])
        assert np.allclose(seen[opaque == 128], hidden[opaque == 128] / 2, atol=1)


def test_a_transparent_colour_of_16_bits(tmp_path):
    values = picture().astype(np.uint16) * 257
    values[:9] = place = (0x1234, 0xABCD, 0x5555)
    (tmp_path / "x.png").write_bytes(deep_png(values, struct.pack(">HHH", *place)))
    seen = pixels(tmp_path / "x.png")
    assert not seen[:9].any() and np.array_equal(seen[9:], picture()[9:]) and bare(tmp_path / "x.png")[:9].any()


def test_lab(tmp_path):
    muted = picture() // 4 + 90
    rgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    turned = ImageCms.profileToProfile(Image.fromarray(muted), rgb, lab, outputMode="LAB")
    assert turned is not None
    turned.save(tmp_path / "x.tif")
    assert np.abs(pixels(tmp_path / "x.tif").astype(int) - muted).max() <= 3


def test_the_first_frame_of_an_animation(tmp_path):
    first, others = Image.fromarray(picture()).quantize(64), [Image.new("P", (COLUMNS, ROWS), i) for i in range(3)]
    first.save(tmp_path / "x.gif", save_all=True, append_images=others)
    assert np.array_equal(pixels(tmp_path / "x.gif"), np.asarray(first.convert("RGB")))
    frames = [Image.fromarray(picture()), Image.new("RGB", (COLUMNS, ROWS), "red")]
    for ending, options in (("webp", {"lossless": True}), ("png", {}), ("tif", {})):
        frames[0].save(tmp_path / f"x.{ending}", save_all=True, append_images=frames[1:], **options)
        assert np.array_equal(pixels(tmp_path / f"x.{ending}"), picture())


LOSSLESS = {".bmp", ".dds", ".dib", ".pcx", ".png", ".ppm", ".qoi", ".sgi", ".tga", ".tif", ".tiff", ".webp"}


@pytest.mark.parametrize("ending", sorted(LOSSLESS & set(image_endings())))
def test_other_formats(tmp_path, ending):
    Image.fromarray(picture()).save(tmp_path / f"x{ending}", **({"lossless": True} if ending == ".webp" else {}))
    assert np.array_equal(pixels(tmp_path / f"x{ending}"), picture())


def test_endings():
    assert {".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".png", ".bmp", ".tif", ".tiff", ".mpo"} <= set(image_endings())
    assert not {".eps", ".ps", ".mpg", ".h5", ".txt", ".csv", ".pdf", ""} & set(image_endings())


# --- what is no image -----------------------------------------------------------------------------


def refused(path: Path) -> str:
    with pytest.raises(UnreadableImageError) as caught:
        read_image(path)
    assert isinstance(caught.value, DataError) and isinstance(caught.value, OSError)
    message = user_message(caught.value) or ""
    assert message.startswith(f"cannot read the image {path}: ") and "\n" not in message
    return message.removeprefix(f"cannot read the image {path}: ")


def test_what_is_no_image(tmp_path):
    path = tmp_path / "x.jpg"
    assert refused(path) == "there is no such file"
    path.write_bytes(b"")
    assert refused(path) == "an empty file; copy it again from where it came from"
    path.write_bytes(b"<html>")
    assert refused(path).startswith("not an image; copy it again")
    path.unlink()
    path.mkdir()
    assert refused(path) == "Is a directory; put the image file there"


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "gif", "tif", "bmp"])
def test_truncated(tmp_path, ending):
    path = tmp_path / f"x.{ending}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "copy it again from where it came from" in refused(path)


def test_too_many_pixels(tmp_path, monkeypatch):
    Image.fromarray(picture()).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert refused(tmp_path / "x.png") == "it has more pixels than Pillow's limit; save it smaller"


def test_postscript_is_not_run(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "x.eps")
    (tmp_path / "x.eps").rename(tmp_path / "x.jpg")
    assert refused(tmp_path / "x.jpg") == "Pillow reads no pixels of EPS files; save it as PNG"


READ = "import sys; from mpafer.inputs.reading import read_image; read_image(sys.argv[1])"


def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "x.jpg")
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path / "x.jpg")], capture_output=True, text=True, timeout=60, check=False
    )
    assert f"cannot read the image {tmp_path}/x.jpg: it is a pipe; put the image file there" in done.stderr


def test_a_device_is_refused(tmp_path):
    (tmp_path / "x.jpg").symlink_to("/dev/zero")
    assert refused(tmp_path / "x.jpg") == "it is a device; put the image file there"


def test_bytes_in_memory():
    from mpafer.inputs.reading import decode_image

    buffer = io.BytesIO()
    Image.fromarray(picture()).save(buffer, "PNG")
    assert np.array_equal(np.asarray(decode_image(buffer)), picture())


def bits(data: bytes, number: int, seed: int = 0) -> Iterator[bytes]:
    """The same with one bit flipped, anywhere, so many times."""
    for place in np.random.default_rng(seed).integers(0, 8 * len(data), number).tolist():
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        yield bytes(flipped)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_flipped_bit_in_a_png_changes_no_pixel_in_silence(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(picture()).convert(mode).resize((24, 24)).save(path)
    right, refusals, silent = pixels(path), 0, 0
    for flipped in bits(path.read_bytes(), 1500):
        path.write_bytes(flipped)
        try:
            assert np.array_equal(pixels(path), right)
        except DataError as error:
            assert str(path) in str(error)
            refusals += 1
            with suppress(Exception), Image.open(path) as image:  # control: Pillow alone
                silent += not np.array_equal(np.asarray(image.convert("RGB")), right)
    assert refusals > 1400 and silent > 0


def test_a_damaged_png_is_told_what_to_do(tmp_path: Path) -> None:
    messages = []
    for folder in ("faces", "mpafer_pixels/key"):
        path = tmp_path / folder / "x.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(picture()).save(path)
        data = bytearray(path.read_bytes())
        data[data.index(b"IEND") - 5] ^= 1  # the checksum of the pixels: they are read as ever
        path.write_bytes(data)
        with Image.open(path) as image:
            assert np.array_equal(np.asarray(image), picture()), "control"
        messages.append(refused(path))
    assert messages[0] == "it is damaged: its 'IDAT' has another checksum than when it was written; " + AGAIN
    assert messages[1].endswith("than when it was written; delete it: it is made again")
