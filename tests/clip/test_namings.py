"""Weights of other libraries: their names, activation and heads; each beside a control that must be seen."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from support.foreign import (
    HUGGINGFACE_LAYER,
    LAYERS,
    any_clip,
    huggingface,
    huggingface_config,
    open_clip_config,
    write,
)
from torch import Tensor

from mpafer.clip import Clip, load_clip
from mpafer.clip.huggingface import to_openai
from mpafer.clip.sizes import GELU, OPENAI, QUICKGELU, BlockSizes, TowerSizes
from mpafer.common.errors import DataError, OptionError

PLAIN = BlockSizes(activation=GELU)


def features(clip: Clip) -> tuple[Tensor, Tensor]:
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return clip.encode_image(images), clip.encode_text(clip.tokenize(["a photo of anger.", "a face"]))


def same(a: Clip, b: Clip) -> bool:
    return all(torch.equal(x, y) for x, y in zip(features(a), features(b), strict=True))


@pytest.fixture(scope="module")
def ours() -> Clip:
    return any_clip((OPENAI, OPENAI))


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_huggingface_names_give_the_same_features(ours: Clip, tmp_path: Path, name: str) -> None:
    state = huggingface(ours.openai_state_dict())
    assert sorted(key.partition("layers.0.")[2] for key in state if "vision_model.encoder.layers.0." in key) == sorted(
        HUGGINGFACE_LAYER
    )
    loaded = load_clip(write(tmp_path, name, state, config=huggingface_config()))
    assert same(loaded, ours) and loaded.fingerprint == ours.fingerprint and loaded.activation == QUICKGELU


@pytest.mark.parametrize("order", ["kqv", "vkq", "qvk"])
def test_mixed_up_queries_keys_and_values_are_seen(ours: Clip, tmp_path: Path, order: str) -> None:
    """Control of the test above."""
    state = huggingface(ours.openai_state_dict(), order)
    assert not same(load_clip(write(tmp_path, "model.safetensors", state, config=huggingface_config())), ours)


def test_every_name_of_huggingfaces_is_in_the_table(ours: Clip) -> None:
    assert to_openai(huggingface(ours.openai_state_dict())).keys() == ours.openai_state_dict().keys()


def test_open_clips_files_give_the_same_features(tmp_path: Path) -> None:
    """Plain, of a distributed and compiled training, and with the text tensors under ``text.``."""
    ours = any_clip((PLAIN, PLAIN))
    state = ours.openai_state_dict()
    config = {"open_clip_config": open_clip_config()}
    files = [write(tmp_path / "a", "open_clip_pytorch_model.bin", state, **config)]
    files.append(write(tmp_path / "b", "open_clip_model.safetensors", state, **config))
    custom = {key if key.startswith(("visual.", "logit_")) else f"text.{key}": value for key, value in state.items()}
    files.append(write(tmp_path / "c", "custom.pt", custom, **config))
    wrapped = {f"module._orig_mod.{key}": value for key, value in state.items()}
    checkpoint = {"epoch": 3, "name": "run", "state_dict": wrapped, "optimizer": {"state": {}, "param_groups": []}}
    files.append(write(tmp_path / "d", "epoch_3.pt", {}, **config))
    torch.save(checkpoint, files[-1])
    for file in files:
        assert same(load_clip(file), ours), file
    assert not same(load_clip(files[0], activation=QUICKGELU), ours)  # control: the activation matters


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(entry.levelname, entry.message) for entry in caplog.records if "activation" in entry.message]


@pytest.mark.parametrize(
    ("name", "configs", "asked", "expected", "level", "source"),
    [
        ("clip.pt", {}, "", QUICKGELU, "WARNING", "a guess from OpenAI's names.*set MODEL.BACKBONE.ACTIVATION gelu"),
        ("clip.pt", {}, GELU, GELU, "INFO", "as MODEL.BACKBONE.ACTIVATION says"),
        ("clip.pt", {"open_clip_config": open_clip_config()}, "", GELU, "INFO", "as .*open_clip_config.json says"),
        ("clip.pt", {"open_clip_config": open_clip_config(True)}, "", QUICKGELU, "INFO", "open_clip_config.json says"),
        ("clip.pt", {"config": huggingface_config("gelu")}, "", GELU, "INFO", "as .*/config.json says"),
        ("clip.pt", {"config": {"anything": 1}}, "", QUICKGELU, "WARNING", "a guess"),
        ("clip.pt", {"config": huggingface_config("gelu")}, QUICKGELU, QUICKGELU, "WARNING", "though .* says gelu"),
        (
            "clip.pt", {"config": huggingface_config("gelu"), "open_clip_config": open_clip_config(True)}, "",
            QUICKGELU, "INFO", "open_clip_config.json says",
        ),
    ],
)  # fmt: skip
def test_the_activation_is_asked_for_or_read_or_guessed_and_always_said(
    ours: Clip, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    name: str, configs: dict[str, Any], asked: str, expected: str, level: str, source: str,
) -> None:  # fmt: skip
    caplog.set_level(logging.INFO, "mpafer")
    file = write(tmp_path, name, ours.openai_state_dict(), **configs)
    assert load_clip(file, activation=asked).activation == expected
    ((said_level, message),) = said(caplog)
    assert said_level == level
    assert re.search(rf"^clip\.pt: activation {expected} \(.*{source}.*\), 2 and 1 heads$", message), message


def test_the_tiny_clip_is_quickgelu_for_sure(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mpafer")
    assert load_clip("tiny").activation == QUICKGELU
    assert [level for level, _ in said(caplog)] == ["INFO"]


@pytest.mark.parametrize("naming", ["huggingface", "open_clip"])
def test_a_foreign_file_alone_is_not_guessed(ours: Clip, tmp_path: Path, naming: str) -> None:
    state = ours.openai_state_dict()
    if naming == "huggingface":
        file = write(tmp_path, "model.safetensors", huggingface(state))
    else:
        file = write(tmp_path, "open_clip_model.safetensors", state)
    with pytest.raises(OptionError, match=r"its activation is not known.*set MODEL\.BACKBONE\.ACTIVATION"):
        load_clip(file)
    assert same(load_clip(file, activation=QUICKGELU), ours)
    with pytest.raises(OptionError, match=r"ACTIVATION is 'relu'; choose one of , quickgelu, gelu"):
        load_clip(file, activation="relu")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_gelu_in_low_precision_follows_float32(dtype: torch.dtype) -> None:
    clip = any_clip((PLAIN, PLAIN))
    low = features(clip.cast(dtype))
    for ours, full in zip(low, features(clip), strict=True):
        assert ours.dtype == torch.float32 and torch.cosine_similarity(ours, full).min() > 0.999


def test_a_config_of_another_model_is_passed_over(ours: Clip, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = huggingface_config("gelu")
    config["vision_config"]["hidden_size"] = 768
    file = write(tmp_path, "clip.pt", ours.openai_state_dict(), config=config)
    assert load_clip(file).activation == QUICKGELU
    assert "config.json is of a model of other sizes than clip.pt: it is passed over" in caplog.text


def test_activation_and_heads_are_part_of_the_fingerprint(ours: Clip, tmp_path: Path) -> None:
    """Caches of features and checkpoints go by it; OpenAI's own keep the one they had."""
    file = write(tmp_path, "clip.pt", ours.openai_state_dict())
    plain = load_clip(file, activation=GELU)
    narrow = any_clip((BlockSizes(heads=4), OPENAI))
    loaded = load_clip(write(tmp_path, "clip.pt", narrow.openai_state_dict(), config=huggingface_config(heads=(4, 1))))
    assert same(loaded, narrow) and loaded.heads == (4, 1) and not same(loaded, ours)
    prints = {clip.fingerprint for clip in (load_clip(file, activation=QUICKGELU), plain, loaded, ours)}
    assert len(prints) == 3  # the first has the config's heads too


def test_wide_towers_have_the_heads_of_known_models(tmp_path: Path) -> None:
    """ViT-H is 1280 wide and has 16 heads, where 64 a head would make 20; g's and bigG's MLP is no multiple."""
    heads = {width: TowerSizes(width, 1, 4 * width).usual_heads for width in (512, 768, 1024, 1280, 1408, 1664)}
    assert heads == {512: 8, 768: 12, 1024: 16, 1280: 16, 1408: 16, 1664: 16}
    odd = any_clip((BlockSizes(hidden=300), BlockSizes(hidden=100)))
    assert same(load_clip(write(tmp_path, "clip.pt", odd.openai_state_dict())), odd)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config", huggingface_config("gelu_new"), "hidden_act is .*gelu_new.*both towers have quick_gelu, or both"),
        ("config", huggingface_config() | {"model_type": "siglip"}, "says that this is a siglip"),
        ("config", huggingface_config(heads=(3, 1)), "128 wide, which 3 attention heads do not divide"),
        ("open_clip_config", open_clip_config(no_ln_pre=True), "no_ln_pre is True, and the towers here compute False"),
        ("open_clip_config", open_clip_config(pool_type="avg"), "pool_type is 'avg'"),
        ("open_clip_config", open_clip_config(timm_model_name="vit_x"), "timm_model_name is 'vit_x'"),
        ("open_clip_config", open_clip_config(layers=[2, 2]), r"layers is \[2, 2\], where a CLIP of two transformers"),
    ],
)
def test_a_config_that_asks_for_other_towers_is_refused(
    ours: Clip, tmp_path: Path, name: str, content: Any, message: str
) -> None:
    file = write(tmp_path, "clip.pt", ours.openai_state_dict(), **{name: content})
    with pytest.raises(DataError, match=message):
        load_clip(file)
    (tmp_path / f"{name}.json").write_text("{")
    with pytest.raises(DataError, match=rf"{name}\.json is not JSON"):
        load_clip(file)


def test_other_pixel_statistics_are_named(ours: Clip, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = open_clip_config() | {"preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}}
    file = write(tmp_path, "clip.pt", ours.openai_state_dict(), open_clip_config=config)
    load_clip(file)
    assert "set INPUT.PIXEL_MEAN and INPUT.PIXEL_STD" in caplog.text and "[0.5, 0.5, 0.5]" in caplog.text


def test_a_half_or_a_layer_without_its_keys_is_named(ours: Clip, tmp_path: Path) -> None:
    state = huggingface(ours.openai_state_dict())
    half = {key: value for key, value in state.items() if not key.startswith("text_model.")}
    with pytest.raises(DataError, match=r"one half of a CLIP: there is no text_model"):
        load_clip(write(tmp_path, "half.pt", half), activation=QUICKGELU)
    del state[f"vision_model.encoder.layers.{LAYERS - 1}.self_attn.k_proj.weight"]
    with pytest.raises(DataError, match=r"layers\.1\.self_attn has q_proj, k_proj and v_proj of unlike weight"):
        load_clip(write(tmp_path, "less.pt", state), activation=QUICKGELU)
