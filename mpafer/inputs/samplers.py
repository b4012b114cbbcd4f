"""The order of images: a function of (seed, epoch) alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch.utils.data import Sampler

from mpafer.common import distributed
from mpafer.common.seeds import derive_seed

ORDER, AUGMENTATION = 0, 1  # first keys of derive_seed(): keep the two streams of random numbers apart
SAMPLERS = ("RandomSampler", "BalancedSampler", "SequentialSampler")


class Draw(NamedTuple):
    """An image of an epoch: its number, and how often it came in this epoch before."""

    image: int
    repetition: int = 0


def image_weights(labels: Sequence[int]) -> list[float]:
    """1 / (images of its class) for each image: every class is as likely, and so is every image of a class."""
    counts = Counter(labels)
    return [1 / counts[label] for label in labels]


class BatchSampler(Sampler[list[Draw]]):
    """This rank's slice of each batch; ``batch_size`` counts the images of all ranks together.

    With ``weights``, one an image, an epoch is as many images drawn with replacement by them. They come as `Draw`, so
    that a data set can augment each repetition anew.
    """

    def __init__(
        self,
        num_images: int,
        batch_size: int,
        *,
        shuffle: bool,
        drop_last: bool,
        seed: int,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.num_images, self.batch_size, self.shuffle = num_images, batch_size, shuffle
        self.weights = None if weights is None else torch.tensor(weights, dtype=torch.float64)
        self.seed, self.epoch = seed, 0
        self.used = num_images - num_images % batch_size if drop_last else num_images

    def set_epoch(self, epoch: int, seed: int) -> None:
        self.epoch, self.seed = epoch, seed

    def order(self) -> list[Draw]:
        """The epoch's images, on every rank the same."""
        generator = torch.Generator().manual_seed(derive_seed(ORDER, self.seed, self.epoch))
        if self.weights is not None:
            drawn = torch.multinomial(self.weights, self.num_images, replacement=True, generator=generator).tolist()
            order, earlier = [], Counter[int]()
            for image in drawn:
                order.append(Draw(image, earlier[image]))
                earlier[image] += 1
            return order
        if self.shuffle:
            return [Draw(image) for image in torch.randperm(self.num_images, generator=generator).tolist()]
        return [Draw(image) for image in range(self.num_images)]

    def __iter__(self) -> Iterator[list[Draw]]:
        order, rank, ranks = self.order(), distributed.rank(), distributed.world_size()
        for start in range(0, self.used, self.batch_size):
            batch = order[start : min(start + self.batch_size, self.used)]
            part = batch[len(batch) * rank // ranks : len(batch) * (rank + 1) // ranks]
            if part:
                yield part

    def __len__(self) -> int:
        return -(-self.used // self.batch_size)
