"""A run on a folder of every kind of image gives what a run on the same pictures saved plainly gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.runs import REPO, make_world, results, scores, train_in_process

from mpafer.prompting.expressions import CLASSES

EACH = {"train": 8, "test": 8}
Save = Callable[[Image.Image, Path], Any]


def turned(image: Image.Image, path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)


def deep(image: Image.Image, path: Path) -> None:
    Image.fromarray(np.asarray(image)[:, :, 0] * np.uint16(257)).save(path)


FORMS: tuple[tuple[str, Save], ...] = (  # name after the number, and how a picture is saved in it
    (".webp", lambda image, path: image.save(path, lossless=True)),
    ("_turned.png", turned),
    ("_16bit.png", deep),
    (".tiff", lambda image, path: image.convert("CMYK").save(path)),
    (".gif", lambda image, path: image.quantize(256).save(path)),
    ("_palette.png", lambda image, path: image.quantize(256).save(path)),
    ("/deep/er/x.bmp", lambda image, path: image.save(path)),
    ("_alpha.png", lambda image, path: image.convert("RGBA").save(path)),
)


def face(seed: int, form: int) -> Image.Image:
    """Smooth, of few colours and without symmetry; grey where the form holds grey alone."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (3, 3, 3), dtype=np.uint8))
    image = small.resize((40, 48), Image.Resampling.BICUBIC).quantize(128).convert("RGB")
    return image.convert("L").convert("RGB") if FORMS[form][1] is deep else image


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/plain, data/mixed and data/sideways, in which the turned pictures lie as they are stored."""
    world = make_world(tmp_path_factory.mktemp("mixed"))
    seed = 0
    for split, each in EACH.items():
        for name in CLASSES[:7]:
            for number in range(each):
                seed, form = seed + 1, number % len(FORMS)
                image, (rest, save) = face(seed, form), FORMS[form]
                for folder in ("plain", "sideways", "mixed"):
                    ending = rest if folder == "mixed" else ".png"
                    path = world / "data" / folder / split / name / f"{number:02d}{ending}"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    if folder == "mixed":
                        save(image, path)
                    else:
                        sideways = folder == "sideways" and save is turned
                        (image.transpose(Image.Transpose.ROTATE_90) if sideways else image).save(path)
    return world


@pytest.mark.parametrize("fast", [True, False])
def test_the_same_predictions(world: Path, tmp_path: Path, fast: bool) -> None:
    found = {}
    for folder in ("plain", "mixed", "sideways"):
        train_in_process(
            world, tmp_path / folder, flags=["--dataset-config-file", str(REPO / "configs/datasets/ferfolder.yaml")],
            **{"DATASET.FOLDER": folder, "DATALOADER.FAST": fast},
        )  # fmt: skip
        record = results(tmp_path / folder)
        found[folder] = scores(tmp_path / folder), [row["label"] for row in record["predictions"]]
        assert record["num_images"] == 7 * EACH["test"] and record["skipped"] == {}
    assert found["plain"][1] == found["mixed"][1]
    assert np.array_equal(found["plain"][0], found["mixed"][0])
    assert not np.array_equal(found["plain"][0], found["sideways"][0])
