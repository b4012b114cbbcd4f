"""Loaders with Dassl's interface whose order and augmentation are functions of (seed, epoch, image) alone.

So a resumed run sees what the uninterrupted one would have seen, whatever the number of workers, and the
ranks of a distributed run see the slices of the one-rank run's batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from tabulate import tabulate
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms as T

from mpafer.engine import distributed, host
from mpafer.engine.builtin.dataset import Datum
from mpafer.engine.builtin.samplers import AUGMENTATION, SAMPLERS, BatchSampler, balanced_weights
from mpafer.engine.builtin.transforms import build_transform, interpolation_mode
from mpafer.engine.builtin.utils import derive_seed, draw_run_seed


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
        self.seed, self.epoch = max(cfg.SEED, 0), 0

    def set_epoch(self, epoch: int, seed: int) -> None:
        self.epoch, self.seed = epoch, seed

    def __len__(self) -> int:
        return len(self.data_source)

    def __getitem__(self, index: int) -> dict[str, Any]:
        repetition, index = divmod(index, len(self))  # as `BatchSampler` says it
        keys = (index, repetition) if repetition else (index,)
        item = self.data_source[index]
        image = read_image(item.impath)
        output = {"label": item.label, "domain": item.domain, "impath": item.impath, "index": index}
        with torch.random.fork_rng(devices=[]):
            # the default generator alone: torch.manual_seed would reseed the GPUs too
            torch.default_generator.manual_seed(derive_seed(AUGMENTATION, self.seed, self.epoch, *keys))
            for i, transform in enumerate(self.transforms):
                output[f"img{i + 1}" if i else "img"] = self._apply(transform, image)
        if self.plain is not None:
            output["img0"] = self.plain(image)
        return output

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
        raise OSError(f"cannot read the image {path}: {error}") from error


def build_data_loader(
    cfg: Any,
    sampler_type: str = "SequentialSampler",
    data_source: Sequence[Datum] | None = None,
    batch_size: int = 64,
    tfm: Any = None,
    is_train: bool = True,
    dataset_wrapper: Any = None,
    seed: int | None = None,
) -> DataLoader[dict[str, Any]]:
    """A loader over ``data_source``. Training drops an incomplete last batch unless it is the only one.

    ``seed``: default cfg.SEED, 0 where that is negative; set_epoch() changes it.
    """
    if sampler_type not in SAMPLERS:
        raise ValueError(f"sampler {sampler_type!r} is not in the built-in engine: use one of {', '.join(SAMPLERS)}")
    balanced = sampler_type == "BalancedSampler"
    if balanced and not is_train:
        raise ValueError("BalancedSampler draws training images; an evaluation takes every image once")
    if not data_source:
        raise ValueError(f"no images to load for {'training' if is_train else 'evaluation'} ({cfg.DATASET.NAME})")
    ranks = distributed.world_size()
    if is_train and min(batch_size, len(data_source)) % ranks:
        raise ValueError(
            f"a batch of {min(batch_size, len(data_source))} images cannot be split evenly over {ranks} processes"
        )
    sampler = BatchSampler(
        len(data_source),
        batch_size,
        shuffle=sampler_type == "RandomSampler",
        drop_last=is_train and len(data_source) >= batch_size,
        seed=max(cfg.SEED, 0) if seed is None else seed,
        weights=balanced_weights([item.label for item in data_source]) if balanced else None,
    )
    return DataLoader(
        (dataset_wrapper or DatasetWrapper)(cfg, data_source, transform=tfm, is_train=is_train),
        batch_sampler=sampler,
        num_workers=cfg.DATALOADER.NUM_WORKERS,
        pin_memory=torch.cuda.is_available() and cfg.USE_CUDA,
        generator=torch.Generator(),  # so that iterating leaves the global generator alone
    )


def set_epoch(loader: Any, epoch: int, seed: int) -> None:
    """Tell a loader's sampler and data set which epoch of which run comes next."""
    for part in (loader.batch_sampler, loader.dataset):
        if hasattr(part, "set_epoch"):
            part.set_epoch(epoch, seed)


class DataManager:
    """A data set, its transforms and loaders: train_loader_x, test_loader, val_loader (or None)."""

    def __init__(
        self, cfg: Any, custom_tfm_train: Any = None, custom_tfm_test: Any = None, dataset_wrapper: Any = None
    ) -> None:
        self.dataset = host.build_dataset(cfg)  # from the host's registry: Dassl's, where our trainers run there
        self.seed = cfg.SEED if cfg.SEED >= 0 else draw_run_seed()
        tfm_train = self._transform(cfg, custom_tfm_train, is_train=True)
        tfm_test = self._transform(cfg, custom_tfm_test, is_train=False)

        def loader(data_source: Any, node: Any, tfm: Any, is_train: bool) -> DataLoader[dict[str, Any]]:
            return build_data_loader(
                cfg, node.SAMPLER, data_source, node.BATCH_SIZE, tfm, is_train, dataset_wrapper, self.seed
            )

        nodes, dataset = cfg.DATALOADER, self.dataset
        node_u = nodes.TRAIN_X if nodes.TRAIN_U.SAME_AS_X else nodes.TRAIN_U
        self.train_loader_x = loader(dataset.train_x, nodes.TRAIN_X, tfm_train, True)
        self.train_loader_u = loader(dataset.train_u, node_u, tfm_train, True) if dataset.train_u else None
        self.val_loader = loader(dataset.val, nodes.TEST, tfm_test, False) if dataset.val else None
        self.test_loader = loader(dataset.test, nodes.TEST, tfm_test, False)
        self.num_classes: int = dataset.num_classes
        self.num_source_domains = len(cfg.DATASET.SOURCE_DOMAINS)
        self.lab2cname: dict[int, str] = dataset.lab2cname
        if cfg.VERBOSE:
            self.show_dataset_summary(cfg)

    @staticmethod
    def _transform(cfg: Any, custom: Any, is_train: bool) -> Any:
        if custom is None:
            return build_transform(cfg, is_train=is_train)
        print(f"* Using custom transform for {'training' if is_train else 'testing'}")
        return custom

    def show_dataset_summary(self, cfg: Any) -> None:
        rows: list[tuple[str, Any]] = [("Dataset", cfg.DATASET.NAME)]
        rows += [("Source", cfg.DATASET.SOURCE_DOMAINS)] if cfg.DATASET.SOURCE_DOMAINS else []
        rows += [("Target", cfg.DATASET.TARGET_DOMAINS)] if cfg.DATASET.TARGET_DOMAINS else []
        rows += [("# classes", f"{self.num_classes:,}")]
        for split in ("train_x", "train_u", "val", "test"):
            images = getattr(self.dataset, split)
            rows += [(f"# {split}", f"{len(images):,}")] if images else []
        print(tabulate(rows))
