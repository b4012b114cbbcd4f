"""SimpleTrainer and TrainerX: a method overrides build_model() and forward_backward(), the rest is here."""

from __future__ import annotations

import datetime
import math
import sys
import time
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from mpafer.engine import distributed
from mpafer.engine.builtin.base import TrainerBase
from mpafer.engine.builtin.data import DataManager, set_epoch
from mpafer.engine.builtin.evaluator import build_evaluator
from mpafer.engine.builtin.utils import AverageMeter, MetricMeter
from mpafer.engine.checkpoint import prune_checkpoints
from mpafer.engine.predict import Predictions, collect_predictions
from mpafer.engine.progress import progress


class SimpleTrainer(TrainerBase):
    """Data, evaluation, checkpoints and hooks for a classifier.

    Beside Dassl's attributes: ``seed`` of the run (cfg.SEED, or drawn once where that is negative) and, after
    test(), ``predictions`` with every image's scores, label and path.
    """

    predictions: Predictions | None = None

    def __init__(self, cfg: Any) -> None:
        super().__init__()
        distributed.init(cfg.USE_CUDA)
        self.check_cfg(cfg)
        self.cfg = cfg
        self.device = distributed.device(cfg.USE_CUDA)
        self.max_epoch: int = cfg.OPTIM.MAX_EPOCH
        self.output_dir: str = cfg.OUTPUT_DIR
        self.best_result = -math.inf
        self.build_data_loader()
        self.seed: int = self.dm.seed
        self._check_selection()
        self.build_model()
        self.evaluator = build_evaluator(cfg, lab2cname=self.lab2cname)

    def check_cfg(self, cfg: Any) -> None:
        """A method's place to reject settings it cannot work with."""

    def build_data_loader(self) -> None:
        self.dm = DataManager(self.cfg)
        self.train_loader_x, self.train_loader_u = self.dm.train_loader_x, self.dm.train_loader_u
        self.val_loader, self.test_loader = self.dm.val_loader, self.dm.test_loader
        self.num_classes, self.lab2cname = self.dm.num_classes, self.dm.lab2cname
        self.num_source_domains = self.dm.num_source_domains

    def build_model(self) -> None:
        """Build the model and register what is trained."""
        raise NotImplementedError("build_model() is the method's; the built-in engine has no default network")

    def model_inference(self, input: Tensor) -> Tensor:
        """Images [B, 3, H, W] -> scores [B, C]."""
        raise NotImplementedError

    def forward_backward(self, batch: dict[str, Any]) -> dict[str, Any]:
        """One training step; returns what to log. Tensors are read when they are printed, not before."""
        raise NotImplementedError

    def parse_batch_test(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        return tuple(batch[key].to(self.device, non_blocking=True) for key in ("img", "label"))

    def _check_selection(self) -> None:
        """A choice is made on validation images or not at all: there is no falling back to the test split."""
        cfg = self.cfg.TEST
        for key, choices in (("FINAL_MODEL", ("last_step", "best_val")), ("SPLIT", ("test", "val"))):
            if cfg[key] not in choices:
                raise ValueError(f"TEST.{key} is {cfg[key]!r}; choose one of {', '.join(choices)}")
        if self.val_loader is None and (cfg.FINAL_MODEL == "best_val" or cfg.SPLIT == "val"):
            raise ValueError(
                f"TEST.FINAL_MODEL={cfg.FINAL_MODEL}, TEST.SPLIT={cfg.SPLIT}: {self.cfg.DATASET.NAME} has no "
                "validation split, and nothing is chosen on test images; "
                "cut one from training or use last_step and test"
            )

    # --- training

    def train(self) -> None:  # type: ignore[override]
        super().train(self.start_epoch, self.max_epoch)

    def extra_state(self) -> dict[str, Any]:
        return super().extra_state() | {"best_result": float(self.best_result), "seed": self.seed}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        super().load_extra_state(state)
        self.best_result, self.seed = state["best_result"], state["seed"]

    def before_train(self) -> None:
        if self.cfg.RESUME and not Path(self.cfg.RESUME).is_dir():
            raise FileNotFoundError(f"RESUME={self.cfg.RESUME}: there is no such folder")
        self.start_epoch = self.resume_model_if_exist(self.cfg.RESUME or self.output_dir)
        if self.cfg.RESUME and not self.start_epoch:
            raise FileNotFoundError(f"RESUME={self.cfg.RESUME}: there is no checkpoint in that folder")
        if self.start_epoch > self.max_epoch:
            raise ValueError(f"{self.output_dir} has {self.start_epoch} epochs, OPTIM.MAX_EPOCH={self.max_epoch}")
        self.epoch = max(self.start_epoch - 1, 0)  # for a finished run, which has only its test to come
        self.init_writer(str(Path(self.output_dir) / "tensorboard"))
        self.time_start = time.time()

    def after_epoch(self) -> None:
        """Choose on validation images where asked to, then save for resuming; only the latest epoch is kept,
        and every CHECKPOINT_FREQ-th."""
        if not self.cfg.TEST.NO_TEST and self.cfg.TEST.FINAL_MODEL == "best_val":
            result = self.test(split="val")
            if result > self.best_result:
                self.best_result = result
                self.save_model(self.epoch, self.output_dir, val_result=result, model_name="model-best.pth.tar")
        self.save_model(self.epoch, self.output_dir)
        if distributed.is_main():
            frequency = self.cfg.TRAIN.CHECKPOINT_FREQ
            for name in self.get_model_names():
                folder = Path(self.output_dir) / name
                prune_checkpoints(folder, keep=lambda epoch: frequency > 0 and epoch % frequency == 0)

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
        self.close_writer()

    # --- evaluation

    def test(self, split: str | None = None) -> float:
        """Evaluate on ``split`` (test or val; default TEST.SPLIT); returns the evaluator's first figure."""
        split = split or self.cfg.TEST.SPLIT
        loader = {"test": self.test_loader, "val": self.val_loader}.get(split)
        if loader is None:
            raise ValueError(f"no {split!r} split to evaluate on: {self.cfg.DATASET.NAME} has no such images")
        self.set_model_mode("eval")
        self.evaluator.reset()
        print(f"Evaluate on the *{split}* set")
        self.predictions = collect_predictions(loader, self._infer)
        self.evaluator.process(self.predictions.scores, self.predictions.labels)
        results = self.evaluator.evaluate()
        for name, value in results.items():
            self.write_scalar(f"{split}/{name}", value, self.epoch)
        return next(iter(results.values()))

    def _infer(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        images, labels = self.parse_batch_test(batch)
        return self.model_inference(images), labels


class TrainerX(SimpleTrainer):
    """Training on labelled images."""

    def parse_batch_train(self, batch: dict[str, Any]) -> Any:
        return tuple(batch[key].to(self.device, non_blocking=True) for key in ("img", "label", "domain"))

    def run_epoch(self) -> None:
        self.set_model_mode("train")
        set_epoch(self.train_loader_x, self.epoch, self.seed)
        losses, batch_time, data_time = MetricMeter(), AverageMeter(), AverageMeter()
        self.num_batches = len(self.train_loader_x)
        every = min(self.cfg.TRAIN.PRINT_FREQ, self.num_batches + 1)
        steps: list[tuple[Any, float, int]] = []  # not logged yet
        end = time.time()
        for batch_idx, batch in enumerate(progress(self.train_loader_x, f"epoch {self.epoch + 1}")):
            self.batch_idx = batch_idx
            data_time.update(time.time() - end)
            steps.append((self.forward_backward(batch), self.get_current_lr(), batch_idx))
            if printing := (batch_idx + 1) % every == 0 or self.num_batches < every:
                self.log_steps(steps, losses)
            batch_time.update(time.time() - end)
            if printing:
                with tqdm.external_write_mode(file=sys.stdout):  # keep the bar out of the line's way
                    print(self._progress_line(losses, batch_time, data_time))
            end = time.time()
        self.log_steps(steps, losses)

    def _progress_line(self, losses: MetricMeter, batch_time: AverageMeter, data_time: AverageMeter) -> str:
        left = (self.max_epoch - self.epoch) * self.num_batches - self.batch_idx - 1
        return (
            f"epoch [{self.epoch + 1}/{self.max_epoch}] "
            f"batch [{self.batch_idx + 1}/{self.num_batches}] "
            f"time {batch_time.val:.3f} ({batch_time.avg:.3f}) "
            f"data {data_time.val:.3f} ({data_time.avg:.3f}) "
            f"{losses} "
            f"lr {self.get_current_lr():.4e} "
            f"eta {datetime.timedelta(seconds=int(batch_time.avg * left))}"
        )
