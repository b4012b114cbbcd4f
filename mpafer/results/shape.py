"""What the values of a results file must be, so that no table fails on one that somebody has edited."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_text, value))


def is_tree(value: Any) -> bool:
    return isinstance(value, dict)


def is_figure(value: Any) -> bool:
    """A number that may be unknown."""
    return value is None or is_number(value)


def is_recall(value: Any) -> bool:
    return isinstance(value, dict) and all(map(is_figure, value.values()))


_WORDS: dict[Check, str] = {
    is_number: "a number", is_whole: "a whole number", is_text: "a text", is_texts: "a list of texts",
    is_tree: "a mapping", is_figure: "a number or null", is_recall: "a mapping of names to numbers",
}  # fmt: skip
# Dotted key -> what it must be where it is there.
_VALUES: dict[str, Check] = {
    "schema": is_whole, "trainer": is_text, "dataset": is_text, "split": is_text, "seed": is_whole, "epochs": is_whole,
    "engine": is_tree, "device": is_text, "classnames": is_texts, "display_names": is_texts,
    "learnable_values": is_whole, "checkpoint_bytes": is_whole, "train_seconds": is_number,
    "images_per_second": is_number, "peak_memory_bytes": is_whole, "peak_memory_of": is_text,
    "fewshot_images": is_texts, "versions": is_tree, "commit": is_text,
    "config": is_tree, "config.DATASET": is_tree, "config.DATASET.NUM_SHOTS": is_whole, "config.MODEL": is_tree,
    "config.MODEL.BACKBONE": is_tree, "config.TRAINER": is_tree, "config.TEST": is_tree,
    "metrics": is_tree, "metrics.accuracy": is_figure, "metrics.uar": is_figure, "metrics.macro_f1": is_figure,
    "metrics.ece": is_figure, "metrics.per_class_recall": is_recall,
}  # fmt: skip


def wrong_value(content: Mapping[str, Any]) -> str:
    """What is wrong with a results file's values, in words; "" = nothing."""
    for key, is_right in _VALUES.items():
        *nodes, name = key.split(".")
        owner: Any = content
        for node in nodes:
            owner = owner.get(node, {}) if isinstance(owner, dict) else {}
        if name in owner and not is_right(owner[name]):
            return f"its {key} is {owner[name]!r:.60}, not {_WORDS[is_right]}"
    shown = content.get("display_names")
    if shown and len(shown) != len(content["classnames"]):
        return "its display_names and classnames differ in number"
    return ""
