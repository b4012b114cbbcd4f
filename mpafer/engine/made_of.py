"""Fingerprints of what a run is made of, beside its options: the texts and the images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from yacs.config import CfgNode

from mpafer.inputs.fingerprint import data_fingerprint, texts_fingerprint
from mpafer.prompting.descriptions import load_descriptions


def texts_and_images(cfg: CfgNode, dataset: Any, classnames: Sequence[str], accepts: Sequence[str]) -> dict[str, str]:
    """Of the descriptions that the user gave, where the method accepts them, and of all images that were found.

    Args:
        cfg: DATASET.ROOT and DATASET.DESCRIPTIONS are read.
        dataset: with ``splits``; another code's has none, and is not compared.
        classnames: in label order.
        accepts: the method's, see `PromptTrainer`.
    """
    root, path = str(cfg.DATASET.ROOT), cfg.DATASET.DESCRIPTIONS if "descriptions" in accepts else ""
    texts = {"texts": texts_fingerprint(load_descriptions(path, classnames))} if path else {}
    return texts | data_fingerprint(getattr(dataset, "splits", {}), root)
