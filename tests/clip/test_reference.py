"""Parity with transformers and open_clip: random models, saved by them and read by us.

pip install transformers open_clip_torch && python -m pytest tests/clip/test_reference.py -m reference
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support.foreign import open_clip_config
from torch import Tensor, nn

from mpafer.clip import load_clip
from mpafer.clip.tokens import clip_module

pytestmark = pytest.mark.reference
OTHER = {"quickgelu": "gelu", "gelu": "quickgelu"}


def randomise(model: nn.Module) -> None:
    """Weights large enough for every path to matter."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter += 0.2 * torch.randn_like(parameter)
            elif parameter.ndim == 2 and "embedding" not in name:
                parameter.normal_(std=1.5 * parameter.shape[1] ** -0.5)


def inputs() -> tuple[Tensor, Tensor]:
    """Images and texts, always the same."""
    texts = clip_module().tokenize(["a photo of anger.", "a", "a face with raised eyebrows and an open mouth"])
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1)), texts.long()


def difference(file: Path, theirs: tuple[Tensor, Tensor], activation: str = "") -> float:
    """Largest difference of image and text features, as a share of their largest value."""
    clip, (images, texts) = load_clip(str(file), activation=activation), inputs()
    ours = clip.encode_image(images), clip.encode_text(texts)
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(ours, theirs, strict=True))


def check(file: Path, theirs: tuple[Tensor, Tensor], activation: str) -> None:
    """Equal as the config file beside it says; and the control, with the other activation, is not."""
    same, other = difference(file, theirs), difference(file, theirs, OTHER[activation])
    print(f"{file.name}, {activation}: {same:.1e}; with the other activation {other:.1e}")
    assert same < 1e-5 and other > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("heads", [(4, 2), (2, 1)])
@pytest.mark.parametrize("activation", ["quickgelu", "gelu"])
def test_huggingface(tmp_path: Path, activation: str, heads: tuple[int, int]) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    act = {"quickgelu": "quick_gelu", "gelu": "gelu"}[activation]
    usual = {"num_hidden_layers": 3, "hidden_act": act, "projection_dim": 32}
    vision = usual | {"hidden_size": 128, "intermediate_size": 300, "image_size": 32, "patch_size": 8}
    text = usual | {"hidden_size": 64, "intermediate_size": 256, "num_attention_heads": heads[1]}
    config = transformers.CLIPConfig(
        text_config=text, vision_config=vision | {"num_attention_heads": heads[0]}, projection_dim=32
    )
    model = transformers.CLIPModel(config).eval()
    randomise(model)
    images, texts = inputs()
    features = model.visual_projection(model.vision_model(images).pooler_output)
    theirs = features, model.text_projection(model.text_model(texts).pooler_output)
    model.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    for name in ("model.safetensors", "pytorch_model.bin"):
        check(tmp_path / name, theirs, activation)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["CLIP", "CustomTextCLIP"])
@pytest.mark.parametrize("head_width", [32, 64])
@pytest.mark.parametrize("activation", ["quickgelu", "gelu"])
def test_open_clip(tmp_path: Path, activation: str, head_width: int, kind: str) -> None:
    open_clip = pytest.importorskip("open_clip", reason="open_clip is not installed")
    content: dict[str, Any] = open_clip_config(activation == "quickgelu", head_width, mlp_ratio=4.3637)
    model = getattr(open_clip, kind)(**content["model_cfg"]).eval()
    randomise(model)
    images, texts = inputs()
    theirs = model.encode_image(images), model.encode_text(texts)
    (tmp_path / "open_clip_config.json").write_text(json.dumps(content))
    torch.save(model.state_dict(), tmp_path / "open_clip_pytorch_model.bin")
    wrapped = {f"module.{key}": value for key, value in model.state_dict().items()}
    torch.save({"epoch": 1, "name": "run", "state_dict": wrapped}, tmp_path / "epoch_1.pt")
    for name in ("open_clip_pytorch_model.bin", "epoch_1.pt"):
        check(tmp_path / name, theirs, activation)
