"""Fingerprints of what a run is made of, beside its options: the texts and the images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from yacs.config import CfgNode

from mpafer.inputs.fingerprint import data_fingerprint, texts_fingerprint
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
