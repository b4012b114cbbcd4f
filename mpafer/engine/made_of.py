"""Fingerprints of what a run is made of, beside its options: the texts and the images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from yacs.config import CfgNode

from mpafer.common import distributed
from mpafer.common.identity import NOT_READ
from mpafer.engine.state import RunState
from mpafer.inputs.fingerprint import data_fingerprint, once_read, texts_fingerprint
from mpafer.prompting.descriptions import load_descriptions


def of_texts(cfg: CfgNode, classnames: Sequence[str], accepts: Sequence[str]) -> dict[str, str]:
    """Of the descriptions that the user gave, where the method accepts them.

    Args:
        cfg: DATASET.DESCRIPTIONS is read.
        classnames: in label order.
        accepts: the method's, see `PromptTrainer`.
    """
    path = cfg.DATASET.DESCRIPTIONS if "descriptions" in accepts else ""
    return {"texts": texts_fingerprint(load_descriptions(path, classnames))} if path else {}


def of_images(cfg: CfgNode, dataset: Any) -> dict[str, str]:
    """Of all images that were found.

    Args:
        cfg: DATASET.ROOT is read.
        dataset: with ``splits``; another code's has none, and is not compared.
    """
    return data_fingerprint(getattr(dataset, "splits", {}), str(cfg.DATASET.ROOT))


def enter_images_read(run: RunState) -> None:
    """Enter into ``run.made_of`` the images' contents that were not known, where the run has read more images since.

    All processes of the run do it together.
    """
    if NOT_READ not in run.made_of.values():
        return
    read = run.dm.keep_contents()
    distributed.barrier()  # the other processes have kept what they read
    if distributed.from_main(read > run.images_read):
        found = once_read(getattr(run.dm.dataset, "splits", {}), run.made_of) if distributed.is_main() else {}
        run.images_read, run.made_of = read, {**run.made_of, **distributed.from_main(found)}
