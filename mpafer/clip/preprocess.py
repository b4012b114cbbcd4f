"""CLIP's own transform of an image."""

from __future__ import annotations

from PIL import Image
from torchvision import transforms as T

from mpafer.clip.backbone import PIXEL_MEAN, PIXEL_STD


def clip_transform(size: int) -> T.Compose:
    """PIL image of any mode -> [3, H, H], H = ``size``: shorter side to H, centre crop, CLIP's mean and deviation."""
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
