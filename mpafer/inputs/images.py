"""The plain input path: one file read and transformed at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.data import Dataset
from torchvision import transforms as T

from mpafer.common.seeds import derive_seed
from mpafer.inputs.datum import Datum
from mpafer.inputs.first_read import FirstRead
from mpafer.inputs.reading import read_image
from mpafer.inputs.samplers import AUGMENTATION, Draw


class PlainImages(Dataset[dict[str, Any]]):
    """Images, asked for by `Draw`, as dictionaries of img, label, impath and index, Dassl's keys.

    Args:
        items: the images' records.
        transform: PIL image -> [3, H, W].
        seed: until `set_epoch` names another.
    """

    def __init__(self, items: Sequence[Datum], transform: T.Compose, seed: int = 0) -> None:
        self.items, self.transform = items, transform
        self.first_read: FirstRead | None = None
        # in shared memory: workers that live on see what set_epoch() says in the main process
        self.epoch_and_seed = torch.tensor([0, seed]).share_memory_()

    def set_epoch(self, epoch: int, seed: int) -> None:
        self.epoch_and_seed[0], self.epoch_and_seed[1] = epoch, seed

    def note_contents(self) -> None:
        """From here on note what each file holds when it is first read; before a loader has workers."""
        self.first_read = FirstRead([item.impath for item in self.items])

    def keep_contents(self) -> int:
        """Remember what was noted; how many images were read so far, 0 where nothing is noted."""
        return self.first_read.keep() if self.first_read else 0

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, draw: Draw) -> dict[str, Any]:
        item = self.items[draw.image]
        with torch.random.fork_rng(devices=[]):
            self.seed_augmentation(draw)
            read = self.first_read.read_image(draw.image) if self.first_read else read_image(item.impath)
            image = self.transform(read)
        return {"img": image, "label": item.label, "impath": item.impath, "index": draw.image}

    def seed_augmentation(self, draw: Draw) -> None:
        """Seed the default generator by run, epoch, image and repetition."""
        epoch, seed = self.epoch_and_seed.tolist()
        keys = tuple(draw) if draw.repetition else (draw.image,)
        # the default generator alone: torch.manual_seed would reseed the GPUs too
        torch.default_generator.manual_seed(derive_seed(AUGMENTATION, seed, epoch, *keys))
