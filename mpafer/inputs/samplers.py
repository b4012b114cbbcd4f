"""The order of images: a function of (seed, epoch) alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

from mpafer.common import distributed
from mpafer.common.seeds import derive_seed

ORDER, AUGMENTATION = 0, 1  # first keys of derive_seed(): keep the two streams of random numbers apart
SAMPLERS = ("RandomSampler", "BalancedSampler", "SequentialSampler")


def image_weights(labels: Sequence[int]) -> list[float]:
    """1 / (images of its class) for each image: every class is as likely, and so is every image of a class."""
    counts = Counter(labels)
    return [1 / counts[label] for label in labels]


class BatchSampler(Sampler[list[int]]):
    """This rank's slice of each batch; ``batch_size`` counts the images of all ranks together.

    With ``weights``, one an image, an epoch is as many images drawn with replacement by them. The n-th repetition of
    image i is yielded as ``i + n * num_images``: a data set that takes it apart augments each repetition anew.
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

    def order(self) -> list[int]:
        """The epoch's images, on every rank the same."""
        generator = torch.Generator().manual_seed(derive_seed(ORDER, self.seed, self.epoch))
        if self.weights is not None:
            drawn = torch.multinomial(self.weights, self.num_images, replacement=True, generator=generator).tolist()
            earlier: Counter[int] = Counter()
            for place, image in enumerate(drawn):
                drawn[place] += self.num_images * earlier[image]
                earlier[image] += 1
            return drawn
        if self.shuffle:
            return torch.randperm(self.num_images, generator=generator).tolist()
        return list(range(self.num_images))

    def __iter__(self) -> Iterator[list[int]]:
        order, rank, ranks = self.order(), distributed.rank(), distributed.world_size()
        for start in range(0, self.used, self.batch_size):
            batch = order[start : min(start + self.batch_size, self.used)]
            part = batch[len(batch) * rank // ranks : len(batch) * (rank + 1) // ranks]
            if part:
                yield part

    def __len__(self) -> int:
        return -(-self.used // self.batch_size)
