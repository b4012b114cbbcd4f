"""The loop: build, train by epochs and steps, choose on validation images, test. `saving` says how it is resumed."""

from __future__ import annotations

import datetime
import time
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from yacs.config import CfgNode

from mpafer.common import distributed
from mpafer.common.errors import OptionError
from mpafer.common.memory import no_search_for_cycles
from mpafer.common.progress import progress
from mpafer.common.ranges import check_ranges
from mpafer.engine import saving
from mpafer.engine.checkpoint import prune_checkpoints
from mpafer.engine.epoch_log import EpochLog
from mpafer.engine.made_of import enter_images_read
from mpafer.engine.record import record_run
from mpafer.engine.selection import check_selection
from mpafer.engine.state import RunState
from mpafer.evaluation.dassl_lines import print_report, save_confusion
from mpafer.evaluation.metrics import classification_metrics
from mpafer.evaluation.predictions import collect_predictions
from mpafer.inputs.datum import SplitDataset
from mpafer.inputs.loaders import DataManager, set_epoch


class Trainer(RunState):
    """Trains and tests one model. A subclass says where data and model come from: `load_dataset`, `build_model`.

    `build_model` sets ``model`` and, where something learns, ``trained``, ``optim``, ``sched`` and ``parallel``. The
    model maps images [B, 3, H, W] to an answer with ``logits`` [B, C], and has ``losses(answer, labels)``, a dictionary
    of terms whose sum is minimised.
    """

    learns: ClassVar[bool] = True  # False: a result depends on neither seed nor training images

    def __init__(self, cfg: CfgNode, *, eval_only: bool = False) -> None:
        self.eval_only = eval_only
        distributed.init(cfg.USE_CUDA)
        check_ranges(cfg, learns=self.learns)
        self.check_cfg(cfg)
        super().__init__(cfg)
        with no_search_for_cycles():
            self.dm = DataManager(cfg, self.load_dataset(cfg))
            self.seed, self.classnames, self.display_names = self.dm.seed, self.dm.classnames, self.dm.display_names
            check_selection(cfg, has_val=self.dm.val_loader is not None)
            self.build_model()

    def check_cfg(self, cfg: CfgNode) -> None:
        """A method's place to reject settings it cannot work with."""

    def load_dataset(self, cfg: CfgNode) -> SplitDataset:
        """The data set that cfg.DATASET names."""
        raise NotImplementedError

    def build_model(self) -> None:
        raise NotImplementedError

    # --- training

    def train(self) -> None:
        """All epochs that are left, then the test. A method that learns nothing is only tested."""
        if self.trained is None:
            self.test()
            return
        self.before_train()
        for epoch in range(self.start_epoch, self.max_epoch):
            self.epoch = epoch
            start = time.perf_counter()
            self.run_epoch()
            self.loss_check.raise_if_broken()  # no checkpoint of a broken run
            self.train_seconds += time.perf_counter() - start
            enter_images_read(self)  # before a checkpoint, which says it
            self.after_epoch()
        self.after_train()

    def before_train(self) -> None:
        self.start_epoch = saving.resume(self, self.cfg.RESUME)
        self.epoch = max(self.start_epoch - 1, 0)  # for a finished run, which has only its test to come
        self.tensorboard.open(Path(self.output_dir) / "tensorboard")
        self.time_start = time.time()

    def run_epoch(self) -> None:
        """Every batch once."""
        self.model.train()
        loader = self.dm.train_loader
        set_epoch(loader, self.epoch, self.seed)
        self.num_batches = len(loader)
        log = EpochLog(self)
        for batch_idx, batch in enumerate(progress(loader, f"epoch {self.epoch + 1}")):
            self.batch_idx = batch_idx
            log.batch_arrived()
            log.step_done(self.step(batch))
        log.write()

    def step(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """One step of the optimiser, and after an epoch's last batch of the schedule.

        Returns:
            What is logged, as tensors: reading them makes the device wait.
        """
        images, labels = self.to_device(batch)
        out = self.parallel(images)
        terms = self.model.losses(out, labels)
        loss = torch.stack(list(terms.values())).sum()
        where = f"epoch [{self.epoch + 1}/{self.max_epoch}] batch [{self.batch_idx + 1}/{self.num_batches}]"
        self.loss_check.add(where, loss, terms)
        self.optim.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optim)  # under mixed precision a step with overflown gradients is left out
        self.scaler.update()
        if self.batch_idx + 1 == self.num_batches:
            self.sched.step()
        accuracy = 100 * (out.logits.argmax(dim=1) == labels).float().mean()
        return {"loss": loss.detach(), "acc": accuracy} | {name: term.detach() for name, term in terms.items()}

    def after_epoch(self) -> None:
        """Choose on validation images where asked to, then save for resuming; only the latest epoch is kept,
        and every CHECKPOINT_FREQ-th."""
        if not self.cfg.TEST.NO_TEST and self.cfg.TEST.FINAL_MODEL == "best_val":
            result = self.test(split="val")
            if result > self.best_result:
                self.best_result = result
                saving.save(self, val_result=result, best=True)
        saving.save(self)
        if distributed.is_main():
            frequency = self.cfg.TRAIN.CHECKPOINT_FREQ
            prune_checkpoints(
                saving.checkpoint_folder(self.output_dir), lambda epoch: frequency > 0 and epoch % frequency == 0
            )

    def after_train(self) -> None:
        print("Finish training\nFinished training")  # what CoOp's and MaPLe's parse_test_res.py wait for
        distributed.barrier()  # rank 0 may still be writing what the others load
        if not self.cfg.TEST.NO_TEST:
            if self.cfg.TEST.FINAL_MODEL == "best_val":
                print("Deploy the model with the best val performance")
                self.load_model(self.output_dir)
            else:
                print("Deploy the last-epoch model")
            self.test()
        print(f"Elapsed: {datetime.timedelta(seconds=round(time.time() - self.time_start))}")
        self.tensorboard.close()

    def to_device(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """A batch's images [B, 3, H, W] and labels [B]."""
        images, labels = (batch[key].to(self.device, non_blocking=True) for key in ("img", "label"))
        return images, labels

    # --- evaluation

    def test(self, split: str | None = None) -> float:
        """Evaluate on a split, and where none is named write results.json and scores.npz.

        Args:
            split: test or val; default TEST.SPLIT.

        Returns:
            The accuracy in percent.

        Raises:
            OptionError: the data set has no such images.
        """
        chosen = split or self.cfg.TEST.SPLIT
        loader = {"test": self.dm.test_loader, "val": self.dm.val_loader}.get(chosen)
        if loader is None:
            raise OptionError(f"no {chosen!r} split to evaluate on: {self.cfg.DATASET.NAME} has no such images")
        self.model.eval()
        print(f"Evaluate on the *{chosen}* set")
        self.predictions = collect_predictions(loader, self._infer)
        self.metrics = classification_metrics(self.predictions.labels, self.predictions.scores, self.display_names)
        print_report(self.metrics, per_class=self.cfg.TEST.PER_CLASS_RESULT)
        if self.cfg.TEST.COMPUTE_CMAT:
            save_confusion(self.metrics["confusion"], Path(self.output_dir) / "cmat.pt")
        for name in ("accuracy", "macro_f1", "uar", "ece"):
            self.tensorboard.write(f"{chosen}/{name}", self.metrics[name], self.epoch)
        if split is None:
            enter_images_read(self)
            if distributed.is_main():
                record_run(self)
        return self.metrics["accuracy"]

    def _infer(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        images, labels = self.to_device(batch)
        return self.model(images).logits, labels

    def load_model(self, directory: str, epoch: int | None = None) -> None:
        """Load, strictly, the weights after ``epoch`` epochs; by default the best ones, or else the last."""
        saving.load(self, directory, epoch)
