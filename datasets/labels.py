"""Each data set's own ids of the expressions, as its files have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mpafer.prompting.expressions import CLASSES, COMPOUND

# The id in a data set's own files -> class.
RAFDB_IDS = dict(enumerate(CLASSES[:7], start=1))
AFFECTNET_IDS = dict(enumerate(["neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"]))
FER2013_IDS = dict(enumerate(["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]))
FERPLUS_IDS = dict(enumerate(["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"]))
CKPLUS_IDS = dict(enumerate(["neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"]))
CKEXTENDED_IDS = FER2013_IDS | {7: "contempt"}  # the CSV mirror of CK+

COMPOUND_IDS = dict(enumerate(COMPOUND, start=1))


def in_order(ids: Mapping[int, str], counts: Sequence[int], classes: Sequence[str] = CLASSES) -> tuple[int, ...]:
    """Images per class as published in the order of a data set's own `ids` -> in the order of `classes`."""
    by_name = dict(zip(ids.values(), counts, strict=True))
    return tuple(by_name[name] for name in classes)
