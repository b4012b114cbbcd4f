"""Configuration, registries and the choice of the engine."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from yacs.config import CfgNode

from mpafer.common.defaults import get_cfg_default
from mpafer.common.registry import TRAINER_REGISTRY, Registry, build_trainer
from mpafer.engine import host

# of Dassl's get_cfg_default() at commit c61a1b5, by the function below
DASSL_TREE = "fdbd79be831c9b4d8e5f012624320c58dcf9ec53706372cedca1f33d5dc16747"

COOP_METHOD = """
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
DASSL_SEMI_SUPERVISED = """
DATALOADER:
  TRAIN_U: {SAME_AS_X: False, BATCH_SIZE: 448}
OPTIM:
  STEPSIZE: [4000]
TRAINER:
  FIXMATCH:
    STRONG_TRANSFORMS: ["random_flip", "randaugment_fixmatch", "normalize", "cutout"]
"""


def digest(cfg: CfgNode) -> str:
    return hashlib.sha256(json.dumps(cfg, sort_keys=True).encode()).hexdigest()


def merge(text: str, path: Path) -> CfgNode:
    path.write_text(text)
    cfg = get_cfg_default()
    cfg.merge_from_file(str(path))
    return cfg


def test_the_default_tree_is_dassls():
    assert digest(get_cfg_default()) == DASSL_TREE
    changed = get_cfg_default()
    changed.TRAINER.MIXMATCH.RAMPUP += 1
    assert digest(changed) != DASSL_TREE


def test_every_default_tree_is_its_own():
    get_cfg_default().INPUT.PIXEL_MEAN[0] = 7
    assert get_cfg_default().INPUT.PIXEL_MEAN[0] == 0.485


def test_yaml_written_for_coop_and_dassl_loads(tmp_path):
    cfg = merge(COOP_METHOD, tmp_path / "coop.yaml")
    assert cfg.OPTIM.WARMUP_CONS_LR == 1e-5 and cfg.INPUT.SIZE == (224, 224) and cfg.MODEL.BACKBONE.NAME == "ViT-B/16"
    assert merge(DASSL_SEMI_SUPERVISED, tmp_path / "ssl.yaml").OPTIM.STEPSIZE == (4000,)
    with pytest.raises(KeyError, match=r"OPTIM.LEARNING_RATE"):
        merge("OPTIM: {LEARNING_RATE: 1}", tmp_path / "typo.yaml")


def test_registry_registers_once():
    registry = Registry("ANIMAL")

    @registry.register()
    class Horse: ...

    class Donkey: ...

    registry.register(Donkey)
    assert registry.registered_names() == ["Horse", "Donkey"]
    assert registry.get("Donkey") is Donkey
    with pytest.raises(KeyError, match="already registered"):
        registry.register(Donkey)
    registry.register(Donkey, force=True)


@pytest.mark.parametrize("kind", [KeyError, ValueError])  # Dassl raises one or the other
def test_an_unknown_name_lists_the_closest(kind):
    registry = Registry("ANIMAL")
    registry.register(SimpleNamespace(__name__="Horse"))
    with pytest.raises(kind, match=r"^unknown animal 'Hrose'. Did you mean Horse\? Registered: Horse$"):
        registry.get("Hrose")


def test_build_trainer_says_what_it_builds(monkeypatch, capsys):
    monkeypatch.setattr(TRAINER_REGISTRY, "_objects", {"Known": lambda cfg: cfg.SEED})
    cfg = get_cfg_default()
    cfg.TRAINER.NAME = "Known"
    assert build_trainer(cfg) == -1
    assert capsys.readouterr().out == "Loading trainer: Known\n"


# --- host


def load_host(monkeypatch: pytest.MonkeyPatch, engine: str | None, dassl: Path | None = None) -> ModuleType:
    """A fresh copy of host.py under MPAFER_ENGINE=``engine``, with or without a package dassl in reach."""
    for name in [name for name in sys.modules if name.split(".")[0] == "dassl"]:
        monkeypatch.delitem(sys.modules, name)
    elsewhere = [entry for entry in sys.path if not (Path(entry) / "dassl").is_dir()]
    monkeypatch.setattr(sys, "path", [str(dassl), *elsewhere] if dassl else elsewhere)
    if not dassl:
        find = importlib.util.find_spec
        monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "dassl" else find(name, *a))
    monkeypatch.delenv("MPAFER_ENGINE", raising=False)
    if engine is not None:
        monkeypatch.setenv("MPAFER_ENGINE", engine)
    importlib.invalidate_caches()
    spec = importlib.util.spec_from_file_location("host_copy", host.__file__)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def dassl(tmp_path):
    """A package that looks like Dassl from outside, and can import half of its parts."""
    (tmp_path / "dassl" / "engine").mkdir(parents=True)
    (tmp_path / "dassl" / "__init__.py").write_text('__version__ = "9.9"\n')
    (tmp_path / "dassl" / "engine" / "__init__.py").write_text("class TrainerX: ...\n")
    (tmp_path / "dassl" / "data.py").write_text("import a_package_nobody_has\n")
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] == "dassl"]:
        del sys.modules[name]


def test_auto_takes_dassl_where_it_is_and_the_builtin_elsewhere(monkeypatch, dassl):
    chosen = load_host(monkeypatch, "auto", dassl)
    assert (chosen.ENGINE, chosen.ENGINE_VERSION) == ("dassl", "9.9")
    assert chosen.TrainerX.__module__ == "dassl.engine"
    assert load_host(monkeypatch, None, dassl).ENGINE == "dassl"
    assert load_host(monkeypatch, "builtin", dassl).TrainerX.__module__ == "mpafer.engine.trainer"
    assert load_host(monkeypatch, "auto").ENGINE == "builtin"


def test_a_folder_called_dassl_is_not_dassl(monkeypatch, tmp_path):
    (tmp_path / "dassl").mkdir()
    assert load_host(monkeypatch, "auto", tmp_path).ENGINE == "builtin"


def test_host_errors_name_the_cure(monkeypatch, dassl):
    with pytest.raises(ImportError, match=r"a_package_nobody_has.*MPAFER_ENGINE=builtin"):
        load_host(monkeypatch, "dassl", dassl).DataManager  # noqa: B018 - looking it up imports it
    with pytest.raises(ValueError, match=r"MPAFER_ENGINE='dasl': expected one of auto, dassl, builtin"):
        load_host(monkeypatch, "dasl")
    with pytest.raises(ImportError, match="not installed here"):
        load_host(monkeypatch, "dassl")
    with pytest.raises(AttributeError, match="TrainerY"):
        load_host(monkeypatch, "builtin").TrainerY  # noqa: B018


def test_the_builtin_has_every_name_of_the_seam(monkeypatch):
    chosen = load_host(monkeypatch, "builtin")
    assert set(chosen.__all__) == {"ENGINE", "ENGINE_VERSION", "dassl_module", *chosen._HOMES}
    for name in chosen.__all__:
        assert getattr(chosen, name) is not None


def test_only_host_imports_dassl(repo):
    imports = re.compile(r"^\s*(?:import|from)\s+dassl\b|import_module\(.dassl", re.MULTILINE)
    assert imports.search("    from dassl.engine import TrainerX")
    sources = [p for top in ("mpafer", "trainers", "datasets", "configs") for p in (repo / top).rglob("*.py")]
    sources += [repo / "train.py"]
    assert len(sources) > 10
    guilty = [str(p) for p in sources if p.name != "host.py" and p.exists() and imports.search(p.read_text())]
    assert guilty == []
