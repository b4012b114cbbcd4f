"""SketchFER: faces drawn from facial action units, on first use.

It runs and tests the whole chain without a download, and says nothing about accuracy on photographs.
"""

from __future__ import annotations

import json
from pathlib import Path

from mpafer.datasets.fer_dataset import FERDataset, register_dataset
from mpafer.datasets.items import Item, Splits
from mpafer.prompting.expressions import CLASSES
from mpafer.sketch import SKETCHFER, SKETCHFER_B, Domain, generate_dataset, is_complete


@register_dataset
class SketchFER(FERDataset):
    """Seven classes; the images of contempt are left out."""

    domain: Domain = SKETCHFER

    def find(self, root: Path) -> Splits:
        folder = root / self.domain.folder
        if not is_complete(root, self.domain):
            generate_dataset(root, self.domain)
        self.dataset_dir = str(folder)
        splits: Splits = {"train": [], "test": []}
        with open(folder / "annotations.jsonl", encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                path, name = f"{folder}/{row['file']}", row["label"]
                if name in self.classes:
                    splits[row["split"]].append(Item(path, CLASSES.index(name)))
                else:
                    self.problems.skipped.leave_out_class(name, path)
        return splits


@register_dataset
class SketchFER8(SketchFER):
    """All eight classes."""

    classes = CLASSES


@register_dataset
class SketchFERB(SketchFER):
    """Another domain to test on: other people as posters and chalk drawings, seven classes, few training images."""

    domain = SKETCHFER_B
