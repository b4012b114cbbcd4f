"""CLIP's own transform of an image."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from PIL import Image

PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)


def clip_transform(size: int) -> Callable[[Image.Image], Tensor]:
    """PIL image of any mode -> [3, H, H], H = ``size``: shorter side to H, centre crop, CLIP's mean and deviation."""
    from torchvision import transforms as T  # slow to import

    return T.Compose(
        [
            T.Resize(size, interpolation=T.InterpolationMode.BICUBIC),
            T.CenterCrop(size),
            _rgb,
            T.ToTensor(),
            T.Normalize(PIXEL_MEAN, PIXEL_STD),
        ]
    )


def _rgb(image: Image.Image) -> Image.Image:
    return image.convert("RGB")
