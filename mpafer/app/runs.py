"""What the page can be asked for: the prompts that ship, and runs, by names from a fixed list."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from mpafer.common.errors import DataError, MissingFileError, OptionError, UserError
from mpafer.engine.saving import checkpoint_folder
from mpafer.inference.predictor import Predictor
from mpafer.inference.saved import read_run
from mpafer.prompting.descriptions import Description, as_texts, load_descriptions
from mpafer.prompting.expressions import class_key
from mpafer.results.experiments import find_results
from mpafer.results.schema import RunResult

logger = logging.getLogger(__name__)
SHIPPED = "shipped: drawn faces only"
RUNS = "output"  # where runs are looked for, unless another folder is named
AT_ONCE = 2  # models kept in memory


@dataclass(frozen=True)
class Model:
    """A predictor, and where its run's descriptions are: "" = the paper's table."""

    predictor: Predictor
    descriptions: str | Mapping[str, Description] = ""

    @cached_property
    def texts(self) -> dict[str, str]:
        """Class -> description, of several all in one; a class that none describes is left out."""
        found: dict[str, str] = {}
        own = (
            {} if isinstance(self.descriptions, str) else {class_key(key): of for key, of in self.descriptions.items()}
        )
        for name in self.predictor.classnames:
            try:
                if isinstance(self.descriptions, str):
                    found[name] = " ".join(as_texts(load_descriptions(self.descriptions, [name])[name]))
                elif class_key(name) in own:
                    found[name] = " ".join(as_texts(own[class_key(name)]))
            except (DataError, MissingFileError) as error:
                logger.warning("%r is shown without a description: %s", name, error)
        return found


class Runs:
    """The choices of the page. The first is loaded at once, the others when they are asked for.

    Args:
        folder: searched for finished runs, however deep; "" = `RUNS`, which need not be there.
        run: a run's folder or a file of `mpafer.save`, which is the first choice.
        **options: of `Predictor`.

    Raises:
        MissingFileError: a folder is named, and no run has finished in it.
        MissingFileError, CheckpointError, OptionError: ``run`` cannot be loaded.
    """

    def __init__(self, folder: str = "", run: str = "", **options: Any) -> None:
        self.options = options
        self.paths: dict[str, Path | None] = {SHIPPED: None, **_finished(folder)}
        self.first = SHIPPED
        self._load = lru_cache(AT_ONCE)(self._loaded)
        if run:
            path = Path(run).expanduser()
            same = (name for name, known in self.paths.items() if known and known.resolve() == path.resolve())
            self.first = next(same, run)
            self.paths.setdefault(self.first, path)
        self.get(self.first)

    @property
    def names(self) -> Sequence[str]:
        """Of the choices."""
        return list(self.paths)

    def get(self, name: object) -> Model:
        """The model of this name.

        Raises:
            OptionError: there is none of this name.
            MissingFileError, CheckpointError: it cannot be loaded.
        """
        if not isinstance(name, str) or name not in self.paths:
            raise OptionError("this run is not in the list: choose one of those shown")
        return self._load(name)

    def _loaded(self, name: str) -> Model:
        path = self.paths[name]
        predictor = Predictor(path, **self.options) if path else Predictor.drawn_faces(**self.options)
        if path and path.is_dir():
            return Model(predictor, read_run(path).cfg.DATASET.get("DESCRIPTIONS", ""))
        recipe = getattr(getattr(predictor.classifier, "model", None), "recipe", None) or {}
        return Model(predictor, recipe.get("descriptions") or "")


def _finished(folder: str) -> dict[str, Path]:
    """Path below the folder -> run."""
    root = Path(folder or RUNS).expanduser()
    try:
        files = [file for group in find_results([root]).values() for file in group]
    except MissingFileError:
        if folder:
            raise
        return {}
    return {file.parent.relative_to(root).as_posix(): file.parent for file in files if _has_model(file)}


def _has_model(results: Path) -> bool:
    """Whether a run can answer: it has prompts, or learned nothing; of tests on other data sets neither holds."""
    if checkpoint_folder(results.parent).is_dir():
        return True
    try:
        result = RunResult.read(results)
    except UserError as error:
        logger.warning("%s is no choice: %s", results.parent, error)
        return False
    return not result.learnable_values and result.cross is None
