"""YAML files that start from others, and the flat copies that a checkout on Dassl reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.tools import load_tool

import mpafer
from mpafer.common.config import merge, read_file
from mpafer.common.defaults import default_config
from mpafer.trainers import METHODS

CONFIGS = Path(__file__).parent.parent.parent / "configs"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """a = {LR: 1, EPOCH: 1}, b = {LR: 2, INPUT.SIZE}."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/a.yaml").write_text("OPTIM: {LR: 1, EPOCH: 1}\n")
    (tmp_path / "shared/b.yaml").write_text("OPTIM: {LR: 2}\nINPUT: {SIZE: '(8, 8)'}\n")
    return tmp_path


def write(folder: Path, text: str, name: str = "own.yaml") -> Path:
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("_BASE_: shared/a.yaml", {"OPTIM.LR": 1, "OPTIM.EPOCH": 1}),
        ("_BASE_: [shared/a.yaml, shared/b.yaml]", {"OPTIM.LR": 2, "OPTIM.EPOCH": 1, "INPUT.SIZE": (8, 8)}),
        ("_BASE_: [shared/b.yaml, shared/a.yaml]", {"OPTIM.LR": 1, "OPTIM.EPOCH": 1, "INPUT.SIZE": (8, 8)}),
        ("OPTIM: {LR: 3}\n_BASE_: shared/a.yaml", {"OPTIM.LR": 3, "OPTIM.EPOCH": 1}),
        ("_BASE_: []\nOPTIM: {LR: 3}", {"OPTIM.LR": 3}),
    ],
)
def test_a_file_stands_over_those_it_starts_from(folder, text, expected):
    assert read_file(write(folder, text)) == expected


def test_a_base_has_bases_of_its_own_relative_to_itself(folder):
    write(folder / "shared", "_BASE_: a.yaml\nOPTIM: {EPOCH: 5}", "middle.yaml")
    assert read_file(write(folder, "_BASE_: shared/middle.yaml")) == {"OPTIM.LR": 1, "OPTIM.EPOCH": 5}


def test_two_files_may_start_from_the_same_one(folder):
    for name in ("left", "right"):
        write(folder, "_BASE_: shared/a.yaml", f"{name}.yaml")
    assert read_file(write(folder, "_BASE_: [left.yaml, right.yaml]")) == {"OPTIM.LR": 1, "OPTIM.EPOCH": 1}


def test_a_circle_is_named(folder):
    write(folder, "_BASE_: two.yaml", "one.yaml")
    write(folder, "_BASE_: shared/../one.yaml", "two.yaml")
    with pytest.raises(ValueError, match=r"one\.yaml starts from itself: \S+one\.yaml -> \S+two\.yaml -> \S+one\.yaml"):
        read_file(folder / "one.yaml")


def test_a_missing_base_is_named_with_who_asks(folder):
    own = write(folder, "_BASE_: shared/c.yaml")
    with pytest.raises(FileNotFoundError, match=rf"c\.yaml, which {own} starts from; that folder holds: a, b"):
        read_file(own)


@pytest.mark.parametrize("value", ["3", "{a: b}", "[3]", ""])
def test_a_base_is_a_path_or_several(folder, value):
    with pytest.raises(ValueError, match=r"own\.yaml: _BASE_ is a path or a list of paths, not"):
        read_file(write(folder, f"_BASE_: {value}"))


@pytest.mark.parametrize("text", ["- a\n- b", "text", "a: [", "3"])
def test_what_is_no_tree_is_refused(folder, text):
    with pytest.raises(ValueError, match="is not YAML"):
        read_file(write(folder, text))


def test_bases_are_no_recipes():
    """Scripts find methods by `*/CFG.yaml`."""
    names = {method: {path.name for path in (CONFIGS / "trainers" / method).glob("*.yaml")} for method in METHODS}
    bases = {path.name for path in (CONFIGS / "trainers/_base_").glob("*.yaml")}
    assert bases and not bases & set().union(*names.values())


def test_every_recipe_of_vit_b16_has_its_twin_of_vit_l14():
    """The same values, but for the backbone."""
    folders = [path.parent for path in sorted((CONFIGS / "trainers").glob("*/vit_b16.yaml"))]
    assert {folder.name for folder in folders} >= METHODS.keys()
    for folder in folders:
        small, large = (read_file(folder / f"vit_{size}.yaml") for size in ("b16", "l14"))
        assert large == small | {"MODEL.BACKBONE.NAME": "ViT-L/14"} != small


# --- flat copies ----------------------------------------------------------------------------------


def test_flat_copies_are_what_the_generator_makes():
    made = load_tool("flat_configs").flat_files()
    shipped = {path: path.read_text("utf-8") for path in (CONFIGS / "dassl").rglob("*.*")}
    assert made == shipped, "run: python tools/flat_configs.py"
    ours = {path.stem for path in made if path.parent.name == "MPAFER"}
    assert ours == {"tiny", "vit_b16", "vit_b16_paper", "vit_l14"}


@pytest.mark.parametrize("path", sorted((CONFIGS / "dassl").rglob("*.yaml")), ids=lambda path: path.stem)
def test_yacs_reads_a_flat_copy_as_we_read_its_source(path):
    """As a checkout does: into a tree that mpafer.extend_cfg has extended."""
    theirs = default_config()
    mpafer.extend_cfg(theirs)
    ours, untouched = theirs.clone(), theirs.clone()
    theirs.merge_from_file(str(path))
    merge(ours, "source", read_file(CONFIGS / path.relative_to(CONFIGS / "dassl")))
    assert theirs == ours != untouched
    assert path.read_text("utf-8").startswith("# Made from configs/")
