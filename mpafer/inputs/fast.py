"""The fast input path: images decoded once, augmented as bytes, normalised a batch at a time.

It draws what the plain path draws for the same seed, epoch and image, and gives the same values, but where
`RandomResizedCrop` resizes: see `resize`. What it does not cover takes the plain path.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, default_collate
from torchvision import transforms as T

from mpafer.inputs.datum import Datum
from mpafer.inputs.images import PlainImages
from mpafer.inputs.recipe import Recipe
from mpafer.inputs.samplers import Draw
from mpafer.inputs.store import ImageStore, NoStoreError, open_store

LARGE = 33 << 20  # bytes that Linux gives as fresh pages, which NumPy asks to be huge; what is not used costs nothing
ERASED = "erased"  # key of a batch between data set and loader


class BatchMemory:
    """Memory for batches, used again as soon as no tensor lies in it: fresh pages cost as much as all augmentation."""

    def __init__(self) -> None:
        self.held: list[tuple[np.ndarray, weakref.ref[np.ndarray]]] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return BatchMemory, ()

    def allocate(self, shape: Sequence[int], dtype: Any) -> Tensor:
        """A tensor of the shape and NumPy's dtype, with any values."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        free = (memory for memory, lent in self.held if lent() is None and len(memory) >= size)
        memory = next(free, None)
        memory = np.empty(max(size, LARGE), np.uint8) if memory is None else memory
        array = memory[:size].view(dtype).reshape(shape)  # torch keeps it for as long as there is a tensor in it
        others = [(other, lent) for other, lent in self.held if other is not memory]
        self.held = [*others[-2:], (memory, weakref.ref(array))]
        return torch.from_numpy(array)


class FastImages(PlainImages):
    """Answers whole batches from a store; without one, and for a single item, it is the plain data set.

    A batch has Dassl's keys and the boxes to erase, for `FastLoader` to finish; ``img`` is [B, 3, H, W] in float32, or
    in uint8 where it goes to another device: a quarter to move, and normalised there.
    """

    store: ImageStore | None = None
    dtype: type[np.number[Any]] = np.float32

    def __init__(
        self,
        items: Sequence[Datum],
        transform: T.Compose,
        seed: int,
        root: str | Path,
        gigabytes: float,
        *,
        training: bool = False,
    ) -> None:
        super().__init__(items, transform, seed)
        self.recipe, self.memory = Recipe(transform), BatchMemory()
        self.root, self.gigabytes, self.training, self.opened = Path(root), gigabytes, training, False

    def open(self) -> None:
        """Open the store on first use: a run that only evaluates does not decode the training images."""
        if self.store is not None:
            self.store.touch()
        if self.opened:
            return
        paths = [item.impath for item in self.items]
        try:
            self.store = open_store(paths, self.recipe.decode, self.recipe.fixed_in_words, self.root, self.gigabytes)
        except NoStoreError as reason:
            announce_plain_path(reason, training=self.training)
        self.opened = True

    def keep_contents(self) -> int:
        if self.store is None:
            return super().keep_contents()
        self.store.keep_contents()
        return len(self.items)

    def __getitems__(self, draws: Sequence[Draw]) -> dict[str, Any]:
        if self.store is None:
            return default_collate([self[draw] for draw in draws])
        images = self.memory.allocate((len(draws), 3, *self.recipe.size(self.store[0])), self.dtype)
        erased = []
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            for draw, out in zip(draws, images, strict=True):
                self.seed_augmentation(draw)
                erased.append(self.recipe.augment_into(out, self.store[draw.image]))
        items = [self.items[draw.image] for draw in draws]
        return {
            "img": images,
            "label": torch.tensor([item.label for item in items]),
            "impath": [item.impath for item in items],
            "index": torch.tensor([draw.image for draw in draws]),
            ERASED: erased,
        }


class FastLoader(DataLoader[dict[str, Any]]):
    """Batches of `FastImages`, their images and labels finished on ``device``."""

    dataset: FastImages

    def __init__(self, dataset: FastImages, device: torch.device, **options: Any) -> None:
        super().__init__(dataset, collate_fn=_as_it_is, **options)
        self.device = device
        dataset.dtype = np.uint8 if device.type == "cuda" else np.float32

    def __iter__(self) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        self.dataset.open()  # before there are workers
        for batch in super().__iter__():
            yield self._finish(batch) if ERASED in batch else batch

    def _finish(self, batch: dict[str, Any]) -> dict[str, Any]:
        erased = batch.pop(ERASED)
        batch |= {key: batch[key].to(self.device, non_blocking=True) for key in ("img", "label")}
        if batch["img"].dtype == torch.uint8:
            batch["img"], levels = torch.empty_like(batch["img"], dtype=torch.float32), batch["img"]
            for channel in range(3):
                self.dataset.recipe.write_channel(batch["img"].unbind(1), channel, levels[:, channel])
        for image, box in zip(batch["img"], erased, strict=True):
            if box is not None:
                top, left, height, width = box
                image[:, top : top + height, left : left + width] = 0
        return batch


def _as_it_is(batch: Any) -> Any:
    return batch


def announce_plain_path(reason: Exception, *, training: bool) -> None:
    """Say why a loader takes the plain path."""
    print(f"* DATALOADER.FAST: {'training' if training else 'evaluation'} takes the plain path: {reason}")
