"""Frozen features of a data set: class prototypes, computed once and kept on disk, and features for a probe."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mpafer.clip import Clip
from mpafer.common.files import atomic_file, cache_folder
from mpafer.common.progress import progress
from mpafer.common.sealed import UnfitError, checksum, key_of
from mpafer.inputs.datum import Datum
from mpafer.inputs.first_read import read_image_content
from mpafer.inputs.hashing import Content, content_hashes, remember
from mpafer.inputs.reading import READER, UnreadableImageError
from mpafer.inputs.transforms import Transform
from mpafer.prompting.teachers import class_prototypes

VERSION = 2  # of how features are computed: since 2 they leave the towers in float32
logger = logging.getLogger(__name__)


class _Images(Dataset[tuple[Tensor, int, Content]]):
    def __init__(self, items: Sequence[Datum], transform: Transform) -> None:
        self.items, self.transform = items, transform

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, int, Content]:
        item = self.items[index]
        image, content = read_image_content(item.impath)
        return self.transform(image), item.label, content


def _batches(
    items: Sequence[Datum], transform: Transform, batch_size: int, workers: int, what: str, contents: list[Content]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Images [B, 3, H, W] and labels [B]; what the files held is added to ``contents``."""
    images = _Images(items, transform)
    loader = DataLoader(
        images, batch_size, num_workers=workers, generator=torch.Generator(), collate_fn=_collate
    )  # fmt: skip
    for batch, labels, read in progress(loader, what):
        contents.extend(read)
        yield batch, labels


def _collate(samples: Sequence[tuple[Tensor, int, Content]]) -> tuple[Tensor, Tensor, list[Content]]:
    images, labels, contents = zip(*samples, strict=True)
    return torch.stack(images), torch.tensor(labels), list(contents)


@torch.no_grad()
def frozen_features(
    clip: Clip, items: Sequence[Datum], transform: Transform, batch_size: int, workers: int = 0
) -> tuple[Tensor, Tensor]:
    """Un-prompted global features [N, D] of images, float32, and their labels [N]; both on the CPU."""
    features, labels = [], []
    contents: list[Content] = []
    for images, batch in _batches(items, transform, batch_size, workers, "features", contents):
        features.append(clip.encode_image(images.to(clip.device)).float().cpu())
        labels.append(batch)
    remember(contents)
    return torch.cat(features), torch.cat(labels)


def cached_prototypes(
    clip: Clip, items: Sequence[Datum], transform: Transform, batch_size: int, workers: int = 0, *, num_classes: int
) -> Tensor:
    """Mean un-prompted global feature of each class's images, [C, D], not normalised.

    Kept under ``$MPAFER_CACHE`` (``~/.cache/mpafer``) and a key that changes with the backbone's weights and precision,
    the images' paths and labels, and the transform. What does not fit is made again: a damaged file, and one of images
    whose contents were others. A folder that cannot be written to is a warning.

    Args:
        clip: frozen backbone.
        items: training images, with ``impath`` and ``label``.
        transform: image -> tensor, without augmentation; its ``repr`` must tell its settings, as torchvision's does.
        num_classes: C.
        batch_size: images at a time.
        workers: processes that read images.
    """
    what = [VERSION, READER, clip.fingerprint, str(clip.dtype), repr(transform), num_classes]
    key = key_of([what, [(item.impath, item.label) for item in items]])
    path = cache_folder("prototypes") / f"{key}.safetensors"
    try:
        prototypes = _read(path, key, items).to(clip.device)
        logger.info("class prototypes read from %s", path)
        return prototypes
    except (FileNotFoundError, UnreadableImageError):  # the second: reading it to compute them says so
        pass
    except (UnfitError, OSError) as error:
        logger.warning("the class prototypes in %s are made again: %s", path, error)
    contents: list[Content] = []
    batches = _batches(items, transform, batch_size, workers, "prototypes", contents)
    prototypes = class_prototypes(clip, batches, num_classes)
    remember(contents)
    try:
        _write(path, key, prototypes.cpu().contiguous(), [content.digest for content in contents])
        logger.info("class prototypes of %d images written to %s", len(items), path)
    except OSError as error:
        logger.warning("class prototypes are not kept, %s cannot be written: %s", path, error)
    return prototypes


def _write(path: Path, key: str, prototypes: Tensor, contents: Sequence[str]) -> None:
    of = key_of(contents)
    about = {"key": key, "contents": of, "checksum": _checksum(key, of, prototypes)}
    with atomic_file(path) as file:
        file.write(save({"prototypes": prototypes}, about))


def _read(path: Path, key: str, items: Sequence[Datum]) -> Tensor:
    """Prototypes of these images as they are now.

    Raises:
        FileNotFoundError: none are kept.
        UnreadableImageError: an image that is gone.
        UnfitError: they are damaged, or of other images.
    """
    if not path.is_file():
        raise FileNotFoundError(path)
    try:
        with safe_open(path, "pt") as file:
            about, prototypes = file.metadata() or {}, file.get_tensor("prototypes")
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise UnfitError("the file is damaged") from error
    of = about.get("contents", "")
    if about.get("checksum") != _checksum(key, of, prototypes):
        raise UnfitError("the file is damaged, or was made from something else")
    if of != key_of(content_hashes([item.impath for item in items])):
        raise UnfitError("images have changed")
    return prototypes


def _checksum(key: str, contents: str, prototypes: Tensor) -> str:
    about = f"{key} {contents} {prototypes.dtype} {list(prototypes.shape)}"
    return checksum(about, prototypes.view(torch.uint8).numpy())


def draw_per_class(items: Sequence[Datum], shots: int, seed: int) -> list[Datum]:
    """``shots`` images of each class, fewer where a class has fewer, by seed; all of them with ``shots`` < 1."""
    if shots < 1:
        return list(items)
    shuffled = random.Random(seed).sample(list(items), len(items))
    kept: dict[int, list[Datum]] = {}
    for item in shuffled:
        kept.setdefault(item.label, []).append(item)
    return [item for label in sorted(kept) for item in kept[label][:shots]]
