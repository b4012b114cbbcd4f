"""Our keys in Dassl's tree, and merging with errors that name the key meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from yacs.config import CfgNode

import mpafer
from mpafer.common.config import dataset_file, differences, merge_file, merge_list
from mpafer.common.options import Options
from mpafer.trainers import METHODS

REPO = Path(__file__).parent.parent.parent
COCOOP = (
    "INPUT:\n  SIZE: (224, 224)\nOPTIM:\n  WARMUP_CONS_LR: 1e-5\nTRAINER:\n  COCOOP:\n    N_CTX: 4\n    PREC: fp16\n"
)


def yaml(folder: Path, text: str) -> str:
    path = folder / "config.yaml"
    path.write_text(text)
    return str(path)


CONFIGS = sorted({*(REPO / "configs").rglob("*.yaml")} - {*(REPO / "configs/ablations").iterdir()})  # test_ablation.py


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: "-".join(path.parts[-2:]))
def test_every_shipped_yaml_loads_and_its_options_are_valid(cfg: CfgNode, path: Path) -> None:
    before = cfg.clone()
    merge_file(cfg, str(path))
    assert differences(before, cfg)
    trainers = METHODS if "datasets" in path.parts else {path.parent.name: METHODS[path.parent.name]}
    for method in trainers.values():
        assert isinstance(method.options_from(cfg), Options)


def test_every_method_has_its_recipe_and_its_tiny_config() -> None:
    for name in METHODS:
        assert {"vit_b16.yaml", "tiny.yaml"} <= {path.name for path in (REPO / "configs/trainers" / name).iterdir()}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_an_unknown_option_of_any_method_names_the_closest(cfg: CfgNode, tmp_path: Path, method: Any) -> None:
    key = next(iter(method.Options().node()))
    with pytest.raises(ValueError, match=rf"did you mean TRAINER\.[A-Z0-9]+\.{key}\?"):
        merge_file(cfg, yaml(tmp_path, f"TRAINER:\n  {method.node}:\n    {key}X: 1\n"))


def test_an_option_of_the_other_method_in_a_shared_node(cfg: CfgNode) -> None:
    assert METHODS["KgCoOp"].options_from(cfg).w == 1 and METHODS["CoOp"].options_from(cfg).n_ctx == 16
    cfg.TRAINER.COOP.W = 8.0
    assert METHODS["KgCoOp"].options_from(cfg).w == 8
    with pytest.raises(ValueError, match=r"TRAINER\.COOP\.W is an option of KgCoOp, CoOp has none such"):
        METHODS["CoOp"].options_from(cfg)


def test_yaml_written_for_coop_loads(cfg: CfgNode, tmp_path: Path) -> None:
    merge_file(cfg, yaml(tmp_path, COCOOP))
    assert cfg.TRAINER.COCOOP.N_CTX == 4 and cfg.OPTIM.WARMUP_CONS_LR == 1e-5 and cfg.INPUT.SIZE == (224, 224)


def test_whole_numbers_where_the_tree_has_decimals(cfg: CfgNode, tmp_path: Path) -> None:
    merge_file(cfg, yaml(tmp_path, "TRAINER:\n  MPAFER:\n    BETA: 2\n"))
    merge_list(cfg, ["OPTIM.LR", "1"])
    assert cfg.TRAINER.MPAFER.BETA == 2.0 and cfg.OPTIM.LR == 1.0 and isinstance(cfg.OPTIM.LR, float)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("OPTIM:\n  MAX_EPOCHS: 3\n", "no config key OPTIM.MAX_EPOCHS: did you mean OPTIM.MAX_EPOCH?"),
        ("OPTIM:\n  MAX_EPOCH: [3]\n", "OPTIM|Type mismatch"),
        ("OPTIM: [\n", "config.yaml is not YAML"),
        ("- OPTIM\n", "config.yaml is not YAML with keys and values"),
    ],
)
def test_bad_yaml_is_named(cfg: CfgNode, tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        merge_file(cfg, yaml(tmp_path, text))


def test_an_empty_node_and_a_missing_file(cfg: CfgNode, tmp_path: Path) -> None:
    before = cfg.dump()
    merge_file(cfg, yaml(tmp_path, "TRAINER:\n  MPAFER:\n"))
    assert cfg.dump() == before
    with pytest.raises(FileNotFoundError, match="that folder holds: config"):
        merge_file(cfg, str(tmp_path / "other.yaml"))


def test_key_value_pairs(cfg: CfgNode) -> None:
    with pytest.raises(ValueError, match="KEY VALUE pairs, but these are 1 words"):
        merge_list(cfg, ["OPTIM.LR"])
    with pytest.raises(ValueError, match=r"did you mean TRAINER\.MPAFER\.TOP_K"):
        merge_list(cfg, ["TRAINER.MPAFER.TOPK", "1"])


def test_differences_leave_places_and_processes_out(cfg: CfgNode) -> None:
    other = cfg.clone()
    other.OUTPUT_DIR, other.DATALOADER.NUM_WORKERS = "elsewhere", 0
    assert not differences(cfg, other)
    assert not differences(CfgNode.load_cfg(cfg.dump()), cfg)  # tuples come back from YAML as lists
    other.TRAINER.MPAFER.TAU = 0.5
    assert differences(cfg, other) == differences(cfg, other, "MPAFER") == {"TRAINER.MPAFER.TAU": (0.07, 0.5)}
    assert not differences(cfg, other, "COOP")  # another method's option
    other.TRAINER.NAME = "CoOp"
    assert differences(cfg, other, "COOP") == {"TRAINER.NAME": ("", "CoOp")}


def test_keys_that_are_there_are_left_alone(cfg: CfgNode) -> None:
    cfg.DATASET.SUBSAMPLE_CLASSES = "base"
    mpafer.extend_cfg(cfg)
    assert cfg.DATASET.SUBSAMPLE_CLASSES == "base"


@pytest.mark.parametrize("name", ["ckplus", "CKPlus"])
def test_a_data_set_brings_its_yaml_by_either_name(cfg: CfgNode, name: str) -> None:
    merge_file(cfg, dataset_file(name))
    assert cfg.DATASET.NAME == "CKPlus" and cfg.DATASET.FACE_BOX == 0.2
    assert not dataset_file("nothing")
