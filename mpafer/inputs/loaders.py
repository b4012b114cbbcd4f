"""Loaders whose order and augmentation are functions of (seed, epoch, image) alone.

So a resumed run sees what the uninterrupted one would have seen, whatever the number of workers, and the
ranks of a distributed run see the slices of the one-rank run's batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tabulate import tabulate
from torch.utils.data import DataLoader
from torchvision import transforms as T
from yacs.config import CfgNode

from mpafer.common import distributed
from mpafer.common.errors import DataError, OptionError
from mpafer.common.options import check_choice
from mpafer.common.processes import end_with_parent
from mpafer.common.seeds import draw_run_seed
from mpafer.inputs.datum import Datum, SplitDataset
from mpafer.inputs.fast import FastImages, FastLoader, announce_plain_path
from mpafer.inputs.images import PlainImages
from mpafer.inputs.recipe import NotCoveredError
from mpafer.inputs.samplers import SAMPLERS, BatchSampler, image_weights
from mpafer.inputs.transforms import compose, plain_transform, training_steps

Loader = DataLoader[dict[str, Any]]


def build_loader(
    cfg: CfgNode,
    items: Sequence[Datum],
    transform: T.Compose,
    *,
    sampler: str = "SequentialSampler",
    batch_size: int = 64,
    training: bool = False,
    seed: int | None = None,
) -> Loader:
    """A loader over ``items``; a batch has img, label, impath and index.

    Training drops an incomplete last batch unless it is the only one. With DATALOADER.FAST it is a `FastLoader` where
    the transform is covered.

    Args:
        cfg: DATALOADER, DATASET.ROOT and NAME, SEED and USE_CUDA are read.
        items: the images.
        transform: PIL image -> [3, H, W].
        sampler: one of SAMPLERS.
        batch_size: images a batch, of all ranks together.
        training: whether the images are augmented anew each epoch, as `set_epoch` says.
        seed: default cfg.SEED, 0 where that is negative.

    Raises:
        OptionError: another sampler, or a batch that the ranks cannot share evenly.
        DataError: no images.
    """
    check_choice(f"DATALOADER.{'TRAIN_X' if training else 'TEST'}.SAMPLER", sampler, SAMPLERS)
    balanced = sampler == "BalancedSampler"
    if balanced and not training:
        raise OptionError("BalancedSampler draws training images; an evaluation takes every image once")
    if not items:
        raise DataError(f"no images to load for {'training' if training else 'evaluation'} ({cfg.DATASET.NAME})")
    ranks = distributed.world_size()
    if training and min(batch_size, len(items)) % ranks:
        raise OptionError(
            f"a batch of {min(batch_size, len(items))} images cannot be split evenly over {ranks} processes"
        )
    batches = BatchSampler(
        len(items),
        batch_size,
        shuffle=sampler == "RandomSampler",
        drop_last=training and len(items) >= batch_size,
        seed=max(cfg.SEED, 0) if seed is None else seed,
        weights=image_weights([item.label for item in items]) if balanced else None,
    )
    options: dict[str, Any] = {
        "batch_sampler": batches,
        "num_workers": cfg.DATALOADER.NUM_WORKERS,
        "persistent_workers": training and cfg.DATALOADER.NUM_WORKERS > 0,
        "pin_memory": torch.cuda.is_available() and cfg.USE_CUDA,
        "worker_init_fn": end_with_parent,
        "generator": torch.Generator(),  # so that iterating leaves the global generator alone
    }
    start = max(cfg.SEED, 0)
    if cfg.DATALOADER.FAST:
        try:
            images = FastImages(items, transform, start, cfg.DATASET.ROOT, cfg.DATALOADER.FAST_GB, training=training)
            return FastLoader(images, distributed.device(cfg.USE_CUDA), **options)
        except NotCoveredError as reason:
            announce_plain_path(reason, training=training)
    return DataLoader(PlainImages(items, transform, start), **options)


def set_epoch(loader: Any, epoch: int, seed: int) -> None:
    """Tell a loader's sampler and data set which epoch of which run comes next."""
    loader.batch_sampler.set_epoch(epoch, seed)
    loader.dataset.set_epoch(epoch, seed)


class DataManager:
    """A data set's loaders: train_loader, val_loader (None without such images) and test_loader.

    Args:
        cfg: INPUT and what `build_loader` reads.
        dataset: one of ours, or of Dassl's.
    """

    def __init__(self, cfg: CfgNode, dataset: SplitDataset) -> None:
        self.dataset = dataset
        self.seed = cfg.SEED if cfg.SEED >= 0 else draw_run_seed()
        augmenting = compose(training_steps(cfg.INPUT), print_as="train")
        self.plain_transform = plain_transform(cfg.INPUT, print_as="test")
        nodes = cfg.DATALOADER

        def evaluated(items: Sequence[Datum]) -> Loader:
            node = nodes.TEST
            return build_loader(
                cfg, items, self.plain_transform, sampler=node.SAMPLER, batch_size=node.BATCH_SIZE, seed=self.seed
            )

        self.train_loader = build_loader(
            cfg, dataset.train_x, augmenting, sampler=nodes.TRAIN_X.SAMPLER, batch_size=nodes.TRAIN_X.BATCH_SIZE,
            training=True, seed=self.seed,
        )  # fmt: skip
        self.val_loader = evaluated(dataset.val) if dataset.val else None
        self.test_loader = evaluated(dataset.test)
        self.num_classes: int = dataset.num_classes
        self.classnames: list[str] = [dataset.lab2cname[label] for label in range(self.num_classes)]
        self.display_names: list[str] = list(getattr(dataset, "display_names", self.classnames))
        if cfg.VERBOSE:
            self.show_dataset_summary(cfg.DATASET.NAME)

    def note_contents(self) -> None:
        """From here on note what the image files hold when they are first read."""
        for loader in self._loaders():
            loader.dataset.note_contents()

    def keep_contents(self) -> int:
        """Remember what was noted; how many images were read so far."""
        return sum(loader.dataset.keep_contents() for loader in self._loaders())

    def _loaders(self) -> list[Any]:
        return [loader for loader in (self.train_loader, self.val_loader, self.test_loader) if loader]

    def show_dataset_summary(self, name: str) -> None:
        """Dassl's table of the data set's size."""
        rows: list[tuple[str, Any]] = [("Dataset", name), ("# classes", f"{self.num_classes:,}")]
        for split in ("train_x", "val", "test"):
            images = getattr(self.dataset, split)
            rows += [(f"# {split}", f"{len(images):,}")] if images else []
        print(tabulate(rows))
