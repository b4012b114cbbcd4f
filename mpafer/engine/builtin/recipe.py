"""A transform taken apart for the fast input path: what is done once, what is drawn anew, what a batch shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms as T

from mpafer.engine.builtin.images import read_image
from mpafer.engine.builtin.resize import KERNELS, Box, resized_crop


class NotCoveredError(Exception):
    """What keeps a loader on the plain path."""


class Recipe:
    """A `Compose` taken apart: fixed steps, whose result is stored, then a random crop, a flip, values, erasing.

    Raises:
        NotCoveredError: it has a step beyond these; the message names the step.
    """

    def __init__(self, transform: Any) -> None:
        if type(transform) is not T.Compose:
            raise NotCoveredError(f"the transform is {type(transform).__name__}")
        self.rest = list(transform.transforms)
        self.fixed = T.Compose(list(iter(lambda: self._take(T.Resize) or self._take(T.CenterCrop), None)))
        self.resized_crop = self._take(T.RandomResizedCrop)
        self.crop = self._take(T.RandomCrop)
        self.flip = self._take(T.RandomHorizontalFlip)
        to_tensor, normalize, self.erasing = (
            self._take(T.ToTensor),
            self._take(T.Normalize),
            self._take(T.RandomErasing),
        )
        if self.rest or not to_tensor or (self.crop and self.resized_crop):
            raise NotCoveredError(f"{self.rest[0] if self.rest else 'no ToTensor'} is not covered")
        if self.resized_crop and self.resized_crop.interpolation not in KERNELS:
            raise NotCoveredError(f"{self.resized_crop.interpolation} is not covered")
        if self.erasing and self.erasing.value != 0:
            raise NotCoveredError(f"{self.erasing} is not covered")
        self.mean = torch.tensor(normalize.mean if normalize else [0.0] * 3)
        self.std = torch.tensor(normalize.std if normalize else [1.0] * 3)

    def _take(self, kind: type) -> Any:
        """The next step if it is of this kind."""
        return self.rest.pop(0) if self.rest and type(self.rest[0]) is kind else None

    @property
    def stored(self) -> str:
        """What the stored arrays depend on beside their files."""
        return f"{self.fixed!r}, {'columns' if self.resized_crop else 'channels'}"

    def decode(self, path: str) -> np.ndarray:
        """The image after the fixed steps, uint8: [W, 3, H] for `resized_crop`, else [3, H, W]."""
        image: Image.Image = self.fixed(read_image(path))
        return np.ascontiguousarray(np.asarray(image).transpose((1, 2, 0) if self.resized_crop else (2, 0, 1)))

    def size(self, first: Tensor) -> tuple[int, int]:
        """Height and width of what is drawn; ``first``: any stored image."""
        crop = self.resized_crop or self.crop
        return tuple(crop.size) if crop else (first.shape[1], first.shape[2])

    def draw(self, stored: Tensor, out: np.ndarray) -> Box | None:
        """Augment an image into ``out`` [3, H, W] uint8 by the default generator; returns the box to erase."""
        if self.resized_crop:
            columns, _, rows = stored.shape
            box = crop_box(rows, columns, self.resized_crop.scale, self.resized_crop.ratio)
            mirrored = self.flip is not None and bool(torch.rand(1) < self.flip.p)
            resized_crop(stored, box, self.resized_crop.interpolation, mirrored, out)
        else:
            for step in (self.crop, self.flip):  # torchvision's own: on bytes they are exact
                stored = step(stored) if step else stored
            np.copyto(out, stored.numpy())
        return self._draw_erasing(out.shape) if self.erasing and torch.rand(1) < self.erasing.p else None

    def _draw_erasing(self, shape: Sequence[int]) -> Box | None:
        scale, ratio = self.erasing.scale, self.erasing.ratio
        *box, _ = T.RandomErasing.get_params(torch.empty(1).expand(*shape), scale, ratio, [0.0])
        return None if box[2] == shape[1] else tuple(box)  # all of it: no box was found

    def values(self, levels: Tensor, erased: Sequence[Box | None]) -> Tensor:
        """The batch as the model takes it: [B, 3, H, W] uint8 -> float32, on the same device."""
        cuda = levels.is_cuda
        # NumPy asks for huge pages: with small ones a batch costs more to allocate than to compute
        out = torch.empty_like(levels, dtype=torch.float32) if cuda else torch.from_numpy(np.empty(levels.shape, "f4"))
        step = len(levels) if cuda else 1  # one image stays in a processor's cache
        for some, target in zip(levels.split(step), out.split(step), strict=True):
            for c, (mean, std) in enumerate(zip(self.mean, self.std, strict=True)):
                if self.resized_crop:  # one pass; differs from the two divisions by rounding
                    torch.add(-mean / std, some[:, c], alpha=1 / (255 * std.item()), out=target[:, c])
                else:
                    torch.div(some[:, c].float().div_(255).sub_(mean), std, out=target[:, c])
        for image, box in zip(out, erased, strict=True):
            if box is not None:
                top, left, height, width = box
                image[:, top : top + height, left : left + width] = 0
        return out


def crop_box(rows: int, columns: int, scale: Sequence[float], ratio: Sequence[float]) -> Box:
    """`RandomResizedCrop.get_params`, with the same draws from the default generator in a third of the time."""
    number, (low, high) = torch.empty(1), _log(tuple(ratio))
    for _ in range(10):
        area = rows * columns * number.uniform_(scale[0], scale[1]).item()
        aspect = number.uniform_(low, high).exp_().item()
        width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < width <= columns and 0 < height <= rows:
            top = int(torch.randint(0, rows - height + 1, (1,)))
            return top, int(torch.randint(0, columns - width + 1, (1,))), height, width
    width = min(columns, round(rows * max(ratio)))
    height = min(rows, round(columns / min(ratio)))
    return (rows - height) // 2, (columns - width) // 2, height, width


@lru_cache
def _log(ratio: tuple[float, ...]) -> list[float]:
    return torch.log(torch.tensor(ratio)).tolist()
