"""CLIP as Hugging Face's transformers saves a CLIPModel: its names of the tensors, and its config.json.

It keeps query, key and value apart, where OpenAI has one matrix, and both projections transposed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from mpafer.clip.config_file import ModelConfig, number, read_json, refuse_others
from mpafer.clip.sizes import GELU, QUICKGELU
from mpafer.common.errors import DataError

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
TENSORS = {  # Hugging Face's name -> OpenAI's
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm.weight": "visual.ln_pre.weight",  # a slip of theirs that stayed
    "vision_model.pre_layrnorm.bias": "visual.ln_pre.bias",
    "vision_model.post_layernorm.weight": "visual.ln_post.weight",
    "vision_model.post_layernorm.bias": "visual.ln_post.bias",
    "text_projection.weight": "text_projection",
    "visual_projection.weight": "visual.proj",
}
TRANSPOSED = ("text_projection.weight", "visual_projection.weight")
BLOCKS = {  # the same of a tower's blocks
    "text_model.encoder.layers.": "transformer.resblocks.",
    "vision_model.encoder.layers.": "visual.transformer.resblocks.",
}
BLOCK = {  # and of what a block holds, each with .weight and .bias
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
JOINED = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")  # in this order: attn.in_proj_weight, _bias
COUNTERS = ("text_model.embeddings.position_ids", "vision_model.embeddings.position_ids")  # 0, 1, 2, ...; no weights

_ACTIVATIONS = {"quick_gelu": QUICKGELU, "gelu": GELU}
_TOWER = {"layer_norm_eps": 1e-5, "num_channels": 3}


def is_named_so(names: Iterable[str]) -> bool:
    """Whether tensors of these names are Hugging Face's."""
    return any(name.startswith(("text_model.", "vision_model.")) for name in names)


def to_openai(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under OpenAI's names; those that are no CLIP's keep their names.

    Raises:
        DataError: one half of a CLIP only, or a layer without query, key or value.
    """
    for half in ("text", "vision"):
        if not any(key.startswith(f"{half}_model.") for key in state):
            raise DataError(f"one half of a CLIP: there is no {half}_model; take the file of the whole CLIPModel")
    named: dict[str, Tensor] = {}
    for key, value in state.items():
        if key in COUNTERS:
            continue
        prefix = next((prefix for prefix in BLOCKS if key.startswith(prefix)), "")
        if not prefix:
            named[TENSORS.get(key, key)] = value.T if key in TRANSPOSED and value.ndim == 2 else value
            continue
        layer, _, name = key.removeprefix(prefix).partition(".")
        part, _, kind = name.rpartition(".")
        block = f"{BLOCKS[prefix]}{layer}."
        if part in JOINED:
            if part == JOINED[0]:
                named[f"{block}attn.in_proj_{kind}"] = _joined(state, f"{prefix}{layer}.", kind)
        else:
            named[f"{block}{BLOCK.get(part, part)}.{kind}"] = value
    return named


def _joined(state: Mapping[str, Tensor], layer: str, kind: str) -> Tensor:
    """Query, key and value of a layer in one: three times [W, W] -> [3 W, W], or [W] -> [3 W]."""
    parts = [state.get(f"{layer}{name}.{kind}") for name in JOINED]
    shapes = [None if part is None else list(part.shape) for part in parts]
    if None in shapes or shapes != 3 * shapes[:1]:
        raise DataError(f"{layer}self_attn has q_proj, k_proj and v_proj of unlike {kind}: {shapes}")
    return torch.cat([part for part in parts if part is not None])


def read_config(folder: Path) -> ModelConfig | None:
    """The config.json of a folder; None where there is none of a model with two towers.

    Raises:
        DataError: it is another model's, or asks for what the towers here do not compute.
    """
    file = folder / CONFIG
    content = read_json(file)
    text, vision = content.get("text_config"), content.get("vision_config")
    if not (isinstance(text, dict) and isinstance(vision, dict)):
        return None
    if content.get("model_type", "clip") != "clip":
        raise DataError(f"{file} says that this is a {content['model_type']}: only a clip can be used here")
    for tower in (text, vision):
        refuse_others(file, tower, _TOWER)
    names = [tower.get("hidden_act", "quick_gelu") for tower in (vision, text)]
    if names[0] != names[1] or names[0] not in _ACTIVATIONS:
        raise DataError(f"{file}: hidden_act is {names}; here both towers have quick_gelu, or both gelu")
    pixels = read_json(folder / PREPROCESSOR)
    mean, deviation = pixels.get("image_mean"), pixels.get("image_std")
    return ModelConfig(
        file,
        _ACTIVATIONS[names[0]],
        heads=(number(file, vision, "num_attention_heads", 12), number(file, text, "num_attention_heads", 8)),
        widths=(number(file, vision, "hidden_size", 768), number(file, text, "hidden_size", 512)),
        layers=(number(file, vision, "num_hidden_layers", 12), number(file, text, "num_hidden_layers", 12)),
        patch=number(file, vision, "patch_size", 32),
        pixels=(mean, deviation) if mean and deviation else None,
    )
