"""The plain input path: one file read and transformed at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.data import Dataset
from torchvision import transforms as T

from mpafer.common.seeds import derive_seed
from mpafer.inputs.datum import Datum
from mpafer.inputs.reading import read_image
from mpafer.inputs.samplers import AUGMENTATION


class PlainImages(Dataset[dict[str, Any]]):
    """Images as dictionaries of img, label, impath and index, Dassl's keys.

    Args:
        items: the images' records.
        transform: PIL image -> [3, H, W].
        seed: until `set_epoch` names another.
    """

    def __init__(self, items: Sequence[Datum], transform: T.Compose, seed: int = 0) -> None:
        self.items, self.transform = items, transform
        # epoch and seed, in shared memory: workers that live on see what set_epoch() says in the main process
        self.clock = torch.tensor([0, seed]).share_memory_()

    def set_epoch(self, epoch: int, seed: int) -> None:
        self.clock[0], self.clock[1] = epoch, seed

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        with torch.random.fork_rng(devices=[]):
            index = self.start_draw(index)
            item = self.items[index]
            image = self.transform(read_image(item.impath))
        return {"img": image, "label": item.label, "impath": item.impath, "index": index}

    def start_draw(self, index: int) -> int:
        """Seed the default generator for the image and its repetition, as `BatchSampler` counts them; returns the
        image's number."""
        repetition, index = divmod(index, len(self))
        epoch, seed = self.clock.tolist()
        keys = (index, repetition) if repetition else (index,)
        # the default generator alone: torch.manual_seed would reseed the GPUs too
        torch.default_generator.manual_seed(derive_seed(AUGMENTATION, seed, epoch, *keys))
        return index
