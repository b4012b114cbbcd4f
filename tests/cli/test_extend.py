"""Methods and data sets in files outside the repository: the examples of docs/extend.md, and files that are broken."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.miniatures import noise
from support.runs import REPO, SMALL, environment, make_world, results

BLOCKS = re.findall(r"^```python\n(.*?)^```", (REPO / "docs/extend.md").read_text(), re.M | re.S)
METHOD, DATASET = (next(block for block in BLOCKS if f"class {name}(" in block) for name in ("ClipAdapter", "DogFaces"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature RAF-DB, a random CLIP, and the examples in a folder of their own."""
    place = make_world(tmp_path_factory.mktemp("extend"))
    own = place / "own"
    own.mkdir()
    (own / "clip_adapter.py").write_text(METHOD)
    (own / "dogs.py").write_text(DATASET)
    (own / "dogs.yaml").write_text("calm: ears down\nplayful: tongue out\nafraid of thunder: under the table\n")
    for split, number in (("train", 4), ("test", 2)):
        for label, name in enumerate(("calm", "playful", "afraid of thunder")):
            folder = place / "data/dogs" / split / name
            folder.mkdir(parents=True)
            for i in range(number):
                noise(folder / f"{i}.png", (40, 40), 20 * number + 5 * label + i)
    return place


def mpafer(world: Path, *words: str, cwd: str = "own", **variables: str) -> str:
    """The command in a process of its own, as a user starts it; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "mpafer", *words], cwd=world / cwd, text=True, capture_output=True,
        env=environment(world) | {"OUT": str(world / "out"), "DATA": str(world / "data"), "SEEDS": "1"} | variables,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def small(world: Path) -> list[str]:
    settings = SMALL | {"MODEL.BACKBONE.NAME": f"{world}/clip.safetensors", "OPTIM.MAX_EPOCH": "1"}
    return [word for pair in settings.items() for word in pair]


def test_a_method_from_elsewhere_runs_by_name_and_is_compared(world: Path) -> None:
    words = ["--methods", "CoOp ClipAdapter", "--reference", "CoOp", "--cfg", "tiny", "--jobs", "2", *small(world)]
    printed = mpafer(world, "compare", "rafdb", "2", "--import", "clip_adapter.py", *words)
    assert printed.count("done in") == 2
    rows = csv.DictReader(next((world / "out/rafdb").glob("comparison_tiny*/comparison.csv")).read_text().splitlines())
    assert {row["trainer"] for row in rows} == {"CoOp", "ClipAdapter"}
    (run,) = (world / "out/rafdb/ClipAdapter").glob("*/seed1")
    result = results(run)
    assert result["learnable_values"] == 2 * 32 * 8 and result["config"]["TRAINER"]["CLIPADAPTER"]["RATIO"] == 0.2
    image = next((world / "data").rglob("test_*.jpg"))
    assert "happiness" in mpafer(world, "predict", str(run), str(image), MPAFER_IMPORT="clip_adapter")
    listed = mpafer(world, "methods", "--import", "clip_adapter.py")
    assert re.search(r"ClipAdapter +CLIP-Adapter: Better.* yes +TRAINER\.CLIPADAPTER +tiny vit_b16 vit_l14", listed)
    with pytest.raises(AssertionError, match="no method 'ClipAdapter'"):
        mpafer(world, "run", "ClipAdapter", "rafdb")


def test_its_own_config_hides_ours(world: Path) -> None:
    own = world / "own/configs/ClipAdapter"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("TRAINER: {CLIPADAPTER: {RATIO: 0.5}}\n")
    planned = mpafer(world, "run", "ClipAdapter", "rafdb", "mine", "--plan", "--import", "clip_adapter")
    assert f"--import clip_adapter --root {world}/data" in planned and f"--config-file {own}/mine.yaml" in planned
    assert "/ClipAdapter/mine_all/seed1" in planned


def test_a_method_from_elsewhere_passes_the_contract(world: Path) -> None:
    test = "tests/methods/test_contract.py"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-k", "ClipAdapter", test], cwd=REPO, text=True, capture_output=True,
        env=os.environ | {"MPAFER_IMPORT": str(world / "own/clip_adapter.py")},
    )  # fmt: skip
    assert re.search(r"1[0-9] passed", done.stdout), done.stdout + done.stderr


def test_a_data_set_with_classes_of_its_own_runs_and_is_checked(world: Path) -> None:
    extra = ["DATASET.DESCRIPTIONS", "dogs.yaml", *small(world)]
    mpafer(world, "run", "MPAFER", "DogFaces", "tiny", "2", "--import", "dogs.py", *extra)
    (run,) = (world / "out/DogFaces/MPAFER").glob("*/seed1")
    assert results(run)["classnames"] == ["calm", "playful", "afraid of thunder"] and results(run)["num_images"] == 6
    checked = mpafer(world, "check", "DogFaces", "--import", "dogs.py", "--no-near-duplicates")
    assert re.search(r"afraid of thunder +4 +2", checked)
    assert re.search(r"^DogFaces +DogFaces +3$", mpafer(world, "datasets", "--import", "dogs"), re.M)


def test_a_broken_file_stops_only_who_needs_it(world: Path) -> None:
    """An installed package with a syntax error, found by its entry point."""
    site = world / "site"
    (site / "broken-1.0.dist-info").mkdir(parents=True)
    (site / "broken-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (site / "broken-1.0.dist-info/entry_points.txt").write_text("[mpafer]\nx = broken_method\n")
    (site / "broken_method.py").write_text("def f(:\n")
    printed = mpafer(world, "methods", PYTHONPATH=str(site))
    assert "MPAFER" in printed and "broken_method could not be imported" in printed
    with pytest.raises(AssertionError) as refused:
        mpafer(world, "run", "Broken", "rafdb", PYTHONPATH=str(site))
    assert "no method 'Broken'" in str(refused.value)
    assert "SyntaxError: invalid syntax (broken_method.py, line 1)" in str(refused.value)


def test_a_broken_file_of_ours_stops_only_who_needs_it(tmp_path: Path) -> None:
    code = (
        "import mpafer.common.extensions as e, sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "import some; print(sorted(some.found), e.BROKEN)"
    )
    (tmp_path / "some").mkdir()
    (tmp_path / "some/__init__.py").write_text(
        "from mpafer.common.extensions import import_all\nfound = []\nimport_all(__name__, __path__)\n"
    )
    for name, text in (("a", "x ="), ("b", "import nothing_such"), ("c", "from some import found; found.append('c')")):
        (tmp_path / f"some/{name}.py").write_text(text)
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("['c'] {'some.a': 'SyntaxError: ")
    assert "'some.b': \"ModuleNotFoundError: No module named 'nothing_such'" in done.stdout
    import mpafer.datasets
    import mpafer.trainers

    for package in (mpafer.trainers, mpafer.datasets):
        assert "import_all(__name__, __path__)" in Path(str(package.__file__)).read_text()


def test_a_name_that_is_taken_is_refused(world: Path) -> None:
    """Else one of ours would be another method, without a word."""
    (world / "own/thief.py").write_text(METHOD.replace("class ClipAdapter(", "class CoOp("))
    with pytest.raises(
        AssertionError, match=r"thief: mpafer\.trainers\.coop has a CoOp already; give yours another name"
    ):
        mpafer(world, "methods", "--import", "thief.py")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.py", "--import none.py: no such file"),
        ("no_such", "--import no_such: no such module, here or installed"),
        ("json.py", r"--import json.py: another module is called json \(.*\): rename the file"),
    ],
)
def test_imports_that_are_not_there(world: Path, name: str, message: str) -> None:
    (world / "own/json.py").write_text("")
    with pytest.raises(AssertionError, match=message):
        mpafer(world, "methods", "--import", name)
    (world / "own/json.py").unlink()
