"""ONNX files: the same answers as torch's, for every method; what is refused; files that are damaged or foreign."""

from __future__ import annotations

import csv
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support import damage
from support.commands import invoke
from support.models import CLASSES, random_clip
from support.runs import make_trainer, tiny_options
from torch import Tensor
from yacs.config import CfgNode

import mpafer
from mpafer.clip import Clip
from mpafer.clip.towers import TextTower, VisionTower
from mpafer.common.errors import DataError, ExportError, MissingPackageError, OptionError
from mpafer.export import write
from mpafer.export.parity import LIMIT, parity
from mpafer.faces.alignment import Template
from mpafer.inference.classifiers import ModelClassifier, OnnxClassifier
from mpafer.inference.onnx_file import OnnxFile
from mpafer.inference.saved import load_run
from mpafer.prompting.model import FrozenClip, Output
from mpafer.run_config import methods

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def run(world: Path) -> Path:
    """A finished run of MPAFER on the tiny CLIP."""
    folder = world / "rafdb/MPAFER/tiny_all/seed1"
    make_trainer(world, folder, "MPAFER", **{"OPTIM.MAX_EPOCH": 1}).train()
    return folder


@pytest.fixture(scope="module")
def file(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's file."""
    path = tmp_path_factory.mktemp("onnx") / "faces.onnx"
    printed = invoke("export", str(run), "--onnx", str(path))
    assert "largest difference from torch over 12 random images in batches of 1, 3, 8" in printed
    return path


def perturbed(model: FrozenClip) -> FrozenClip:
    """In eval mode, nothing that learns as it was at first."""
    with torch.no_grad():
        for value in model.learnable.values():
            value += torch.randn_like(value)
    return model.eval()


def small(method: str = "MPAFER", seed: int = 0, **options: Any) -> FrozenClip:
    return perturbed(mpafer.build_model(method, random_clip(seed=seed), CLASSES, **options))


# --- the same answers


def test_a_file_answers_as_its_run_does(run: Path, file: Path) -> None:
    model, transform = load_run(run)
    read = OnnxFile(file)
    assert read.classnames == model.classnames and read.size == 96
    rng = np.random.default_rng(0)
    shapes = [(96, 96), (97, 96), (96, 131), (100, 100), (333, 201), (40, 41), (7, 300)]
    images = [Image.fromarray(rng.integers(0, 256, (*shape, 3), np.uint8)) for shape in shapes]
    batch = np.stack([read.preprocess(image) for image in images])
    expected = torch.stack([transform(image) for image in images])
    np.testing.assert_allclose(batch, expected.numpy(), atol=1e-6, rtol=0)
    with torch.no_grad():
        probabilities = model(expected).logits.softmax(dim=1).numpy()
    np.testing.assert_allclose(read.probabilities(batch), probabilities, atol=1e-5, rtol=0)
    assert np.ptp(probabilities, axis=0).max() > 0.01  # the images differ in their answers


def test_what_a_file_says_of_itself(run: Path, file: Path) -> None:
    about = OnnxFile(file).about
    assert about["method"] == "MPAFER" and about["run"] == "rafdb/MPAFER/tiny_all/seed1" and about["opset"] == 18
    assert about["resize"] == "shorter side to 96, bicubic, as Pillow; then the central 96 x 96"
    assert about["note"] == "drawn faces only"  # the tiny CLIP has seen no others
    content = file.read_bytes()
    assert str(run.parent).encode() not in content and str(Path(mpafer.__file__).parent).encode() not in content
    onnx.checker.check_model(file, full_check=True)


def test_a_run_in_bfloat16_is_exported_in_float32(world: Path, tmp_path: Path) -> None:
    clip = str(world / "clip.safetensors")
    pairs = {"OPTIM.MAX_EPOCH": 1, "TRAINER.COOP.PREC": "bf16", "MODEL.BACKBONE.NAME": clip, "INPUT.SIZE": "(32, 32)"}
    make_trainer(world, tmp_path / "run", "CoOp", **pairs).train()
    mpafer.export_onnx(tmp_path / "run", tmp_path / "faces.onnx")
    read, (model, _) = OnnxFile(tmp_path / "faces.onnx"), load_run(tmp_path / "run")
    assert read.note == "" and read.about["backbone"].startswith("clip.safetensors ")
    images = torch.randn(4, 3, 32, 32)
    difference = np.abs(read.logits(images.numpy()) - model(images).logits.detach().numpy()).max()
    assert LIMIT < difference < 0.5  # as far as bfloat16 rounds


@pytest.mark.slow
@pytest.mark.parametrize("method", sorted(methods()))
def test_every_method_with_fixed_text_features(cfg: CfgNode, tmp_path: Path, method: str) -> None:
    clip = mpafer.load_clip("tiny")
    model, other = (
        perturbed(mpafer.build_model(method, clip, classes, **tiny_options(cfg, method)))
        for classes in (CLASSES, CLASSES[::-1])
    )
    if "text" in model.prompts and model.prompts["text"].conditional:
        with pytest.raises(OptionError, match="cannot be exported: class prompts are made anew for each image"):
            mpafer.export_onnx(model, tmp_path / "faces.onnx")
        return
    found = mpafer.export_onnx(model, tmp_path / "faces.onnx")
    print(f"{method}: {found}")
    assert found.logits <= LIMIT
    with pytest.raises(ExportError, match="largest difference from torch"):  # control: another model's file
        parity(other, OnnxFile(tmp_path / "faces.onnx"))


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"alignment": "global"}, {"alignment": "local"}, {"csc": True}, {"n_visual": 0}])
def test_the_forms_of_mpafer(tmp_path: Path, options: dict[str, Any]) -> None:
    assert mpafer.export_onnx(small(**options, top_k=3), tmp_path / "faces.onnx").logits <= LIMIT


@pytest.mark.slow
def test_the_size_of_vit_b16(tmp_path: Path) -> None:
    clip = Clip(VisionTower(224, 16, 768, 12, 512), TextTower(77, 49408, 512, 12, 512)).eval()
    clip.logit_scale.data.fill_(float(np.log(100)))
    found = mpafer.export_onnx(perturbed(mpafer.build_model("MPAFER", clip, CLASSES)), tmp_path / "faces.onnx")
    print(found)
    assert found.logits <= LIMIT and (tmp_path / "faces.onnx").stat().st_size > 340e6


# --- whole or not at all


def test_a_file_that_answers_otherwise_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "faces.onnx").write_text("of before")
    others = write.onnx_bytes
    monkeypatch.setattr(write, "onnx_bytes", lambda model, about: others(small(seed=1).with_fixed_classes(), about))
    with pytest.raises(ExportError, match="more than 1e-04 is no export, and no file was written"):
        mpafer.export_onnx(small(), tmp_path / "faces.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["faces.onnx"]
    assert (tmp_path / "faces.onnx").read_text() == "of before"


def test_a_killed_export_leaves_no_half_file(run: Path, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, mpafer; os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL);"
        "mpafer.export_onnx(*sys.argv[1:])"
    )
    target = tmp_path / "faces.onnx"
    killed = subprocess.run([sys.executable, "-c", code, str(run), str(target)], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL and not target.exists()
    assert len(list(tmp_path.iterdir())) == 1  # the half file, under another name
    mpafer.export_onnx(small(), target)
    assert list(tmp_path.iterdir()) == [target]


# --- what is refused


def test_image_conditional_prompts(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="every answer needs the text tower"):
        mpafer.export_onnx(small("CoCoOp"), tmp_path / "faces.onnx")
    assert not list(tmp_path.iterdir())


def test_models_as_they_cannot_be_exported(tmp_path: Path) -> None:
    for model in (small().train(), small(prec="bf16")):
        with pytest.raises(OptionError, match="in float32"):
            mpafer.export_onnx(model, tmp_path / "faces.onnx")
    with pytest.raises(OptionError, match="is a folder"):
        mpafer.export_onnx(small(), tmp_path)


class Undecided(FrozenClip):
    """A method from elsewhere, whose forward looks at the images before it decides."""

    def forward(self, images: Tensor) -> Output:
        image, patches = self.clip.visual(images if images.sum() > 0 else -images)
        return Output(image[:, : len(self.classnames)], image, patches, image)


def test_a_forward_that_torch_cannot_translate(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="cannot translate the forward of Undecided into ONNX"):
        mpafer.export_onnx(Undecided(random_clip(), CLASSES).eval(), tmp_path / "faces.onnx")


def test_an_unknown_input_transform(world: Path, tmp_path: Path) -> None:
    clip = str(world / "clip.safetensors")
    pairs = {"MODEL.BACKBONE.NAME": clip, "INPUT.SIZE": "(32, 32)", "INPUT.TRANSFORMS": "('instance_norm',)"}
    make_trainer(world, tmp_path / "run", "ZeroshotCLIP", **pairs).train()
    with pytest.raises(OptionError, match="instance_norm"):
        mpafer.export_onnx(tmp_path / "run", tmp_path / "faces.onnx")


# --- reading


def foreign(path: Path) -> None:
    """A sound ONNX file of another program."""
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [value], [onnx.helper.make_tensor_value_info("y", 1, [1])])
    onnx.save(onnx.helper.make_model(graph), path)


def test_damaged_and_foreign_files(file: Path, tmp_path: Path) -> None:
    content, rng, path = file.read_bytes(), random.Random(0), tmp_path / "faces.onnx"
    for damaged in (damage.flip, damage.cut, damage.prolong, damage.overwrite, damage.move, damage.replace):
        path.write_bytes(damaged(content, rng))
        with pytest.raises(DataError, match=r"faces\.onnx"):
            OnnxFile(path)
    foreign(path)
    with pytest.raises(DataError, match=r"faces\.onnx is not what mpafer export wrote"):
        OnnxFile(path)
    with pytest.raises(DataError, match=r"cannot read .*nowhere\.onnx: there is no such file"):
        OnnxFile(tmp_path / "nowhere.onnx")
    with pytest.raises(DataError, match="cannot read"):
        OnnxFile(tmp_path)


@pytest.mark.parametrize("package", ["onnxruntime", "onnx", "onnxscript"])
def test_what_is_not_installed(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=r"mpafer export needs .* 'mpafer\[export\]'"):
        mpafer.export_onnx(small(), tmp_path / "faces.onnx")
    assert not list(tmp_path.iterdir())
    if package == "onnxruntime":
        with pytest.raises(MissingPackageError, match=r"faces\.onnx needs .* pip install 'mpafer\[export\]'"):
            OnnxFile(file)


def test_images_of_another_size(file: Path) -> None:
    with pytest.raises(OptionError, match=r"images are float32 \(1, 3, 32, 32\), expected float32 \(B, 3, 96, 96\)"):
        OnnxFile(file).probabilities(np.zeros((1, 3, 32, 32), np.float32))


def test_it_is_read_without_torch(file: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np\n"
        "from mpafer.inference.onnx_file import OnnxFile\n"
        "print(OnnxFile(sys.argv[1]).probabilities(np.zeros((2, 3, 96, 96), np.float32)).sum(axis=1))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose([float(word) for word in done.stdout.strip(" []\n").split()], 1, atol=1e-5)


# --- the same answers from a predictor


def test_a_predictor_answers_as_that_of_the_run(run: Path, file: Path, world: Path) -> None:
    images = sorted((world / "data").rglob("*.jpg"))[:5]
    ours, theirs = mpafer.Predictor.from_onnx(file, faces="none"), mpafer.Predictor(run, faces="none")
    for answer, expected in zip(ours(images), theirs(images), strict=True):
        assert (answer.label, answer.image, answer.note) == (expected.label, expected.image, "drawn faces only")
        np.testing.assert_allclose(
            list(answer.probabilities.values()), list(expected.probabilities.values()), atol=1e-5, rtol=0
        )
        assert list(answer.probabilities) == list(expected.probabilities)


def test_predict_answers_as_with_the_run(run: Path, file: Path, world: Path, tmp_path: Path) -> None:
    rows = []
    for chosen in (["--run", str(run)], ["--onnx", str(file)]):
        table = tmp_path / f"{chosen[0]}.csv"
        invoke("predict", *chosen, "--faces", "none", "--csv", str(table), str(world / "data"))
        rows.append(list(csv.DictReader(table.open(encoding="utf-8", newline=""))))
    assert len(rows[0]) == len(rows[1]) > 30
    for theirs, ours in zip(*rows, strict=True):
        assert [ours[key] for key in ("image", "label", "note")] == [theirs[key] for key in ("image", "label", "note")]
        assert all(abs(float(ours[name]) - float(theirs[name])) < 1e-5 for name in CLASSES)
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(SystemExit, match=r"error: .*text.onnx is not what mpafer export wrote"):
        invoke("predict", "--onnx", str(tmp_path / "text.onnx"), str(world / "data"))


def test_a_template_of_faces_goes_with_the_file(tmp_path: Path) -> None:
    model = mpafer.build_model("ZeroshotCLIP", random_clip(), CLASSES).eval()
    assert model.recipe
    points = [[0.3, 0.4], [0.7, 0.4], [0.5, 0.7]]
    template = {"points": points, "spread": 0.05, "found": 12, "looked_at": 20, "detector": "centerface"}
    model.recipe = {**model.recipe, "template": template, "dataset": "SketchFER"}
    mpafer.export_onnx(model, tmp_path / "faces.onnx")
    read = OnnxClassifier(tmp_path / "faces.onnx")
    assert read.template == ModelClassifier(model).template is not None and read.note == "drawn faces only"


def test_the_template_of_a_run_goes_with_the_file(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    shutil.copytree(run, tmp_path / "run")
    template = Template(((0.3, 0.4), (0.7, 0.4), (0.5, 0.7)), 0.05, found=12, looked_at=20, detector="centerface")
    template.write(tmp_path / "run/face_template.json")
    mpafer.export_onnx(tmp_path / "run", tmp_path / "faces.onnx")
    assert OnnxClassifier(tmp_path / "faces.onnx").template == template


def test_a_saved_model_is_exported_too(tmp_path: Path) -> None:
    model = perturbed(mpafer.build_model("CoOp", mpafer.load_clip("tiny"), CLASSES))
    mpafer.save(model, tmp_path / "small.safetensors")
    mpafer.export_onnx(tmp_path / "small.safetensors", tmp_path / "faces.onnx")
    parity(model, OnnxFile(tmp_path / "faces.onnx"))
