"""CLIPs under other libraries' names, written without them: the names are facts, noted here a second time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from mpafer.clip import Clip
from mpafer.clip.sizes import BlockSizes
from mpafer.clip.towers import TextTower, VisionTower

LAYERS, VISION, TEXT, DIM = 2, 128, 64, 32
# Every tensor of a one-layer CLIPModel of transformers 5.24.0 and its shape: W, V = 64, 128 wide, D = 32, 8-pixel
# patches of 32; {} is text_model or vision_model.
HUGGINGFACE_LAYER = [
    "layer_norm1.bias", "layer_norm1.weight", "layer_norm2.bias", "layer_norm2.weight", "mlp.fc1.bias",
    "mlp.fc1.weight", "mlp.fc2.bias", "mlp.fc2.weight", "self_attn.k_proj.bias", "self_attn.k_proj.weight",
    "self_attn.out_proj.bias", "self_attn.out_proj.weight", "self_attn.q_proj.bias", "self_attn.q_proj.weight",
    "self_attn.v_proj.bias", "self_attn.v_proj.weight",
]  # fmt: skip


def any_clip(blocks: tuple[BlockSizes, BlockSizes], seed: int = 0) -> Clip:
    """A CLIP of random weights, 128 and 64 wide, whose biases and norms all matter."""
    torch.manual_seed(seed)
    vision = VisionTower(32, 8, VISION, LAYERS, DIM, blocks[0])
    clip = Clip(vision, TextTower(77, 49408, TEXT, LAYERS, DIM, blocks[1])).eval()
    with torch.no_grad():
        for parameter in clip.parameters():
            if parameter.ndim == 1:
                parameter += 0.2 * torch.randn_like(parameter)
    return clip


def huggingface(state: Mapping[str, Tensor], order: str = "qkv") -> dict[str, Tensor]:
    """OpenAI's tensors under Hugging Face's names; another ``order`` mixes up query, key and value."""
    found = {"logit_scale": state["logit_scale"]}
    for half, ours in (("text", ""), ("vision", "visual.")):
        model, width = f"{half}_model", TEXT if half == "text" else VISION
        for layer in range(LAYERS):
            theirs, block = f"{model}.encoder.layers.{layer}.", f"{ours}transformer.resblocks.{layer}."
            for kind in ("weight", "bias"):
                for name, part in zip(order, state[f"{block}attn.in_proj_{kind}"].split(width), strict=True):
                    found[f"{theirs}self_attn.{name}_proj.{kind}"] = part
                found[f"{theirs}self_attn.out_proj.{kind}"] = state[f"{block}attn.out_proj.{kind}"]
                found[f"{theirs}mlp.fc1.{kind}"] = state[f"{block}mlp.c_fc.{kind}"]
                found[f"{theirs}mlp.fc2.{kind}"] = state[f"{block}mlp.c_proj.{kind}"]
                for number in (1, 2):
                    found[f"{theirs}layer_norm{number}.{kind}"] = state[f"{block}ln_{number}.{kind}"]
    for kind in ("weight", "bias"):
        found[f"text_model.final_layer_norm.{kind}"] = state[f"ln_final.{kind}"]
        found[f"vision_model.pre_layrnorm.{kind}"] = state[f"visual.ln_pre.{kind}"]
        found[f"vision_model.post_layernorm.{kind}"] = state[f"visual.ln_post.{kind}"]
    found["text_model.embeddings.token_embedding.weight"] = state["token_embedding.weight"]
    found["text_model.embeddings.position_embedding.weight"] = state["positional_embedding"]
    found["text_model.embeddings.position_ids"] = torch.arange(77)[None]  # in files of older versions
    found["vision_model.embeddings.class_embedding"] = state["visual.class_embedding"]
    found["vision_model.embeddings.patch_embedding.weight"] = state["visual.conv1.weight"]
    found["vision_model.embeddings.position_embedding.weight"] = state["visual.positional_embedding"]
    found["text_projection.weight"] = state["text_projection"].T
    found["visual_projection.weight"] = state["visual.proj"].T
    return {key: value.clone().contiguous() for key, value in found.items()}


def huggingface_config(activation: str = "quick_gelu", heads: tuple[int, int] = (2, 1)) -> dict[str, Any]:
    """What config.json says of `any_clip`; heads of the vision and the text tower."""
    usual = {"num_hidden_layers": LAYERS, "hidden_act": activation, "layer_norm_eps": 1e-5}
    vision = {"hidden_size": VISION, "num_attention_heads": heads[0], "patch_size": 8, "image_size": 32}
    text = {"hidden_size": TEXT, "num_attention_heads": heads[1], "vocab_size": 49408}
    return {"model_type": "clip", "text_config": usual | text, "vision_config": usual | vision}


def open_clip_config(quick_gelu: bool = False, head_width: int = 64, **vision: Any) -> dict[str, Any]:
    """What open_clip_config.json says of `any_clip`."""
    visual = {"width": VISION, "layers": LAYERS, "patch_size": 8, "image_size": 32, "head_width": head_width}
    text = {"context_length": 77, "vocab_size": 49408, "width": TEXT, "heads": 1, "layers": LAYERS}
    model = {"embed_dim": DIM, "vision_cfg": visual | vision, "text_cfg": text}
    return {"model_cfg": model | ({"quick_gelu": True} if quick_gelu else {}), "preprocess_cfg": {}}


def write(folder: Path, name: str, state: Mapping[str, Tensor], **configs: Any) -> str:
    """A weight file, and config files by their names without .json; the file's path."""
    folder.mkdir(exist_ok=True, parents=True)
    tensors = {key: value.contiguous() for key, value in state.items()}
    if name.endswith(".safetensors"):
        save_file(tensors, folder / name)
    else:
        torch.save(tensors, folder / name)
    for config, content in configs.items():
        (folder / f"{config}.json").write_text(json.dumps(content))
    return str(folder / name)
