"""Loaders with Dassl's interface whose order and augmentation are functions of (seed, epoch, image) alone.

So a resumed run sees what the uninterrupted one would have seen, whatever the number of workers, and the
ranks of a distributed run see the slices of the one-rank run's batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tabulate import tabulate
from torch.utils.data import DataLoader

from mpafer.engine import distributed, host
from mpafer.engine.builtin.dataset import Datum
from mpafer.engine.builtin.fast import FastImages, FastLoader, announce
from mpafer.engine.builtin.images import DatasetWrapper
from mpafer.engine.builtin.recipe import NotCoveredError
from mpafer.engine.builtin.samplers import SAMPLERS, BatchSampler, balanced_weights
from mpafer.engine.builtin.transforms import build_transform
from mpafer.engine.builtin.utils import draw_run_seed


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

    ``seed``: default cfg.SEED, 0 where that is negative; set_epoch() changes it. With DATALOADER.FAST it is a
    `FastLoader` where the transform is covered.
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
    options: dict[str, Any] = {
        "batch_sampler": sampler,
        "num_workers": cfg.DATALOADER.NUM_WORKERS,
        "persistent_workers": is_train and cfg.DATALOADER.NUM_WORKERS > 0,
        "pin_memory": torch.cuda.is_available() and cfg.USE_CUDA,
        "generator": torch.Generator(),  # so that iterating leaves the global generator alone
    }
    if cfg.DATALOADER.get("FAST") and dataset_wrapper is None:
        try:
            return FastLoader(FastImages(cfg, data_source, tfm, is_train), distributed.device(cfg.USE_CUDA), **options)
        except NotCoveredError as reason:
            announce(reason, is_train)
    wrapper = dataset_wrapper or DatasetWrapper
    return DataLoader(wrapper(cfg, data_source, transform=tfm, is_train=is_train), **options)


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
