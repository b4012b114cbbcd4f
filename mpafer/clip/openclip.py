"""CLIP as open_clip saves it: OpenAI's names, in training checkpoints with a prefix, and its open_clip_config.json.

Models with ``custom_text`` have their text tensors under ``text.``; the tensors are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mpafer.clip.config_file import ModelConfig, number, read_json, refuse_others
from mpafer.clip.sizes import CONTEXT, GELU, QUICKGELU, VOCABULARY
from mpafer.common.errors import DataError

CONFIG = "open_clip_config.json"
WRAPPERS = ("module.", "_orig_mod.")  # put before every name by distributed training and by torch.compile
CHECKPOINT = {"epoch", "name", "state_dict"}  # entries of a training checkpoint of open_clip's
TENSORS = {  # open_clip's name with custom_text, or its beginning -> OpenAI's
    "text.token_embedding.": "token_embedding.",
    "text.positional_embedding": "positional_embedding",
    "text.transformer.resblocks.": "transformer.resblocks.",
    "text.ln_final.": "ln_final.",
    "text.text_projection": "text_projection",
}

# What the towers here compute, of the keys that change it.
_BOTH = {
    "ls_init_value": None, "act_kwargs": None, "norm_kwargs": None, "block_type": None, "qk_norm": False,
    "scaled_cosine_attn": False, "scale_heads": False, "scale_attn_inner": False, "scale_attn": False,
    "scale_fc": False, "final_ln_after_pool": False,
}  # fmt: skip
_VISION = _BOTH | {
    "attentional_pool": False, "no_ln_pre": False, "pos_embed_type": "learnable", "pool_type": "tok",
    "timm_model_name": None,
}  # fmt: skip
_TEXT = _BOTH | {
    "context_length": CONTEXT, "vocab_size": VOCABULARY, "embed_cls": False, "no_causal_mask": False,
    "pool_type": "argmax", "proj_bias": False, "proj_type": "linear", "hf_model_name": None,
    "hf_tokenizer_name": None,
}  # fmt: skip


def is_file_of_theirs(path: Path, entries: Iterable[str], names: Iterable[str]) -> bool:
    """Whether open_clip wrote a file: by its name, the entries of its checkpoint, or the names of its tensors."""
    by_tensors = any(name.startswith("text.token_embedding.") for name in names)
    return path.name.startswith("open_clip_") or set(entries) >= CHECKPOINT or by_tensors


def without_wrappers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors without what training puts before their names."""
    return {_unwrapped(key): value for key, value in state.items()}


def _unwrapped(name: str) -> str:
    for prefix in WRAPPERS:
        name = name.removeprefix(prefix)
    return name


def to_openai(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under OpenAI's names; those that are no CLIP's keep their names."""
    return {_named(key): value for key, value in state.items()}


def _named(name: str) -> str:
    prefix = next((prefix for prefix in TENSORS if name.startswith(prefix)), "")
    return TENSORS[prefix] + name.removeprefix(prefix) if prefix else name


def read_config(folder: Path) -> ModelConfig | None:
    """The open_clip_config.json of a folder; None where there is none.

    Raises:
        DataError: it asks for what the towers here do not compute.
    """
    file = folder / CONFIG
    content = read_json(file)
    model: Any = content.get("model_cfg", {})
    if not isinstance(model, dict) or not model:
        return None
    vision, text = model.get("vision_cfg"), model.get("text_cfg")
    if not (isinstance(vision, dict) and isinstance(text, dict)):
        raise DataError(f"{file} is of another model: it has no vision_cfg and text_cfg")
    refuse_others(file, vision, _VISION)
    refuse_others(file, text, _TEXT)
    widths = number(file, vision, "width", 768), number(file, text, "width", 512)
    pixels = content.get("preprocess_cfg", {})
    mean, deviation = (pixels.get(key) for key in ("mean", "std")) if isinstance(pixels, dict) else (None, None)
    return ModelConfig(
        file,
        QUICKGELU if model.get("quick_gelu", False) else GELU,
        heads=(widths[0] // number(file, vision, "head_width", 64), number(file, text, "heads", 8)),
        widths=widths,
        layers=(number(file, vision, "layers", 12), number(file, text, "layers", 12)),
        patch=number(file, vision, "patch_size", 16),
        pixels=(mean, deviation) if mean and deviation else None,
    )
