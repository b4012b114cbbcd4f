"""The config of a run: files, KEY VALUE pairs and defaults; whose an option is; comparing two runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from yacs.config import CfgNode

import mpafer
from mpafer.common.config import leaves, merge, read_file, read_pairs
from mpafer.common.identity import differences
from mpafer.common.options import Options
from mpafer.datasets import DATASETS
from mpafer.run_config import dataset_file, find_method, run_config
from mpafer.trainers import METHODS

REPO = Path(__file__).parent.parent.parent
COOP = """
DATALOADER:
  TRAIN_X:
    BATCH_SIZE: 32
  TEST:
    BATCH_SIZE: 100
  NUM_WORKERS: 8
INPUT:
  SIZE: (224, 224)
  INTERPOLATION: "bicubic"
  PIXEL_MEAN: [0.48145466, 0.4578275, 0.40821073]
  TRANSFORMS: ["random_resized_crop", "random_flip", "normalize"]
OPTIM:
  NAME: "sgd"
  LR: 0.002
  MAX_EPOCH: 50
  LR_SCHEDULER: "cosine"
  WARMUP_EPOCH: 1
  WARMUP_TYPE: "constant"
  WARMUP_CONS_LR: 1e-5
TRAIN:
  PRINT_FREQ: 5
MODEL:
  BACKBONE:
    NAME: "ViT-B/16"
"""
COCOOP = (
    "INPUT:\n  SIZE: (224, 224)\nOPTIM:\n  WARMUP_CONS_LR: 1e-5\nTRAINER:\n  COCOOP:\n    N_CTX: 4\n    PREC: fp16\n"
)
SEMI_SUPERVISED = """
DATALOADER:
  TRAIN_U: {SAME_AS_X: False, BATCH_SIZE: 448}
OPTIM:
  STEPSIZE: [4000]
"""


def yaml(folder: Path, text: str) -> str:
    path = folder / "config.yaml"
    path.write_text(text)
    return str(path)


# --- what is shipped, and what others wrote

CONFIGS = sorted((REPO / "configs/trainers").glob("[!_]*/*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: "-".join(path.parts[-2:]))
def test_every_shipped_yaml_loads_and_its_options_are_valid(path: Path) -> None:
    method = METHODS[path.parent.name]
    config = run_config(path.parent.name, method_file=path)
    assert differences(run_config(path.parent.name), config)
    assert isinstance(method.options_from(config), Options)


@pytest.mark.parametrize("path", sorted((REPO / "configs/datasets").iterdir()), ids=lambda path: path.stem)
def test_every_data_sets_yaml_loads_and_its_options_are_valid(path: Path) -> None:
    config = run_config(dataset=path.stem)
    dataset = DATASETS[config.DATASET.NAME]
    assert differences(run_config(), config)
    assert dataset.Options.of({key: config.DATASET[key] for key in dataset.Options().node()})


def test_every_method_has_its_recipe_and_its_tiny_config() -> None:
    for name in METHODS:
        assert {"vit_b16.yaml", "tiny.yaml"} <= {path.name for path in (REPO / "configs/trainers" / name).iterdir()}


def test_yaml_written_for_coop_and_dassl_loads(tmp_path: Path) -> None:
    config = run_config("CoOp", method_file=yaml(tmp_path, COOP))
    assert config.OPTIM.WARMUP_CONS_LR == 1e-5 and config.INPUT.SIZE == (224, 224)
    assert config.MODEL.BACKBONE.NAME == "ViT-B/16" and config.TRAINER.COOP.N_CTX == 16
    config = run_config("CoCoOp", method_file=yaml(tmp_path, COCOOP))
    assert config.TRAINER.COCOOP.N_CTX == 4 and config.OPTIM.WARMUP_CONS_LR == 1e-5
    assert run_config(method_file=yaml(tmp_path, SEMI_SUPERVISED)).OPTIM.STEPSIZE == (4000,)


# --- whose an option is


def test_a_run_has_its_own_methods_and_data_sets_options_only() -> None:
    config = run_config("MPAFER", "ckplus")
    assert list(config.TRAINER) == ["NAME", "MPAFER"] and config.TRAINER.NAME == "MPAFER"
    assert config.DATASET.FACE_BOX == 0.2 and not {"LABEL_RULE", "FOLDER"} & set(config.DATASET)
    stored = CfgNode.load_cfg(config.dump())
    assert dict(leaves(stored)).keys() == dict(leaves(config)).keys()
    rules = run_config("CoOp", "ferplus").DATASET
    assert rules.LABEL_RULE == "majority" and "FOLD" not in rules
    assert list(run_config().TRAINER) == ["NAME"] and set(run_config("MPAFER", "sketchfer").DATASET) == set(
        run_config().DATASET
    )


@pytest.mark.parametrize(
    ("method", "dataset", "key", "message"),
    [
        ("MPAFER", "rafdb", "TRAINER.COOP.N_CTX", "an option of CoOp, and this run's method is MPAFER"),
        ("CoOp", "rafdb", "TRAINER.MPAFER.TAU", "an option of MPAFER, and this run's method is CoOp"),
        ("CoOp", "rafdb", "TRAINER.COOP.W", "an option of KgCoOp, CoOp has none such"),
        ("", "rafdb", "TRAINER.COOP.N_CTX", "an option of CoOp, and no method is named"),
        ("MPAFER", "rafdb", "DATASET.FOLD", "an option of CKPlus, and this run's data set is RAFDB"),
        ("MPAFER", "ckplus", "DATASET.LABEL_RULE", "an option of FERPlus, and this run's data set is CKPlus"),
        ("MPAFER", "", "DATASET.FOLD", "an option of CKPlus, and no data set is named"),
    ],
)
def test_an_option_of_another_owner_is_refused(method: str, dataset: str, key: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^command line: {key} is {message}$"):
        run_config(method, dataset, pairs=[key, "1"])


def test_a_node_of_another_method_in_a_file(tmp_path: Path) -> None:
    path = yaml(tmp_path, COCOOP)
    with pytest.raises(ValueError, match=rf"^{path}: TRAINER\.COCOOP\.N_CTX is an option of CoCoOp, .* is MPAFER$"):
        run_config("MPAFER", method_file=path)


def test_methods_and_data_sets_named_by_what_follows(tmp_path: Path) -> None:
    path = yaml(tmp_path, "TRAINER:\n  NAME: CoOp\n  COOP:\n    N_CTX: 4\nDATASET:\n  NAME: CKPlus\n  FOLD: 2\n")
    config = run_config(method_file=path, pairs=["DATASET.FRAMES", "3"])
    assert (config.TRAINER.COOP.N_CTX, config.DATASET.FOLD, config.DATASET.FRAMES) == (4, 2, 3)
    assert run_config(dataset="rafdb", pairs=["DATASET.NAME", "CKPlus", "DATASET.FOLD", "3"]).DATASET.FOLD == 3


def test_later_layers_go_over_earlier_ones(tmp_path: Path) -> None:
    path, flags = yaml(tmp_path, "OPTIM:\n  LR: 0.1\n  MAX_EPOCH: 7\nSEED: 1\n"), {"OPTIM.MAX_EPOCH": 8, "SEED": 2}
    config = run_config("CoOp", "ckplus", method_file=path, flags=flags, pairs=["SEED", "3", "DATASET.FACE_BOX", "-1"])
    assert (config.OPTIM.LR, config.OPTIM.MAX_EPOCH, config.SEED, config.DATASET.FACE_BOX) == (0.1, 8, 3, -1.0)


def test_unknown_methods_and_data_sets() -> None:
    with pytest.raises(ValueError, match=r"^no method 'MPAFEER': did you mean MPAFER\?$"):
        run_config("MPAFEER")
    with pytest.raises(ValueError, match=r"^no data set 'RAFBD': did you mean RAFDB\?$"):
        run_config("MPAFER", "RAFBD")
    assert find_method("CoOp") is METHODS["CoOp"]


@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_option_of_any_method_names_the_closest(tmp_path: Path, method: str) -> None:
    node, key = METHODS[method].node, next(iter(METHODS[method].Options().node()))
    with pytest.raises(ValueError, match=rf"did you mean TRAINER\.{node}\.{key}\?"):
        run_config(method, method_file=yaml(tmp_path, f"TRAINER:\n  {node}:\n    {key}X: 1\n"))


def test_an_option_of_the_other_method_in_a_shared_node(cfg: CfgNode) -> None:
    assert METHODS["KgCoOp"].options_from(cfg).w == 1 and METHODS["CoOp"].options_from(cfg).n_ctx == 16
    cfg.TRAINER.COOP.W = 8.0
    assert METHODS["KgCoOp"].options_from(cfg).w == 8
    with pytest.raises(ValueError, match=r"TRAINER\.COOP\.W is an option of KgCoOp, CoOp has none such"):
        METHODS["CoOp"].options_from(cfg)


# --- values


def test_whole_numbers_where_the_tree_has_decimals(tmp_path: Path) -> None:
    cfg = run_config(
        "MPAFER", method_file=yaml(tmp_path, "TRAINER:\n  MPAFER:\n    BETA: 2\n"), pairs=["OPTIM.LR", "1"]
    )
    assert cfg.TRAINER.MPAFER.BETA == 2.0 and cfg.OPTIM.LR == 1.0 and isinstance(cfg.OPTIM.LR, float)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "OPTIM:\n  MAX_EPOCHS: 3\n",
            r"config\.yaml: no config key OPTIM\.MAX_EPOCHS: did you mean OPTIM\.MAX_EPOCH\?$",
        ),
        ("OPTIM:\n  MAX_EPOCH: [3]\n", r"config\.yaml: Type mismatch .*10 vs. \[3\].* OPTIM\.MAX_EPOCH$"),
        ("OPTIM: 3\n", r"config\.yaml: no config key OPTIM: did you mean OPTIM\."),
        ("1: 3\n", r"config\.yaml: no config key 1: known: DATALOADER\.FAST, "),
        ("OPTIM: [\n", r"config\.yaml is not YAML: line 2: expected the node content"),
        ("OPTIM:\n  LR: 0.1\n  LR: 0.2\n", r"config\.yaml, line 3: the key 'LR' stands there a second time$"),
        ("OPTIM:\n  no: 3\n", r"config\.yaml, line 2: YAML reads the key no as False; put it in quotes: 'no'$"),
        ("- OPTIM\n", r"config\.yaml is not YAML with keys and values"),
        ("OPTIM:\n  LR: 2020-01-01\n", r"config\.yaml is not YAML with keys and values: Key OPTIM\.LR .*datetime"),
    ],
)
def test_bad_yaml_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run_config(method_file=yaml(tmp_path, text))


def test_an_empty_node_and_a_missing_file(tmp_path: Path) -> None:
    path = yaml(tmp_path, "OPTIM:\nTRAINER:\n  MPAFER:\n")
    assert run_config("MPAFER", method_file=path) == run_config("MPAFER")
    with pytest.raises(FileNotFoundError, match=r"no config file .*other\.yaml; that folder holds: config$"):
        run_config("MPAFER", method_file=tmp_path / "other.yaml")


def test_key_value_pairs() -> None:
    assert read_pairs(["OPTIM.LR", "1e-3", "OUTPUT_DIR", "out", "INPUT.SIZE", "(8, 8)"]) == {
        "OPTIM.LR": 1e-3, "OUTPUT_DIR": "out", "INPUT.SIZE": (8, 8),
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"KEY VALUE pairs, but these are 1 words: OPTIM\.LR$"):
        run_config("MPAFER", pairs=["OPTIM.LR"])
    with pytest.raises(ValueError, match=r"^command line: no config key .*did you mean TRAINER\.MPAFER\.TOP_K\?"):
        run_config("MPAFER", pairs=["TRAINER.MPAFER.TOPK", "1"])


# --- two runs


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


def test_a_run_of_before_that_stored_everybodys_options_is_the_same_run(cfg: CfgNode) -> None:
    """Until options had owners, a checkpoint held those of all methods and data sets, and all of Dassl's."""
    merge(cfg, "rafdb.yaml", read_file(dataset_file("rafdb")))
    cfg.TRAINER.NAME, cfg.DATASET.ROOT = "MPAFER", "elsewhere"
    cfg.TEST.EVALUATOR, cfg.VERSION, cfg.TRAINER.FIXMATCH = "Classification", 1, CfgNode({"WEIGHT_U": 1.0})
    theirs, ours = CfgNode.load_cfg(cfg.dump()), run_config("MPAFER", "rafdb", flags={"SEED": 1})
    assert len(dict(leaves(theirs))) > len(dict(leaves(ours))) + 20
    assert not differences(theirs, ours, "MPAFER")
    theirs.TRAINER.COOP.N_CTX, theirs.DATASET.FOLD = 7, 3  # of no meaning in this run
    assert not differences(theirs, ours, "MPAFER")
    theirs.TRAINER.MPAFER.TAU, theirs.OPTIM.LR = 0.5, 1.0
    assert set(differences(theirs, ours, "MPAFER")) == {"TRAINER.MPAFER.TAU", "OPTIM.LR"}


def test_keys_that_are_there_are_left_alone(cfg: CfgNode) -> None:
    cfg.DATASET.SUBSAMPLE_CLASSES = "base"
    mpafer.extend_cfg(cfg)
    assert cfg.DATASET.SUBSAMPLE_CLASSES == "base"


@pytest.mark.parametrize("name", ["ckplus", "CKPlus"])
def test_a_data_set_brings_its_yaml_by_either_name(name: str) -> None:
    cfg = run_config(dataset=name)
    assert cfg.DATASET.NAME == "CKPlus" and cfg.DATASET.FACE_BOX == 0.2
    assert run_config(dataset=str(REPO / "configs/datasets/ckplus.yaml")) == cfg
    assert not dataset_file("nothing")
