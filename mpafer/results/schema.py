"""The results file of a run: everything a table, a comparison or a later analysis needs, in one JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpafer.common.config import dataset_title
from mpafer.common.errors import DataError
from mpafer.common.files import atomic_file
from mpafer.common.versions import commit, versions
from mpafer.results.shape import wrong_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESULTS, SCORES = "results.json", "scores.npz"
FACE_TEMPLATE = "face_template.json"  # where the run's training images have eyes and mouth, once that was asked
REPLACED = "replaced"  # folder beside them, with those of runs that were here before
SCHEMA = 2  # 1: files without a number, whose config holds the options of every method


@dataclass(frozen=True)
class RunResult:
    """What a run came to. A run is finished when its results.json exists."""

    trainer: str  # the method's name
    dataset: str
    split: str  # test or val
    seed: int
    epochs: int
    engine: Mapping[str, str]  # name and version of what ran it
    device: str
    config: Mapping[str, Any]  # the tree
    classnames: Sequence[str]  # C, for prompts and to match classes by
    metrics: Mapping[str, Any]  # of `mpafer.evaluation.metrics`, in percent
    images: Sequence[str]  # N paths, relative to the data root
    labels: NDArray[Any]  # [N]
    predicted: NDArray[Any]  # [N]
    learnable_values: int = 0
    checkpoint_bytes: int = 0
    train_seconds: float = 0.0
    images_per_second: float = 0.0
    peak_memory_bytes: int = 0
    peak_memory_of: str = "process"  # or gpu
    fewshot_images: Sequence[str] = ()
    fewer_images: Mapping[str, int] = field(default_factory=dict)  # class -> its images, where shots are more
    skipped: Mapping[str, int] = field(default_factory=dict)  # reason -> files among the images that were not used
    cross: Mapping[str, Any] | None = None  # of a test on other data or classes: which run that is, what was left out
    versions: Mapping[str, str] = field(default_factory=versions)
    display_names: Sequence[str] = ()  # C, for people, and the keys of per_class_recall; () = the class names
    made_of: Mapping[str, str] = field(default_factory=dict)  # fingerprints, see `mpafer.common.identity`
    commit: str = field(default_factory=commit)
    schema: int = SCHEMA
    file: Path = Path()  # where it was read

    def __post_init__(self) -> None:
        object.__setattr__(self, "display_names", self.display_names or self.classnames)

    @property
    def correct(self) -> NDArray[Any]:
        """[N] booleans."""
        return self.labels == self.predicted

    @property
    def trained_on(self) -> str:
        """The data set: another than `dataset` in a test on another one."""
        return self.cross["source"]["dataset"] if self.cross else self.dataset

    @property
    def trained_classes(self) -> list[str]:
        """The classes of the training: others than `classnames` where prompts stand beside other class names."""
        source = self.cross["source"] if self.cross else {}
        return list(source.get("classnames", self.classnames))

    @property
    def title(self) -> str:
        """The data set's name for people: DATASET.TITLE, or else `dataset`."""
        return dataset_title(self.config) or self.dataset

    @property
    def source_title(self) -> str:
        """The name for people of the data set trained on."""
        return self.cross["source"].get("title", self.trained_on) if self.cross else self.title

    def reordered(self, order: Sequence[int], images: Sequence[str]) -> RunResult:
        """The same with its images in another order, which is that of ``images``."""
        return replace(self, images=images, labels=self.labels[order], predicted=self.predicted[order])

    def shown_as(self, names: Sequence[str]) -> RunResult:
        """The same with its classes called by other names [C] for people."""
        recall = self.metrics["per_class_recall"]
        renamed = {name: recall.get(own) for name, own in zip(names, self.display_names, strict=True)}
        return replace(self, display_names=names, metrics={**self.metrics, "per_class_recall": renamed})

    def write(self, folder: str | Path, scores: NDArray[Any]) -> None:
        """Write scores.npz and then results.json.

        Args:
            folder: the run's.
            scores: [N, C] logits.

        Raises:
            ValueError: lengths differ.
        """
        import numpy as np

        scores = np.asarray(scores, dtype=np.float32)
        if not len(self.images) == len(self.labels) == len(self.predicted) == len(scores):
            raise ValueError(f"{len(self.images)} images, {len(self.labels)} labels, {len(scores)} rows of scores")
        text = json.dumps(self._as_json(), indent=1, allow_nan=False, default=_plain)
        with atomic_file(Path(folder) / SCORES) as file:
            np.savez_compressed(file, scores=scores, labels=np.asarray(self.labels, dtype=np.int64))
        with atomic_file(Path(folder) / RESULTS) as file:
            file.write(text.encode())

    def _as_json(self) -> dict[str, Any]:
        rows = zip(self.images, self.labels, self.predicted, strict=True)
        entries = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        for name in ("images", "labels", "predicted", "file", *(() if self.cross else ("cross",))):
            del entries[name]
        predictions = [{"image": image, "label": int(label), "pred": int(named)} for image, label, named in rows]
        extra = {"num_images": len(self.images), "predictions": predictions, "scores_file": SCORES}
        return {"schema": entries.pop("schema"), **entries, **extra}

    @classmethod
    def read(cls, file: str | Path) -> RunResult:
        """A results.json of this schema or an older one.

        Raises:
            DataError: it is none; file and trouble are named.
        """
        import numpy as np

        file = Path(file)
        try:
            content = json.loads(file.read_text("utf-8"))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{file} is not a result file of ours: {error}; {_CURE}") from error
        if not isinstance(content, dict):
            raise DataError(f"{file} is not a result file of ours: it holds a {type(content).__name__}; {_CURE}")
        if missing := sorted(_REQUIRED - content.keys()):
            raise DataError(f"{file} is not a result file of ours: it lacks {', '.join(missing)}; {_CURE}")
        if wrong := wrong_value(content):
            raise DataError(f"{file} is damaged: {wrong}; {_CURE}")
        if content.get("schema", 1) > SCHEMA:
            raise DataError(f"{file} is of schema {content['schema']}, a newer mpafer's; this one reads up to {SCHEMA}")
        entries: dict[str, Any] = {"schema": 1, "versions": {}, "commit": ""}
        entries |= {entry.name: content[entry.name] for entry in fields(cls) if entry.name in content}
        try:
            rows = content["predictions"]
            labels, predicted = (np.array([row[key] for row in rows], dtype=np.int64) for key in ("label", "pred"))
            images = [row["image"] for row in rows]
            if content.get("num_images", len(rows)) != len(rows):
                raise ValueError(f"{len(rows)} of {content['num_images']} are there")
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{file} is no result: its predictions are damaged ({error!r}); {_CURE}") from error
        return cls(**entries | {"images": images, "labels": labels, "predicted": predicted, "file": file})


_CURE = "get it anew, or delete it and start the run again"
_REQUIRED = {
    "trainer", "dataset", "split", "seed", "config", "classnames", "metrics", "predictions", "learnable_values",
    "epochs", "engine", "device",
}  # fmt: skip


def _plain(value: Any) -> Any:
    """What JSON cannot hold: NumPy's numbers become plain ones, everything else text."""
    return value.item() if hasattr(value, "item") else str(value)
