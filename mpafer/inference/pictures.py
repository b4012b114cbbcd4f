"""One kind of picture from all that people have: paths, PIL images, arrays and tensors."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from PIL import Image
from torch import Tensor

from mpafer.common.errors import DataError
from mpafer.inputs.reading import read_image, unreadable, upright_rgb

SHAPES = "an array H x W or H x W x 3, or a tensor 3 x H x W"


@dataclass(frozen=True)
class Picture:
    """Upright RGB, and the name that its answer goes by."""

    name: str
    image: Image.Image


Source: TypeAlias = str | os.PathLike[str] | Image.Image | np.ndarray | Tensor | Picture


def is_single(source: Source | Iterable[Source]) -> bool:
    """Whether this is one picture, not several."""
    if isinstance(source, (np.ndarray, Tensor)):
        return source.ndim != 4
    return isinstance(source, (str, os.PathLike, Image.Image, Picture))


def as_picture(source: Source) -> Picture:
    """One picture of whatever kind.

    Raises:
        UnreadableImageError: a file or a PIL image that cannot be read.
        DataError: an array of another shape, of other numbers than uint8 and decimals, or of values outside 0 to 1.
        TypeError: none of these kinds.
    """
    if isinstance(source, Picture):
        return source
    if isinstance(source, (str, os.PathLike)):
        return Picture(os.fspath(source), read_image(source))
    if isinstance(source, Image.Image):
        name = os.fspath(getattr(source, "filename", "") or "")
        try:
            return Picture(name, upright_rgb(source))
        except Exception as error:  # Pillow reads a file only now, and raises many kinds on broken ones
            raise unreadable(name or "handed over", error) from error
    if isinstance(source, Tensor):
        return Picture("", _from_tensor(source))
    if isinstance(source, np.ndarray):
        return Picture("", _from_array(source))
    raise TypeError(f"a picture is a path, a PIL image, {SHAPES}, not a {type(source).__name__}")


def _from_tensor(values: Tensor) -> Image.Image:
    if values.ndim != 3 or values.shape[0] != 3:
        raise DataError(f"a picture of shape {tuple(values.shape)}: expected {SHAPES}")
    values = values.detach().cpu().permute(1, 2, 0)
    return _from_array((values.float() if values.is_floating_point() else values).numpy())


def _from_array(values: np.ndarray) -> Image.Image:
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] != 3) or not values.size:
        raise DataError(f"a picture of shape {values.shape}: expected {SHAPES}")
    if np.issubdtype(values.dtype, np.floating):
        if not (values.min() >= 0 and values.max() <= 1):  # also of NaN
            raise DataError(
                f"a picture of decimals from {values.min():.3g} to {values.max():.3g}: they have to lie in 0 to 1; "
                "divide by 255, or hand over uint8, and do not normalise: that is done here"
            )
        values = np.round(values * 255).astype(np.uint8)  # as a file would hold it
    if values.dtype != np.uint8:
        raise DataError(f"a picture of {values.dtype}: expected uint8, or decimals from 0 to 1")
    return Image.fromarray(np.ascontiguousarray(values)).convert("RGB")
