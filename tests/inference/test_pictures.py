"""All that people have of a picture becomes the same picture; what is none is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mpafer.common.errors import DataError
from mpafer.inference.pictures import as_picture, is_single
from mpafer.inputs.reading import UnreadableImageError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
SAME: dict[str, Any] = {
    "array": PIXELS,
    "not contiguous": PIXELS[:, ::-1][:, ::-1],
    "floats": PIXELS / 255,
    "float32": (PIXELS / 255).astype(np.float32),
    "tensor": torch.from_numpy(PIXELS).permute(2, 0, 1),
    "float tensor": torch.from_numpy(PIXELS).permute(2, 0, 1) / 255,
    "half tensor with a gradient": (torch.from_numpy(PIXELS).permute(2, 0, 1) / 255).half().requires_grad_(),
    "image": Image.fromarray(PIXELS),
    "with alpha": Image.fromarray(np.dstack([PIXELS, np.full(PIXELS.shape[:2], 255, np.uint8)])),
}


@pytest.mark.parametrize("kind", SAME)
def test_every_kind_is_the_same_picture(kind: str) -> None:
    picture = as_picture(SAME[kind])
    assert is_single(SAME[kind]) and picture.name == ""
    np.testing.assert_array_equal(np.asarray(picture.image), PIXELS)


def test_grey_becomes_three_equal_channels() -> None:
    np.testing.assert_array_equal(np.asarray(as_picture(PIXELS[..., 0]).image), np.stack([PIXELS[..., 0]] * 3, axis=2))


def test_files_and_open_images_are_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PIXELS).save(tmp_path / "turned.png", exif=exif)
    for source in (tmp_path / "turned.png", str(tmp_path / "turned.png"), Image.open(tmp_path / "turned.png")):
        picture = as_picture(source)
        assert picture.name == str(tmp_path / "turned.png")
        np.testing.assert_array_equal(np.asarray(picture.image), np.rot90(PIXELS, -1))


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "above 1": (PIXELS.astype(float), DataError, r"decimals from 0 to 249: they have to lie in 0 to 1; divide by 255"),
    "normalised": (torch.randn(3, 5, 5), DataError, "do not normalise: that is done here"),
    "nan": (np.full((3, 3), np.nan), DataError, "they have to lie in 0 to 1"),
    "int64": (PIXELS.astype(np.int64), DataError, "a picture of int64: expected uint8, or decimals"),
    "bool": (PIXELS > 7, DataError, "a picture of bool"),
    "int tensor": (torch.ones(3, 4, 4, dtype=torch.int32), DataError, "a picture of int32"),
    "channels last": (torch.ones(4, 4, 3), DataError, r"of shape \(4, 4, 3\): expected .*a tensor 3 x H x W"),
    "channels first": (
        PIXELS.transpose(2, 0, 1)[:, :, :7],
        DataError,
        r"of shape \(3, 6, 7\): expected an array H x W",
    ),
    "four channels": (np.zeros((4, 4, 4), np.uint8), DataError, r"of shape \(4, 4, 4\)"),
    "empty": (np.zeros((0, 4, 3), np.uint8), DataError, r"of shape \(0, 4, 3\)"),
    "number": (3, TypeError, "not a int"),
    "bytes": (b"face.png", TypeError, "not a bytes"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_picture_is_refused(kind: str) -> None:
    source, error, message = REFUSED[kind]
    with pytest.raises(error, match=message):
        as_picture(source)


def test_a_broken_image_is_named_however_it_comes(tmp_path: Path) -> None:
    Image.fromarray(PIXELS.repeat(40, 0).repeat(40, 1)).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:700])
    for source in (tmp_path / "cut.jpg", Image.open(tmp_path / "cut.jpg")):
        with pytest.raises(UnreadableImageError, match=r"cannot read the image .*cut\.jpg: "):
            as_picture(source)
