"""Image transforms by Dassl's names and in Dassl's order; all randomness is from torch's generator."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision import transforms as T
from torchvision.transforms import functional as F

INTERPOLATION_MODES = {
    "bilinear": T.InterpolationMode.BILINEAR,
    "bicubic": T.InterpolationMode.BICUBIC,
    "nearest": T.InterpolationMode.NEAREST,
}
DASSL_ONLY = ("imagenet_policy", "cifar10_policy", "svhn_policy", "randaugment2", "randaugment_fixmatch")


def interpolation_mode(cfg: Any) -> T.InterpolationMode:
    name = cfg.INPUT.INTERPOLATION
    if name not in INTERPOLATION_MODES:
        raise ValueError(f"INPUT.INTERPOLATION={name!r}: expected one of {', '.join(INTERPOLATION_MODES)}")
    return INTERPOLATION_MODES[name]


class RandomTranslation:
    """Half of the time: enlarge to 9/8 of the size and crop at a random place; else resize to the size."""

    def __init__(self, size: Sequence[int]) -> None:
        self.size = list(size)
        self.crop = T.RandomCrop(self.size)

    def __call__(self, image: Any) -> Any:
        if torch.rand(()) < 0.5:
            return F.resize(image, self.size)
        return self.crop(F.resize(image, [round(side * 1.125) for side in self.size]))


class Cutout:
    """Zero ``holes`` squares of side ``length`` at random centres of a [C, H, W] image (arXiv:1708.04552)."""

    def __init__(self, holes: int, length: int) -> None:
        self.holes, self.half = holes, length // 2

    def __call__(self, image: Tensor) -> Tensor:
        image = image.clone()
        for _ in range(self.holes):
            y, x = (int(torch.randint(side, ())) for side in image.shape[1:])
            image[:, max(y - self.half, 0) : y + self.half, max(x - self.half, 0) : x + self.half] = 0
        return image


class GaussianNoise:
    """Add noise to half of the images."""

    def __init__(self, mean: float, std: float) -> None:
        self.mean, self.std = mean, std

    def __call__(self, image: Tensor) -> Tensor:
        return image if torch.rand(()) < 0.5 else image + torch.randn_like(image) * self.std + self.mean


class InstanceNorm(torch.nn.Module):
    """Zero mean and unit deviation per channel and image. A module for its ``repr``, which keys caches."""

    def forward(self, image: Tensor) -> Tensor:
        values = image.flatten(1)
        return (image - values.mean(1)[:, None, None]) / (values.std(1)[:, None, None] + 1e-8)


# Each step: input node -> (log line, transform). The dicts' order is the order of application.
Step = Callable[[Any, Any], tuple[str, Any]]
_ON_IMAGES: dict[str, Step] = {
    "random_translation": lambda n, mode: ("random translation", RandomTranslation(n.SIZE)),
    "random_crop": lambda n, mode: (
        f"random crop (padding = {n.CROP_PADDING})",
        T.RandomCrop(n.SIZE, padding=n.CROP_PADDING),
    ),
    "random_resized_crop": lambda n, mode: (
        f"random resized crop (size={n.SIZE}, scale={n.RRCROP_SCALE})",
        T.RandomResizedCrop(n.SIZE, scale=n.RRCROP_SCALE, interpolation=mode),
    ),
    "random_flip": lambda n, mode: ("random flip", T.RandomHorizontalFlip()),
    "randaugment": lambda n, mode: (
        f"randaugment (n={n.RANDAUGMENT_N}, m={n.RANDAUGMENT_M})",
        T.RandAugment(n.RANDAUGMENT_N, n.RANDAUGMENT_M),
    ),
    "colorjitter": lambda n, mode: (
        f"color jitter (brightness={n.COLORJITTER_B}, contrast={n.COLORJITTER_C}, "
        f"saturation={n.COLORJITTER_S}, hue={n.COLORJITTER_H})",
        T.ColorJitter(n.COLORJITTER_B, n.COLORJITTER_C, n.COLORJITTER_S, n.COLORJITTER_H),
    ),
    "randomgrayscale": lambda n, mode: ("random gray scale", T.RandomGrayscale(p=n.RGS_P)),
    "gaussian_blur": lambda n, mode: (
        f"gaussian blur (kernel={n.GB_K})",
        T.RandomApply([T.GaussianBlur(n.GB_K)], p=n.GB_P),
    ),
}
_ON_TENSORS: dict[str, Step] = {
    "cutout": lambda n, mode: (
        f"cutout (n_holes={n.CUTOUT_N}, length={n.CUTOUT_LEN})",
        Cutout(n.CUTOUT_N, n.CUTOUT_LEN),
    ),
    "normalize": lambda n, mode: (
        f"normalization (mean={n.PIXEL_MEAN}, std={n.PIXEL_STD})",
        T.Normalize(n.PIXEL_MEAN, n.PIXEL_STD),
    ),
    "gaussian_noise": lambda n, mode: (
        f"gaussian noise (mean={n.GN_MEAN}, std={n.GN_STD})",
        GaussianNoise(n.GN_MEAN, n.GN_STD),
    ),
    "instance_norm": lambda n, mode: ("instance normalization", InstanceNorm()),
    # ours; after the normalisation, so that the erased box has the mean colour
    "random_erasing": lambda n, mode: (
        f"random erasing (p={n.get('RE_P', 0.5)})",
        T.RandomErasing(n.get("RE_P", 0.5), n.get("RE_SCALE", (0.02, 0.25)), n.get("RE_RATIO", (0.3, 3.3))),
    ),
}
# center_crop is every test transform's second step; in training Dassl accepts the name and does nothing
CHOICES = (*_ON_IMAGES, *_ON_TENSORS, "center_crop")
_IN_TEST = ("normalize", "instance_norm")


def build_transform(cfg: Any, is_train: bool = True, choices: Sequence[str] | None = None) -> T.Compose | None:
    """The transform named by ``choices`` (default cfg.INPUT.TRANSFORMS): PIL image -> [3, H, W]; None if
    NO_TRANSFORM.

    For testing: shorter side to the larger of INPUT.SIZE, centre crop, normalisation. Raises ValueError for a
    name it does not know.
    """
    if cfg.INPUT.NO_TRANSFORM:
        print("Note: no transform is applied!")
        return None
    node, mode = cfg.INPUT, interpolation_mode(cfg)
    choices = node.TRANSFORMS if choices is None else choices
    for name in choices:
        _check(name)
    size = f"{node.SIZE[0]}x{node.SIZE[1]}"
    print(f"Building transform_{'train' if is_train else 'test'}")
    steps: list[tuple[str, Any]] = []
    if not is_train:
        steps += [
            (f"resize the smaller edge to {max(node.SIZE)}", T.Resize(max(node.SIZE), interpolation=mode)),
            (f"{size} center crop", T.CenterCrop(node.SIZE)),
        ]
    elif not {"random_crop", "random_resized_crop"} & set(choices):
        steps += [(f"resize to {size}", T.Resize(node.SIZE, interpolation=mode))]
    if is_train:
        steps += [step(node, mode) for name, step in _ON_IMAGES.items() if name in choices]
    steps += [("to torch tensor of range [0, 1]", T.ToTensor())]
    usable = [name for name in _ON_TENSORS if name in choices and (is_train or name in _IN_TEST)]
    steps += [_ON_TENSORS[name](node, mode) for name in usable]
    for line, _ in steps:
        print(f"+ {line}")
    return T.Compose([transform for _, transform in steps])


def _check(name: str) -> None:
    if name in DASSL_ONLY:
        raise ValueError(f"transform {name!r} is Dassl's alone, this engine has {', '.join(CHOICES)}")
    if name not in CHOICES:
        close = difflib.get_close_matches(name, CHOICES, n=1, cutoff=0.4)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise ValueError(f"unknown transform {name!r}.{hint} INPUT.TRANSFORMS takes {', '.join(CHOICES)}")
