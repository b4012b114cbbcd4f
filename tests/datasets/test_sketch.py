"""SketchFER: reproducible, with boxes that are true."""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mpafer.common.errors import DataError
from mpafer.prompting import expressions
from mpafer.sketch import (
    CLASSES,
    PROTOTYPES,
    UNITS,
    ActionUnits,
    Identity,
    Style,
    generate_dataset,
    is_complete,
    render,
    sample_identity,
    sample_style,
)
from mpafer.sketch.face import REGIONS

SIZES = {"train": 60, "test": 51}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def annotations(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "annotations.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_dataset(tmp_path_factory.mktemp("one"), seed=3, workers=1, **SIZES)


def test_same_seed_same_bytes_for_any_number_of_workers(folder: Path, tmp_path: Path) -> None:
    again = generate_dataset(tmp_path / "two", seed=3, workers=2, **SIZES)
    other = generate_dataset(tmp_path / "other", seed=4, workers=2, **SIZES)
    assert contents(again) == contents(folder)
    here, there = contents(folder), contents(other)
    assert sum(here[name] == there[name] for name in here if name.endswith(".jpg")) == 0


def test_layout(folder: Path) -> None:
    records = annotations(folder)
    assert [sum(r["split"] == split for r in records) for split in SIZES] == list(SIZES.values())
    assert all((folder / r["file"]).exists() for r in records)
    assert {r["label"] for r in records} | {r["true_class"] for r in records} <= set(CLASSES)
    assert all(tuple(r["aus"]) == UNITS and tuple(r["boxes"]) == REGIONS for r in records)
    truths = [r["true_class"] for r in records if r["split"] == "train"]
    assert max(set(truths), key=truths.count) == "happiness"


def test_the_classes_are_those_of_the_table_of_expressions() -> None:
    assert expressions.CLASSES == CLASSES


def test_labels_are_a_little_noisy_and_people_differ_between_splits() -> None:
    from mpafer.sketch.generate import IDENTITIES, identity
    from mpafer.sketch.units import confuse

    rng = np.random.default_rng(0)
    assert 0.02 < np.mean([confuse(rng, "fear", 0.04) != "fear" for _ in range(3000)]) < 0.06
    people = {split: {identity(0, f"{split}{i}") for i in range(count)} for split, count in IDENTITIES.items()}
    assert len(people["train"]) == IDENTITIES["train"] and not people["train"] & people["test"]


def test_an_incomplete_folder_is_drawn_again_and_a_complete_one_is_kept(tmp_path: Path) -> None:
    sizes = {"train": 8, "test": 8}
    folder = generate_dataset(tmp_path, workers=1, **sizes)
    stamp = (folder / "sketchfer.json").stat().st_mtime_ns
    generate_dataset(tmp_path, workers=1, **sizes)
    assert (folder / "sketchfer.json").stat().st_mtime_ns == stamp and is_complete(tmp_path)
    before = contents(folder)
    (folder / "train" / "00003.jpg").unlink()
    assert not is_complete(tmp_path)
    generate_dataset(tmp_path, workers=1, **sizes)
    assert contents(folder) == before
    with pytest.raises(DataError, match="another root"):
        generate_dataset(tmp_path, seed=1, workers=1, **sizes)


def test_two_processes_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    kwargs = {"train": 6, "test": 6, "workers": 1}
    both = [context.Process(target=generate_dataset, args=(tmp_path,), kwargs=kwargs) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0] and is_complete(tmp_path)
    assert not list(tmp_path.glob(".sketchfer-*"))


def test_rendering_is_a_function_of_its_arguments() -> None:
    rng = np.random.default_rng(1)
    who, style = sample_identity(rng), sample_style(rng, "sketchfer")
    one, two = (render(PROTOTYPES["anger"], who, style) for _ in range(2))
    assert np.array_equal(one.image, two.image) and one.boxes == two.boxes
    assert not np.array_equal(one.image, render(PROTOTYPES["anger"], who, replace(style, roll=style.roll + 5)).image)


def test_boxes_lie_in_the_image_and_in_facial_order() -> None:
    for index in range(60):
        rng = np.random.default_rng(index)
        face = render(PROTOTYPES[CLASSES[index % 8]], sample_identity(rng), sample_style(rng, "sketchfer"))
        assert face.image.shape == (100, 100, 3) and face.image.dtype == np.uint8
        for x0, y0, x1, y1 in face.boxes.values():
            assert 0 <= x0 < x1 <= 100 and 0 <= y0 < y1 <= 100
        middle = [sum(face.boxes[name][1::2]) / 2 for name in ("forehead", "brows", "eyes", "nose", "mouth", "chin")]
        assert middle == sorted(middle)


CLEAN = Style(scale=1.0, noise=0.0)
MOVED = replace(CLEAN, dx=6.0, dy=-4.0, roll=12.0, yaw=0.7, mirror=True, scale=0.9)


@pytest.mark.parametrize("style", [CLEAN, MOVED], ids=["frontal", "posed"])
@pytest.mark.parametrize(
    ("unit", "region"),
    [
        ("jaw_drop", "mouth"), ("corner_up", "mouth"), ("corner_down", "mouth"), ("lips_press", "mouth"),
        ("inner_brow_raise", "brows"), ("outer_brow_raise", "brows"), ("brow_lower", "brows"),
        ("one_brow_raise", "brows"),
        ("upper_lid_raise", "eyes"), ("lid_tighten", "eyes"), ("lid_droop", "eyes"), ("nose_wrinkle", "nose"),
        ("nostril_flare", "nose"), ("forehead_lines", "forehead"),
        ("chin_raise", "chin"), ("chin_retract", "chin"),
    ],
)  # fmt: skip
def test_a_unit_changes_its_region_and_the_box_follows_the_pose(style: Style, unit: str, region: str) -> None:
    rest = render(ActionUnits(), Identity(), style).image.astype(float)
    face = render(ActionUnits(**{unit: 1.0}), Identity(), style)
    change = np.abs(face.image - rest).mean(axis=2)

    def density(name: str) -> float:
        x0, y0, x1, y1 = (round(v) for v in face.boxes[name])
        return float(change[y0:y1, x0:x1].mean())

    opposite = "mouth" if region in ("brows", "forehead", "eyes") else "forehead"
    assert density(region) > 0.3 and density(region) > 4 * density(opposite)
