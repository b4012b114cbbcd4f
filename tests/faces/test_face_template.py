"""A run's template of faces: measured on its training images at first use, and kept; said where there is none."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.runs import make_world, train_in_process

from mpafer.common.errors import DataError
from mpafer.faces.alignment import DEFAULT_TEMPLATE, Template, in_square
from mpafer.faces.detector import load_detector
from mpafer.inference import face_template
from mpafer.inference.face_template import run_template
from mpafer.results.schema import FACE_TEMPLATE as FILE

pytest.importorskip("cv2", reason="OpenCV is not installed: the extra faces")
data = pytest.importorskip("skimage.data", reason="scikit-image is not installed: the extra dev")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, whose images hold no face."""
    world = make_world(tmp_path_factory.mktemp("world"), train=2)
    train_in_process(world, world / "run", trainer="ZeroshotCLIP")
    return world


@pytest.fixture
def run(world: Path, tmp_path: Path) -> Path:
    shutil.copytree(world / "run", tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def photographs(world: Path, tmp_path: Path) -> Path:
    """The run's data set with a photograph of a face in place of every training image, of a cup of each test image."""
    shutil.copytree(world / "data", tmp_path / "data")
    pictures = {
        "train": Image.fromarray(data.astronaut()).crop((130, 20, 322, 212)),
        "test": Image.fromarray(data.coffee()).resize((192, 192)),
    }
    for file in (tmp_path / "data").rglob("*.jpg"):
        pictures[file.name.partition("_")[0]].save(file)
    return tmp_path / "data"


def test_it_is_measured_on_the_training_images_once(run: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch):
    template = run_template(run, root=str(photographs), jobs=1)
    image = np.asarray(Image.fromarray(data.astronaut()).crop((130, 20, 322, 212)))
    expected = in_square(load_detector().find(image).landmarks[0], 192, 192)
    np.testing.assert_allclose(template.points, expected, atol=0.01)
    assert template.found == template.looked_at == 14 and template.spread < 0.01
    assert Template.read(run / FILE) == template
    monkeypatch.setattr(face_template, "measure_files", None)
    assert run_template(run, root=str(photographs)) == template


def test_another_detector_measures_anew(run: Path, photographs: Path):
    Template(DEFAULT_TEMPLATE.points, 0.1, 300, 300, "yunet.onnx").write(run / FILE)
    assert run_template(run, root=str(photographs), jobs=1).detector == "centerface"


def test_without_faces_it_is_the_default_and_said(run: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING, "mpafer"):
        template = run_template(run, jobs=1)
    assert template.points == DEFAULT_TEMPLATE.points and template.found == 0
    assert "centerface finds no faces in the run's training images" in caplog.text
    assert Template.read(run / FILE) == template


def test_without_the_images_it_is_the_default_and_not_kept(run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING, "mpafer"):
        assert run_template(run, root=str(tmp_path / "none")) == DEFAULT_TEMPLATE
    assert "the run's training images are not there: there is no folder" in caplog.text
    assert not (run / FILE).exists()


def test_a_damaged_file_is_named(run: Path):
    (run / FILE).write_text("{}")
    with pytest.raises(DataError, match=f"{FILE} holds no template"):
        run_template(run)


def test_another_run_in_its_place_does_not_inherit_it(world: Path, run: Path):
    DEFAULT_TEMPLATE.write(run / FILE)
    train_in_process(world, run, trainer="ZeroshotCLIP", flags=["--force"])  # the same run: it stays
    assert (run / FILE).exists()
    train_in_process(world, run, trainer="ZeroshotCLIP", flags=["--force"], **{"INPUT.INTERPOLATION": "bilinear"})
    assert not (run / FILE).exists() and (run / "replaced/1" / FILE).exists()
