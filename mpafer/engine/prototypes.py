"""Frozen features of a data set: class prototypes, computed once and kept on disk, and features for a probe."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence

import torch
from safetensors.torch import load_file, save
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mpafer.clip import Clip
from mpafer.common.files import atomic_file, cache_folder, fingerprint
from mpafer.common.progress import progress
from mpafer.inputs.datum import Datum
from mpafer.inputs.reading import READER, read_image
from mpafer.inputs.transforms import Transform
from mpafer.prompting.teachers import class_prototypes

VERSION = 2  # of how features are computed: since 2 they leave the towers in float32
logger = logging.getLogger(__name__)


class _Images(Dataset[tuple[Tensor, int]]):
    def __init__(self, items: Sequence[Datum], transform: Transform) -> None:
        self.items, self.transform = items, transform

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        item = self.items[index]
        return self.transform(read_image(item.impath)), item.label


def _loader(
    items: Sequence[Datum], transform: Transform, batch_size: int, workers: int
) -> DataLoader[tuple[Tensor, int]]:
    return DataLoader(_Images(items, transform), batch_size, num_workers=workers, generator=torch.Generator())


@torch.no_grad()
def frozen_features(
    clip: Clip, items: Sequence[Datum], transform: Transform, batch_size: int, workers: int = 0
) -> tuple[Tensor, Tensor]:
    """Un-prompted global features [N, D] of images, float32, and their labels [N]; both on the CPU."""
    features, labels = [], []
    for images, batch in progress(_loader(items, transform, batch_size, workers), "features"):
        features.append(clip.encode_image(images.to(clip.device)).float().cpu())
        labels.append(batch)
    return torch.cat(features), torch.cat(labels)


def cached_prototypes(
    clip: Clip, items: Sequence[Datum], transform: Transform, batch_size: int, workers: int = 0, *, num_classes: int
) -> Tensor:
    """Mean un-prompted global feature of each class's images, [C, D], not normalised.

    Kept under ``$MPAFER_CACHE`` (``~/.cache/mpafer``) and a key that changes with the backbone's weights and precision,
    the images (path, size, time of change, label) and the transform. A folder that cannot be written to is a warning.

    Args:
        clip: frozen backbone.
        items: training images, with ``impath`` and ``label``.
        transform: image -> tensor, without augmentation; its ``repr`` must tell its settings, as torchvision's does.
        num_classes: C.
        batch_size: images at a time.
        workers: processes that read images.
    """
    path = cache_folder("prototypes") / f"{_key(clip, items, transform)}.safetensors"
    if path.is_file():
        logger.info("class prototypes read from %s", path)
        return load_file(path)["prototypes"].to(clip.device)
    loader = _loader(items, transform, batch_size, workers)
    prototypes = class_prototypes(clip, progress(loader, "prototypes"), num_classes)
    try:
        with atomic_file(path) as file:
            file.write(save({"prototypes": prototypes.cpu()}))
        logger.info("class prototypes of %d images written to %s", len(items), path)
    except OSError as error:
        logger.warning("class prototypes are not kept, %s cannot be written: %s", path, error)
    return prototypes


def _key(clip: Clip, items: Sequence[Datum], transform: Transform) -> str:
    labels = [item.label for item in items]
    what = [VERSION, READER, clip.fingerprint, str(clip.dtype), repr(transform), labels]
    return fingerprint(what, [item.impath for item in items])


def draw_per_class(items: Sequence[Datum], shots: int, seed: int) -> list[Datum]:
    """``shots`` images of each class, fewer where a class has fewer, by seed; all of them with ``shots`` < 1."""
    if shots < 1:
        return list(items)
    shuffled = random.Random(seed).sample(list(items), len(items))
    kept: dict[int, list[Datum]] = {}
    for item in shuffled:
        kept.setdefault(item.label, []).append(item)
    return [item for label in sorted(kept) for item in kept[label][:shots]]
