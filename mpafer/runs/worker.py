"""What the process of a run does. Importing this module imports all that runs need: the server pays for it once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from pathlib import Path

# what a run imports when it needs it, because not every command does
import joblib.externals.loky  # noqa: F401
import sklearn.linear_model
import sklearn.metrics  # noqa: F401
import torch.utils.tensorboard  # noqa: F401
import torchmetrics.functional.classification  # noqa: F401

import mpafer.runs.train  # noqa: F401
from mpafer.clip.tokens import clip_module
from mpafer.common.errors import clear_errors
from mpafer.common.processes import end_joblib, end_with_parent
from mpafer.run_config import methods
from mpafer.runs.task import Task

clip_module()
methods()


def work(task: Task, log: Path | None, gpu: str | None) -> None:
    """Do a task; all output is appended to ``log``, or goes where the server's goes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the command's, which ends its runs
    end_with_parent()  # it goes on from its last epoch when the command is started again
    usual, *_ = multiprocessing.get_all_start_methods()
    multiprocessing.set_start_method(usual, force=True)  # of its own processes: as if it had not come from a server
    if log is not None:
        with open(log, "ab", buffering=0) as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu  # before CUDA starts
    sys.stdin = open(os.devnull)  # noqa: SIM115 - as long as the process lives
    try:
        with clear_errors():
            task.run()
    finally:  # joblib's processes, which drew faces, would keep this one from ending
        end_joblib()
