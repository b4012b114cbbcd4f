"""The config tree: what we add to Dassl's, and merging with errors that name the key meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from yacs.config import CfgNode

from mpafer import configs
from mpafer.engine import host
from mpafer.options import closest


def extend_cfg(cfg: CfgNode, *, baselines: bool | None = None) -> None:
    """Add our keys to a Dassl config tree, CoOp's own or the built-in engine's; keys that are there are left alone.

    Args:
        cfg: the tree, in place.
        baselines: add the nodes of the other methods too; by default not on real Dassl, where they are the checkout's.
    """
    from mpafer.trainers import METHODS

    ours = host.ENGINE == "builtin"
    methods = METHODS if (ours if baselines is None else baselines) else {"MPAFER": METHODS["MPAFER"]}
    _add(cfg.DATASET, SUBSAMPLE_CLASSES="all")  # all, base, new (as CoOp), or names with commas
    _add(cfg.DATASET, VAL_FRACTION=0.1)  # cut from training, stratified by seed, when a choice needs a validation set
    _add(cfg.DATASET, DESCRIPTIONS="")  # YAML or JSON, class name -> text; "" = the table of the paper's supplement
    _add(cfg.DATASET, FOLDER="ferfolder")  # FERFolder: where under ROOT; "" = ROOT itself
    _add(cfg.DATASET, FACE_BOX=-1.0)  # AffectNet's CSV, CK+: cut to the face and this share a side; below 0 = whole
    _add(cfg.DATASET, LABEL_RULE="majority")  # FERPlus: from ten votes to a label, see docs/datasets.md
    _add(cfg.DATASET, NEUTRAL="used", FRAMES=1, FOLD=0)  # CK+: neutral's source, last frames a sequence, fold 1 to 10
    _add(cfg.DATALOADER, FAST=ours, FAST_GB=8.0)  # decoded images are kept, so many gigabytes a folder; see fast.py
    _add(cfg.INPUT, RE_P=0.5, RE_SCALE=(0.02, 0.25), RE_RATIO=(0.3, 3.3))  # transform "random_erasing"
    _add(cfg.TRAIN, CLASS_WEIGHTS="none")  # of the cross-entropy, in every method: none, or balanced = N / (C n_c)
    _add(cfg.TRAIN, COMPILE=False)  # torch.compile the towers' blocks, where there is a compiler
    _add(cfg.TRAIN, CHECKPOINTING=False)  # compute activations again in the backward: less memory, a third more time
    _add(cfg.TEST, CROSS_CLASSES="keep")  # of mpafer.cross: what becomes of classes that the other data set lacks
    for method in methods.values():
        _add(cfg.TRAINER, **{method.node: CfgNode()})
        _add(cfg.TRAINER[method.node], **method.Options().node())  # CoOp and KgCoOp share theirs, as upstream


def _add(node: CfgNode, **values: object) -> None:
    for key, value in values.items():
        if key not in node:
            node[key] = value


def merge_file(cfg: CfgNode, path: str) -> None:
    """``cfg.merge_from_file`` with one clear error, and whole numbers where the tree has decimals.

    Raises:
        FileNotFoundError: no such file; lists its neighbours.
        ValueError: an unknown key (the closest known one is named) or a value of another type.
    """
    if not Path(path).is_file():
        known = ", ".join(sorted(file.stem for file in Path(path).parent.glob("*.yaml"))) or "nothing"
        raise FileNotFoundError(f"no config file {path}; that folder holds: {known}")
    try:
        node = CfgNode(yaml.safe_load(Path(path).read_text("utf-8")) or {})
    except (yaml.YAMLError, AttributeError) as error:
        raise ValueError(f"{path} is not YAML with keys and values: {error}") from error
    _merge(cfg, path, {key: CfgNode._decode_cfg_value(value) for key, value in _leaves(node)})


def dataset_file(name: str) -> str:
    """The YAML of a data set named as in configs/datasets, by its class, or by a path; "" = there is none."""
    if name.endswith((".yaml", ".yml")):
        return name
    for path in sorted((Path(*configs.__path__) / "datasets").glob("*.yaml")):
        if name in (path.stem, yaml.safe_load(path.read_text("utf-8"))["DATASET"]["NAME"]):
            return str(path)
    return ""


def merge_list(cfg: CfgNode, pairs: Sequence[str]) -> None:
    """``cfg.merge_from_list`` of KEY VALUE pairs; errors as in `merge_file`."""
    if len(pairs) % 2:
        raise ValueError(f"options come as KEY VALUE pairs, but these are {len(pairs)} words: {' '.join(pairs)}")
    values = {key: CfgNode._decode_cfg_value(text) for key, text in zip(pairs[::2], pairs[1::2], strict=True)}
    _merge(cfg, "command line", values)


# What may change between a run and its resumption: places, processes and what is shown.
_FREE = ("OUTPUT_DIR", "RESUME", "DATASET.ROOT", "DATALOADER.NUM_WORKERS", "DATALOADER.FAST_GB", "MODEL.BACKBONE.NAME",
         "USE_CUDA", "VERBOSE", "TRAIN.PRINT_FREQ", "TRAIN.COMPILE", "TRAIN.CHECKPOINTING", "TRAIN.CHECKPOINT_FREQ",
         "TEST.PER_CLASS_RESULT", "TEST.COMPUTE_CMAT", "TEST.CROSS_CLASSES")  # fmt: skip


def differences(theirs: CfgNode, ours: CfgNode, node: str = "") -> dict[str, tuple[Any, Any]]:
    """Keys whose values differ so that a run with ``ours`` is not the continuation of one with ``theirs``.

    With a method's ``node``, other methods' options do not count.
    """
    a, b = ({key: _plain(value) for key, value in _leaves(tree)} for tree in (theirs, ours))
    return {key: (a[key], b[key]) for key in a.keys() & b.keys() if _counts(key, node) and a[key] != b[key]}


def _counts(key: str, node: str) -> bool:
    of_another = node and key.count(".") > 1 and key.startswith("TRAINER.") and not key.startswith(f"TRAINER.{node}.")
    return key not in _FREE and not of_another


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value  # YAML has no tuples


def _merge(cfg: CfgNode, source: str, values: dict[str, Any]) -> None:
    known = dict(_leaves(cfg))
    for key, value in values.items():
        if value is None and any(leaf.startswith(f"{key}.") for leaf in known):
            continue  # a node without entries
        if key not in known:
            raise ValueError(f"{source}: no config key {key}: {closest(key, known)}")
        if isinstance(known[key], float) and type(value) is int:
            value = float(value)
        try:
            cfg.merge_from_list([key, value])
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from None


def _leaves(node: CfgNode, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, CfgNode):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
