"""Images and splits with Dassl's interface."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Datum:
    """One image: its path, label (0..C-1), domain and class name."""

    impath: str = ""
    label: int = 0
    domain: int = 0
    classname: str = ""


Split = list[Datum]


class DatasetBase:
    """A data set's splits; a subclass reads its files and passes the lists on to ``__init__``."""

    dataset_dir = ""
    domains: list[str] = []  # noqa: RUF012 - Dassl's class attribute, replaced by subclasses

    def __init__(
        self,
        train_x: Split | None = None,
        train_u: Split | None = None,
        val: Split | None = None,
        test: Split | None = None,
    ) -> None:
        if not train_x:
            raise ValueError(f"{type(self).__name__} has no training images")
        self._train_x, self._train_u, self._val, self._test = train_x, train_u, val, test
        self._num_classes = self.get_num_classes(train_x)
        self._lab2cname, self._classnames = self.get_lab2cname(train_x)

    @property
    def train_x(self) -> Split:
        return self._train_x

    @property
    def train_u(self) -> Split | None:
        return self._train_u

    @property
    def val(self) -> Split | None:
        return self._val

    @property
    def test(self) -> Split | None:
        return self._test

    @property
    def lab2cname(self) -> dict[int, str]:
        return self._lab2cname

    @property
    def classnames(self) -> list[str]:
        return self._classnames

    @property
    def num_classes(self) -> int:
        return self._num_classes

    @staticmethod
    def get_num_classes(data_source: Split) -> int:
        return max(item.label for item in data_source) + 1

    @staticmethod
    def get_lab2cname(data_source: Split) -> tuple[dict[int, str], list[str]]:
        """Label -> class name, and the names in label order; two names for one label are a ValueError."""
        pairs = sorted({(item.label, item.classname) for item in data_source})
        mapping = dict(pairs)
        if len(mapping) < len(pairs):
            raise ValueError(f"a label has several class names: {pairs}")
        return mapping, list(mapping.values())

    def generate_fewshot_dataset(self, *data_sources: Split, num_shots: int = -1, repeat: bool = False) -> Any:
        """``num_shots`` images of each class, drawn by Python's ``random`` exactly as Dassl draws them.

        A class with fewer images keeps all of them, or is filled up with repetitions (``repeat``). Below one
        shot the splits come back whole. One split gives a list, several give a list (or tuple) of lists.
        """
        if num_shots < 1:
            return data_sources[0] if len(data_sources) == 1 else data_sources
        print(f"Creating a {num_shots}-shot dataset")

        def draw(items: Split) -> Split:
            if len(items) >= num_shots:
                return random.sample(items, num_shots)
            return random.choices(items, k=num_shots) if repeat else items

        drawn = [
            [item for items in self.split_dataset_by_label(source).values() for item in draw(items)]
            for source in data_sources
        ]
        return drawn[0] if len(drawn) == 1 else drawn

    def split_dataset_by_label(self, data_source: Split) -> dict[int, Split]:
        """Label -> its images, labels in order of first appearance."""
        return _group(data_source, "label")

    def split_dataset_by_domain(self, data_source: Split) -> dict[int, Split]:
        """Domain -> its images, domains in order of first appearance."""
        return _group(data_source, "domain")


def _group(data_source: Split, key: str) -> dict[int, Split]:
    groups: dict[int, Split] = defaultdict(list)
    for item in data_source:
        groups[getattr(item, key)].append(item)
    return groups
