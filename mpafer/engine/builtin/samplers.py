"""The order of images: a function of (seed, epoch) alone."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler

from mpafer.engine import distributed
from mpafer.engine.builtin.utils import derive_seed

ORDER, AUGMENTATION = 0, 1  # first keys of derive_seed(): keep the two streams of random numbers apart
SAMPLERS = ("RandomSampler", "SequentialSampler")


class BatchSampler(Sampler[list[int]]):
    """This rank's slice of each batch; ``batch_size`` counts the images of all ranks together."""

    def __init__(self, num_images: int, batch_size: int, *, shuffle: bool, drop_last: bool, seed: int) -> None:
        self.num_images, self.batch_size, self.shuffle = num_images, batch_size, shuffle
        self.seed, self.epoch = seed, 0
        self.used = num_images - num_images % batch_size if drop_last else num_images

    def set_epoch(self, epoch: int, seed: int) -> None:
        self.epoch, self.seed = epoch, seed

    def __iter__(self) -> Iterator[list[int]]:
        order = list(range(self.num_images))
        if self.shuffle:
            generator = torch.Generator().manual_seed(derive_seed(ORDER, self.seed, self.epoch))
            order = torch.randperm(self.num_images, generator=generator).tolist()
        rank, ranks = distributed.rank(), distributed.world_size()
        for start in range(0, self.used, self.batch_size):
            batch = order[start : min(start + self.batch_size, self.used)]
            part = batch[len(batch) * rank // ranks : len(batch) * (rank + 1) // ranks]
            if part:
                yield part

    def __len__(self) -> int:
        return -(-self.used // self.batch_size)
