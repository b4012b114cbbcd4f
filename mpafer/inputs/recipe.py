"""A transform taken apart for the fast input path: what is done once, what is drawn anew, what a batch shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms as T

from mpafer.common.errors import OptionError
from mpafer.inputs.resize import KERNELS, Box, resized_crop


class NotCoveredError(Exception):
    """What keeps a loader on the plain path."""


class Recipe:
    """A `Compose` taken apart: fixed steps, whose result is stored, then a random crop, a flip, values, erasing.

    Raises:
        NotCoveredError: it has a step beyond these; the message names the step.
    """

    def __init__(self, transform: T.Compose) -> None:
        if type(transform) is not T.Compose:
            raise NotCoveredError(f"the transform is {type(transform).__name__}")
        self.remaining = list(transform.transforms)
        fixed = []
        while step := self._next_step(T.Resize) or self._next_step(T.CenterCrop):
            fixed.append(step)
        self.fixed = T.Compose(fixed)
        self.resized_crop = self._next_step(T.RandomResizedCrop)
        self.crop = self._next_step(T.RandomCrop)
        self.flip = self._next_step(T.RandomHorizontalFlip)
        to_tensor = self._next_step(T.ToTensor)
        normalize = self._next_step(T.Normalize)
        self.erasing = self._next_step(T.RandomErasing)
        if self.remaining or not to_tensor or (self.crop and self.resized_crop):
            raise NotCoveredError(f"{self.remaining[0] if self.remaining else 'no ToTensor'} is not covered")
        if self.resized_crop and self.resized_crop.interpolation not in KERNELS:
            raise NotCoveredError(f"{self.resized_crop.interpolation} is not covered")
        if self.erasing and self.erasing.value != 0:
            raise NotCoveredError(f"{self.erasing} is not covered")
        mean, std = (normalize.mean, normalize.std) if normalize else ([0.0], [1.0])
        self.mean, self.std = (torch.tensor(value).expand(3).unbind() for value in (mean, std))
        self.shift = [-mean / std for mean, std in zip(self.mean, self.std, strict=True)]
        self.scale = [1 / (255 * std.item()) for std in self.std]

    def _next_step(self, kind: type) -> Any:
        """The next of the remaining steps, no longer among them, if it is of this kind."""
        return self.remaining.pop(0) if self.remaining and type(self.remaining[0]) is kind else None

    @property
    def fixed_in_words(self) -> str:
        """What the stored arrays depend on beside their files."""
        return f"{self.fixed!r}, {'columns' if self.resized_crop else 'rows'}"

    def decode(self, image: Image.Image) -> np.ndarray:
        """An image after the fixed steps, uint8: [3, W, H] for `resized_crop`, else [3, H, W]."""
        return np.ascontiguousarray(
            np.asarray(self.fixed(image)).transpose((2, 1, 0) if self.resized_crop else (2, 0, 1))
        )

    def size(self, first: Tensor) -> tuple[int, int]:
        """Height and width of an augmented image; ``first``: any stored one."""
        crop = self.resized_crop or self.crop
        return tuple(crop.size) if crop else (first.shape[1], first.shape[2])

    def augment_into(self, out: Tensor, stored: Tensor) -> Box | None:
        """Augment a stored image by the default generator.

        Args:
            out: [3, H, W], uint8 or float32: what is written, as in `write_channel`.
            stored: an image as `decode` makes them.

        Returns:
            The box that is to be erased from ``out``.
        """
        channels = out.unbind()
        if step := self.resized_crop:
            _, columns, rows = stored.shape
            box = crop_box(rows, columns, step.scale, step.ratio)
            mirrored = self.flip is not None and torch.rand(1).item() < self.flip.p
            resized_crop(stored, box, step.size, step.interpolation, mirrored, partial(self.write_channel, channels))
        else:
            for step in (self.crop, self.flip):  # torchvision's own: on bytes they are exact
                stored = step(stored) if step else stored
            if stored.shape != out.shape:
                sizes = f"{tuple(out.shape[1:])} and {tuple(stored.shape[1:])}"
                raise OptionError(f"a batch has images of {sizes} pixels; a transform has to bring them to one size")
            for channel, levels in enumerate(stored):
                self.write_channel(channels, channel, levels)
        return self._draw_erasing(out.shape) if self.erasing and torch.rand(1) < self.erasing.p else None

    def _draw_erasing(self, shape: Sequence[int]) -> Box | None:
        scale, ratio = self.erasing.scale, self.erasing.ratio
        *box, _ = T.RandomErasing.get_params(torch.empty(1).expand(*shape), scale, ratio, [0.0])
        return None if box[2] == shape[1] else tuple(box)  # all of it: no box was found

    def write_channel(self, out: Sequence[Tensor], channel: int, levels: Tensor) -> None:
        """Write a channel of an image, or of a batch.

        Args:
            out: the three channels; those in uint8 get levels, those in float32 normalised values.
            channel: which one of them.
            levels: whole numbers from 0 to 255 of any type, in the channel's shape.
        """
        target = out[channel]
        if target.dtype == torch.uint8:
            np.copyto(target.numpy(), levels.numpy(), casting="unsafe")  # vectorised, as torch's copy_ is not
        elif self.resized_crop:  # one pass; differs from the two divisions by rounding alone
            torch.add(self.shift[channel], levels, alpha=self.scale[channel], out=target)
        else:
            torch.div(levels.float().div_(255).sub_(self.mean[channel]), self.std[channel], out=target)


def crop_box(rows: int, columns: int, scale: Sequence[float], ratio: Sequence[float]) -> Box:
    """`RandomResizedCrop.get_params`, with the same draws from the default generator in a third of the time."""
    number, place, (low, high) = torch.empty(1), torch.empty(1, dtype=torch.int64), _log(tuple(ratio))
    for _ in range(10):
        area = rows * columns * number.uniform_(scale[0], scale[1]).item()
        aspect = number.uniform_(low, high).exp_().item()
        width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < width <= columns and 0 < height <= rows:
            top = int(place.random_(0, rows - height + 1).item())
            return top, int(place.random_(0, columns - width + 1).item()), height, width
    width = min(columns, round(rows * max(ratio)))
    height = min(rows, round(columns / min(ratio)))
    return (rows - height) // 2, (columns - width) // 2, height, width


@lru_cache
def _log(ratio: tuple[float, ...]) -> list[float]:
    return torch.log(torch.tensor(ratio)).tolist()
