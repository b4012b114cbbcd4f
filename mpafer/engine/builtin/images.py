"""Images as Dassl's items, one file read and transformed at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch.utils.data import Dataset
from torchvision import transforms as T

from mpafer.engine.builtin.dataset import Datum
from mpafer.engine.builtin.samplers import AUGMENTATION
from mpafer.engine.builtin.transforms import interpolation_mode
from mpafer.engine.builtin.utils import derive_seed


class UnreadableImageError(OSError):
    """An image file that is missing, damaged or no image; the message names it."""


class DatasetWrapper(Dataset[dict[str, Any]]):
    """Reads and transforms images; items are dicts with Dassl's keys img, label, domain, impath, index.

    ``transform``: a callable, or a list of them for img, img2 ...; None leaves the PIL image.
    """

    def __init__(self, cfg: Any, data_source: Sequence[Datum], transform: Any = None, is_train: bool = False) -> None:
        self.data_source, self.is_train = data_source, is_train
        self.transforms = transform if isinstance(transform, (list, tuple)) else [transform]
        self.repeats = cfg.DATALOADER.K_TRANSFORMS if is_train else 1
        if self.repeats > 1 and None in self.transforms:
            raise ValueError(f"DATALOADER.K_TRANSFORMS={self.repeats} needs transforms (INPUT.NO_TRANSFORM is set)")
        self.plain = _plain_transform(cfg) if cfg.DATALOADER.RETURN_IMG0 else None
        # epoch and seed, in shared memory: workers that live on see what set_epoch() says in the main process
        self.clock = torch.tensor([0, max(cfg.SEED, 0)]).share_memory_()

    def set_epoch(self, epoch: int, seed: int) -> None:
        self.clock[0], self.clock[1] = epoch, seed

    def __len__(self) -> int:
        return len(self.data_source)

    def __getitem__(self, index: int) -> dict[str, Any]:
        with torch.random.fork_rng(devices=[]):
            index = self.start_draw(index)
            item = self.data_source[index]
            image = read_image(item.impath)
            output = {"label": item.label, "domain": item.domain, "impath": item.impath, "index": index}
            for i, transform in enumerate(self.transforms):
                output[f"img{i + 1}" if i else "img"] = self._apply(transform, image)
        if self.plain is not None:
            output["img0"] = self.plain(image)
        return output

    def start_draw(self, index: int) -> int:
        """Seed the default generator for the image and its repetition, as `BatchSampler` counts them; returns the
        image's number."""
        repetition, index = divmod(index, len(self))
        epoch, seed = self.clock.tolist()
        keys = (index, repetition) if repetition else (index,)
        # the default generator alone: torch.manual_seed would reseed the GPUs too
        torch.default_generator.manual_seed(derive_seed(AUGMENTATION, seed, epoch, *keys))
        return index

    def _apply(self, transform: Any, image: Image.Image) -> Any:
        if transform is None:
            return image
        images = [transform(image) for _ in range(self.repeats)]
        return images[0] if self.repeats == 1 else images


def _plain_transform(cfg: Any) -> T.Compose:
    """Resize to tensor without augmentation, for ``img0``."""
    steps = [T.Resize(cfg.INPUT.SIZE, interpolation_mode(cfg)), T.ToTensor()]
    if "normalize" in cfg.INPUT.TRANSFORMS:
        steps.append(T.Normalize(cfg.INPUT.PIXEL_MEAN, cfg.INPUT.PIXEL_STD))
    return T.Compose(steps)


def read_image(path: str) -> Image.Image:
    """The image in RGB; whatever is wrong with the file, the error names it."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except Exception as error:
        raise UnreadableImageError(f"cannot read the image {path}: {error}") from error
