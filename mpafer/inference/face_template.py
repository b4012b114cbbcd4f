"""Where the training images of a run have eyes and mouth: measured at first use, and kept in the run's folder."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from yacs.config import CfgNode

from mpafer.common.errors import UserError
from mpafer.common.processes import end_joblib
from mpafer.datasets import find_dataset
from mpafer.faces.alignment import DEFAULT_TEMPLATE, Template
from mpafer.faces.copies import measure_files
from mpafer.faces.detector import CENTERFACE, load_detector
from mpafer.inference.saved import read_run
from mpafer.results.schema import FACE_TEMPLATE

logger = logging.getLogger(__name__)


def run_template(run: str | Path, detector: str = CENTERFACE, *, root: str = "", jobs: int | None = None) -> Template:
    """Where a run's training images have eyes and mouth, by the same detector.

    It is read from the run's folder, or measured on a few hundred of the training images and written there. Where those
    are not at hand, or hardly a face is found in them, it is DEFAULT_TEMPLATE, and the log says so.

    Args:
        run: the run's output folder.
        detector: as `load_detector` takes it.
        root: folder of the data sets, where it has moved.
        jobs: processes that look at images; default one a core.

    Raises:
        MissingPackageError: the extra `faces` is not installed.
        DataError: the kept file is damaged.
    """
    file, name = Path(run).expanduser() / FACE_TEMPLATE, load_detector(detector).name
    if file.is_file() and (kept := Template.read(file)).detector == name:
        return kept
    saved = read_run(run)
    try:
        images = training_images(saved.cfg, saved.seed, root)
    except UserError as error:
        logger.warning("The default template of faces is used, the run's training images are not there: %s", error)
        return DEFAULT_TEMPLATE
    try:
        template = measure_files(detector, images, jobs)
    finally:
        end_joblib()
    if template is None:
        logger.warning("The default template of faces is used: %s finds no faces in the run's training images", name)
        template = replace(DEFAULT_TEMPLATE, detector=name)
    try:
        template.write(file)
    except OSError as error:
        logger.warning("The template of faces is not kept, so it is measured each time: %s", error)
    return template


def training_images(cfg: CfgNode, seed: int, root: str = "") -> list[str]:
    """The image files that a run with this config trained on.

    Raises:
        UserError: its data are not there, or hold no training images.
    """
    cfg = cfg.clone()
    cfg.defrost()
    cfg.SEED, cfg.DATASET.ROOT = seed, root or cfg.DATASET.ROOT
    if not Path(cfg.DATASET.ROOT).expanduser().is_dir():  # drawn faces would be drawn there
        raise UserError(f"there is no folder {cfg.DATASET.ROOT}")
    return [item.impath for item in find_dataset(cfg.DATASET.NAME)(cfg).train_x]
