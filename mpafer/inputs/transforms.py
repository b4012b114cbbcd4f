"""Image transforms by Dassl's names and in Dassl's order; all randomness is from torch's generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms as T
from torchvision.transforms import functional as F
from yacs.config import CfgNode

from mpafer.common.errors import OptionError
from mpafer.common.options import check_choice, closest

INTERPOLATION_MODES = {
    "bilinear": T.InterpolationMode.BILINEAR,
    "bicubic": T.InterpolationMode.BICUBIC,
    "nearest": T.InterpolationMode.NEAREST,
}
DASSL_ONLY = ("imagenet_policy", "cifar10_policy", "svhn_policy", "randaugment2", "randaugment_fixmatch")


def interpolation_mode(node: CfgNode) -> T.InterpolationMode:
    """Of an INPUT node."""
    check_choice("INPUT.INTERPOLATION", node.INTERPOLATION, INTERPOLATION_MODES)
    return INTERPOLATION_MODES[node.INTERPOLATION]


class RandomTranslation:
    """Half of the time: enlarge to 9/8 of the size and crop at a random place; else resize to the size."""

    def __init__(self, size: Sequence[int]) -> None:
        self.size = list(size)
        self.crop = T.RandomCrop(self.size)

    def __call__(self, image: Image.Image) -> Image.Image:
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


Transform = Callable[[Image.Image], Tensor]  # -> [3, H, W]
Step = tuple[str, Any]  # Dassl's log line, and the transform
# INPUT node, interpolation -> step. The dicts' order is the order of application.
_Make = Callable[[CfgNode, T.InterpolationMode], Step]
TO_TENSOR: Step = ("to torch tensor of range [0, 1]", T.ToTensor())
_ON_IMAGES: dict[str, _Make] = {
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
_ON_TENSORS: dict[str, _Make] = {
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
        f"random erasing (p={n.RE_P})",
        T.RandomErasing(n.RE_P, n.RE_SCALE, n.RE_RATIO),
    ),
}
# center_crop is every test transform's second step; in training Dassl accepts the name and does nothing
CHOICES = (*_ON_IMAGES, *_ON_TENSORS, "center_crop")
_IN_TEST = ("normalize", "instance_norm")


def training_steps(node: CfgNode, choices: Sequence[str] | None = None) -> list[Step]:
    """The steps that INPUT.TRANSFORMS (or ``choices``) names, in Dassl's order.

    Raises:
        OptionError: a name it does not know; the closest one is named.
    """
    chosen, mode = node.TRANSFORMS if choices is None else choices, interpolation_mode(node)
    for name in chosen:
        _check(name)
    resized = {"random_crop", "random_resized_crop"} & set(chosen)
    resize = (f"resize to {_size(node)}", T.Resize(node.SIZE, interpolation=mode))
    return [
        *([] if resized else [resize]),
        *(make(node, mode) for name, make in _ON_IMAGES.items() if name in chosen),
        TO_TENSOR,
        *(make(node, mode) for name, make in _ON_TENSORS.items() if name in chosen),
    ]


def plain_steps(node: CfgNode) -> list[Step]:
    """Without augmentation: shorter side to the larger of INPUT.SIZE, centre crop, normalisation."""
    mode = interpolation_mode(node)
    for name in node.TRANSFORMS:
        _check(name)
    return [
        (f"resize the smaller edge to {max(node.SIZE)}", T.Resize(max(node.SIZE), interpolation=mode)),
        (f"{_size(node)} center crop", T.CenterCrop(node.SIZE)),
        TO_TENSOR,
        *(make(node, mode) for name, make in _ON_TENSORS.items() if name in node.TRANSFORMS and name in _IN_TEST),
    ]


def compose(steps: Sequence[Step], *, print_as: str = "") -> T.Compose:
    """The steps as one transform, PIL image -> [3, H, W]; ``print_as`` train or test: print Dassl's lines of them."""
    if print_as:
        print(f"Building transform_{print_as}", *(f"+ {line}" for line, _ in steps), sep="\n")
    return T.Compose([transform for _, transform in steps])


def plain_transform(node: CfgNode, *, print_as: str = "") -> T.Compose:
    """The transform of an evaluation, from an INPUT node; ``print_as`` as in `compose`."""
    return compose(plain_steps(node), print_as=print_as)


def plain_values(node: CfgNode) -> dict[str, Any]:
    """What `plain_transform` reads of an INPUT node, as plain values."""
    values = {key: node[key] for key in ("INTERPOLATION", "PIXEL_MEAN", "PIXEL_STD")}
    return values | {"SIZE": list(node.SIZE), "TRANSFORMS": [name for name in node.TRANSFORMS if name in _IN_TEST]}


def _size(node: CfgNode) -> str:
    return f"{node.SIZE[0]}x{node.SIZE[1]}"


def _check(name: str) -> None:
    if name in DASSL_ONLY:
        raise OptionError(f"transform {name!r} is Dassl's alone, here are {', '.join(CHOICES)}")
    if name not in CHOICES:
        raise OptionError(f"INPUT.TRANSFORMS: no transform {name!r}: {closest(name, CHOICES)}")
