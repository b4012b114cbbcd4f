"""A run as a plan knows it: what is trained on what, in which folder, and what is left to do. Light to import."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mpafer.common.config import read_file
from mpafer.common.errors import OptionError
from mpafer.common.extensions import kept_imports
from mpafer.common.identity import listed
from mpafer.common.ranges import MAX_SEED
from mpafer.common.sealed import key_of
from mpafer.configs import ROOT, shipped
from mpafer.results.experiments import ALL, shots_name
from mpafer.results.schema import RESULTS
from mpafer.runs.catalog import check_dataset, learns, method_file
from mpafer.runs.folders import Pairs, dataset_folder, slug

PLACES = {  # keys that are no options of a planned run -> where they are said instead
    "SEED": "--seeds", "OUTPUT_DIR": "--out and --tag", "RESUME": "mpafer train", "DATASET.ROOT": "--data",
    "DATASET.NAME": "the data set's place", "DATASET.NUM_SHOTS": "SHOTS", "TRAINER.NAME": "the method's place",
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Where data lie and results go; ``tag`` tells folders apart by what the command line does not show.

    Raises:
        OptionError: a tag that cannot be part of a folder's name.
    """

    data: str = "./data"
    out: str = "output"
    tag: str = ""
    force: bool = False  # move aside what is of another run

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.+=-]*", self.tag):
            raise OptionError(f"TAG is part of a folder's name: letters, digits and . _ + = -, not {self.tag!r}")

    def of(self, dataset: str, options: Pairs) -> Path:
        """The folder of all results of a data set."""
        return Path(self.out, dataset_folder(dataset, options))


@dataclass(frozen=True)
class Job:
    """One run of a method: a data set, a config, a number of shots, a seed and KEY VALUE options.

    Raises:
        OptionError: there is no such method, config or data set, or no such number of shots or seed;
            an option stands twice, or has a place of its own.
    """

    method: str
    dataset: str  # a YAML of configs/datasets, or a class from elsewhere
    cfg: str  # a YAML of the method
    shots: int = ALL
    seed: int = 1
    options: Pairs = ()
    place: Place = Place()
    label: str = ""  # what people read of it while it runs; "" = method and folder

    def __post_init__(self) -> None:
        check_dataset(self.dataset)
        method_file(self.method, self.cfg)
        if self.shots != ALL and self.shots < 1:
            raise OptionError(f"SHOTS is a number of images per class, or {ALL} for all, not '{self.shots}'")
        keys = [key for key, _ in self.options]
        for key in keys:
            if key in PLACES:
                raise OptionError(f"{key} is no KEY VALUE pair here: {PLACES[key]} says it")
            if keys.count(key) > 1:
                raise OptionError(f"{key} is given twice: leave one out")
        if not 0 <= self.seed <= MAX_SEED:
            raise OptionError(f"a seed is 0 to {MAX_SEED}, not {self.seed}")

    @property
    def name(self) -> str:
        return f"{self.label or f'{self.method} {self.group.name}'} seed{self.seed}"

    @property
    def group(self) -> Path:
        """The folder of this run's seeds."""
        settings = settings_name(f"{self.cfg}_{shots_name(self.shots)}", self.options, self.place)
        return self.place.of(self.dataset, self.options) / self.method / settings

    @property
    def folder(self) -> Path:
        return self.group / f"seed{self.seed}"

    @property
    def finished(self) -> bool:
        return (self.folder / RESULTS).is_file() and not (self.place.force and self.refusal)

    @property
    def refusal(self) -> str:
        """How the finished run in the folder is another one than this; "" = it is the same, or there is none."""
        from mpafer.runs.finished import differing  # with torch

        found = listed(differing(self.folder / RESULTS, tuple(self.arguments)))
        cure = "--force moves it aside, TAG names another folder"
        return f"{self.folder} holds another run ({found}): {cure}" if found else ""

    @property
    def state(self) -> str:
        """What running it will do, in words."""
        if self.finished:
            return "finished already, skipped"
        if self.place.force and self.refusal:
            return "started anew"
        return "resumed" if any(self.folder.glob("*/model.pth.tar-*")) else "started"

    @property
    def dataset_argument(self) -> str:
        """The YAML of the data set, or its class."""
        return str(ROOT / "datasets" / f"{self.dataset}.yaml") if self.dataset in shipped("datasets") else self.dataset

    @property
    def arguments(self) -> list[str]:
        """Of train.py."""
        return [
            "--root", self.place.data, "--seed", str(self.seed), "--trainer", self.method,
            "--dataset-config-file", self.dataset_argument,
            "--config-file", str(method_file(self.method, self.cfg)),
            "--output-dir", str(self.folder), *["--force"][: self.place.force], "DATASET.NUM_SHOTS", str(self.shots),
            *(word for pair in self.options for word in pair),
        ]  # fmt: skip

    @property
    def command(self) -> list[str]:
        imports = [word for name in kept_imports() for word in ("--import", name)]
        return ["mpafer", "train", *imports, *self.arguments]

    def run(self) -> None:
        """Train and test, in this process."""
        from mpafer.runs.train import main, parse_args

        main(parse_args(self.arguments))

    @property
    def fingerprint(self) -> str:
        """Tells settings apart, whatever their files and folders are called: equal for runs that differ by seed only.

        Of method, data set, config values and options as given; the contents of the data are not looked at.
        """
        files = [str(method_file(self.method, self.cfg))]
        files[:0] = [self.dataset_argument] if self.dataset_argument.endswith(".yaml") else []
        values = {key: value for file in files for key, value in read_file(file).items()}
        values |= {"DATASET.NUM_SHOTS": self.shots} | dict(self.options)
        whole = [self.method, self.dataset, sorted((key, str(value)) for key, value in values.items())]
        return key_of(whole)


def settings_name(stem: str, options: Pairs, place: Place) -> str:
    """Config and shots with options and tag, as a folder's name has them."""
    return f"{stem}{slug(options)}{f'_{place.tag}' if place.tag else ''}"


def experiment(
    method: str,
    dataset: str,
    cfg: str,
    shots: int,
    options: Pairs,
    seeds: Sequence[int],
    place: Place,
    label: str = "",
) -> list[Job]:
    """A run for each seed; where nothing learns all are alike, and the first is enough."""
    job = Job(method, dataset, cfg, shots, seeds[0], options, place, label)
    return [replace(job, seed=seed) for seed in (seeds if learns(method) else seeds[:1])]
