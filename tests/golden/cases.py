"""What is compared with the upstream trainers, and the random numbers that both sides start from.

All numbers come from numpy's legacy generator, whose stream is frozen, so a golden file stays valid with any torch.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

CONTEXT, VOCABULARY = 77, 49408
LOGIT_SCALE = 4.0  # natural logarithm
STEPS = 3  # optimiser steps before the learnables are compared
OPTIM = {
    "NAME": "sgd",
    "LR": 0.001,
    "MOMENTUM": 0.9,
    "WEIGHT_DECAY": 5e-4,
    "MAX_EPOCH": 4,  # of one batch each
    "LR_SCHEDULER": "cosine",
    "WARMUP_EPOCH": 1,
    "WARMUP_TYPE": "constant",
    "WARMUP_CONS_LR": 1e-5,
}
WORDS = "a photo of a"
NAMES = {
    "emotions": ["happiness", "schadenfreude", "mild_surprise", "anger"],
    "faces": ["raised_eyebrows", "sadness", "wide open mouth"],
}


@dataclass(frozen=True)
class Size:
    """Sizes of a CLIP."""

    image: int
    patch: int
    vision_width: int
    vision_layers: int
    text_width: int
    text_layers: int
    dim: int


SIZES = {
    "A": Size(image=32, patch=8, vision_width=64, vision_layers=2, text_width=64, text_layers=2, dim=64),
    "B": Size(image=48, patch=16, vision_width=128, vision_layers=4, text_width=192, text_layers=3, dim=80),
    "C": Size(image=32, patch=16, vision_width=768, vision_layers=3, text_width=512, text_layers=3, dim=64),
}


@dataclass(frozen=True)
class Case:
    """One comparison.

    Args:
        size: key of `SIZES`.
        options: the method's, by our lower-case names (upstream's config keys are the same in capitals).
        names: key of `NAMES`.
        seed: of images, labels and learnables.
        words: the context starts from CTX_INIT on both sides and is not set.
        dataset: upstream's DATASET.NAME, which picks the template there; ours gets the template in its options.
        optim: what differs from `OPTIM`. 5e-4 of weight decay would drown in gradients as large as these.
    """

    size: str
    options: dict[str, Any] = field(default_factory=dict)
    names: str = "emotions"
    seed: int = 1
    words: bool = False
    dataset: str = ""
    optim: dict[str, Any] = field(default_factory=dict)


def _deep(n_vision: int, n_text: int, vision: int, text: int, ctx_init: str = "") -> dict[str, Any]:
    return {
        "n_ctx_vision": n_vision,
        "n_ctx_text": n_text,
        "ctx_init": ctx_init,
        "prompt_depth_vision": vision,
        "prompt_depth_text": text,
    }


def _maple(n_ctx: int, depth: int, ctx_init: str = "") -> dict[str, Any]:
    return {"n_ctx": n_ctx, "ctx_init": ctx_init, "prompt_depth": depth}


_FASTER = {"LR": 0.01}  # some gradients are small, and an update must stand well above the rounding of what it changes
_WEIGHTS = {"text_loss_weight": 25, "image_loss_weight": 10}

CASES: dict[str, dict[str, Case]] = {
    "CoOp": {
        "end": Case("A", {"n_ctx": 4}, optim={"WEIGHT_DECAY": 5.0}),
        "end_csc": Case("B", {"n_ctx": 2, "csc": True}, names="faces", seed=2),
        "middle_odd": Case("B", {"n_ctx": 5, "class_token_position": "middle"}, names="faces", seed=3),
        "middle_csc": Case("A", {"n_ctx": 4, "csc": True, "class_token_position": "middle"}, seed=4),
        "front": Case("B", {"n_ctx": 3, "class_token_position": "front"}, seed=5),
        "words": Case("B", {"n_ctx": 16, "ctx_init": WORDS}, names="faces", seed=6, words=True),
        "words_front": Case(
            "A", {"n_ctx": 4, "ctx_init": "a_photo_of_a", "class_token_position": "front"}, seed=7, words=True
        ),
    },
    "CoCoOp": {
        "random": Case("A", {"n_ctx": 4}, seed=11, optim=_FASTER),
        "words": Case("B", {"n_ctx": 4, "ctx_init": WORDS}, names="faces", seed=12, words=True, optim=_FASTER),
        "long": Case("B", {"n_ctx": 6}, seed=13, optim=_FASTER),
    },
    "VPT": {
        "shallow": Case("A", {"n_ctx_vision": 2, "prompt_depth_vision": 1}, seed=21),
        "all_layers": Case("A", {"n_ctx_vision": 3, "prompt_depth_vision": 2}, names="faces", seed=22),
        "shallow_wide": Case("B", {"n_ctx_vision": 4, "prompt_depth_vision": 1}, names="faces", seed=23),
        "deep": Case("B", {"n_ctx_vision": 2, "prompt_depth_vision": 3}, seed=24),
    },
    "IVLP": {
        "words": Case("A", _deep(2, 2, 2, 2, WORDS), seed=31, words=True),
        "shallow": Case("A", _deep(2, 4, 1, 1, WORDS), names="faces", seed=32, words=True),
        "deeper_vision": Case("B", _deep(3, 2, 4, 2, WORDS), names="faces", seed=33, words=True),
        "deeper_text": Case("B", _deep(2, 6, 2, 3, WORDS), seed=34),
        "text_only": Case("A", _deep(2, 3, 0, 2), names="faces", seed=35),
    },
    "MaPLe": {
        "real_widths": Case("C", _maple(2, 2, WORDS), seed=41, words=True, optim=_FASTER),
        "real_widths_long": Case("C", _maple(5, 3, WORDS), names="faces", seed=42, optim=_FASTER),
        "words": Case("B", _maple(2, 3, WORDS), seed=43, words=True, optim=_FASTER),
        "shallow": Case("A", _maple(3, 1), names="faces", seed=44, optim=_FASTER),
        "long": Case("A", _maple(6, 2, WORDS), seed=45, optim=_FASTER | {"WEIGHT_DECAY": 5.0}),
    },
    "KgCoOp": {
        "words": Case(
            "A",
            {"n_ctx": 16, "ctx_init": WORDS, "w": 8.0, "template": "a photo of a {name}."},
            seed=51,
            words=True,
            dataset="SUN397",
        ),
        "random": Case(
            "B",
            {"n_ctx": 4, "w": 8.0, "template": "a centered satellite photo of {name}."},
            names="faces",
            seed=52,
            dataset="EuroSAT",
        ),
        "csc": Case(
            "A",
            {"n_ctx": 3, "csc": True, "w": 2.5, "template": "a photo of {name}, a type of food."},
            names="faces",
            seed=53,
            dataset="Food101",
        ),
    },
    "PromptSRC": {
        "words": Case("A", _deep(4, 4, 2, 2, WORDS) | _WEIGHTS | {"gpa_mean": 3, "gpa_std": 1}, seed=61, words=True),
        "deeper_vision": Case(
            "B",
            _deep(3, 2, 4, 2, WORDS) | _WEIGHTS | {"gpa_mean": 2, "gpa_std": 2},
            names="faces",
            seed=62,
            words=True,
        ),
        "deeper_text": Case(
            "B",
            _deep(2, 6, 1, 3, WORDS) | {"text_loss_weight": 5, "image_loss_weight": 20, "gpa_mean": 15, "gpa_std": 5},
            seed=63,
        ),
    },
    "ZeroshotCLIP": {
        "pet": Case("A", {"template": "a photo of a {name}, a type of pet."}, seed=71, dataset="OxfordPets"),
        "texture": Case("B", {"template": "{name} texture."}, names="faces", seed=72, dataset="DescribableTextures"),
    },
    "ZeroshotCLIP2": {
        "food": Case("A", {"template": "a photo of {name}, a type of food."}, seed=81, dataset="Food101"),
        "satellite": Case(
            "B", {"template": "a centered satellite photo of {name}."}, names="faces", seed=82, dataset="EuroSAT"
        ),
    },
}


def draw(key: str, *shape: int, std: float = 1.0) -> Tensor:
    """Normal numbers that depend on ``key`` alone, float32."""
    state = np.random.RandomState(zlib.crc32(key.encode()))
    return torch.from_numpy((std * state.standard_normal(shape)).astype(np.float32))


def batch(case: Case, size: int = 4) -> tuple[Tensor, Tensor]:
    """Images and labels."""
    side = SIZES[case.size].image
    state = np.random.RandomState(case.seed)
    labels = state.randint(0, len(NAMES[case.names]), size)
    return draw(f"images {case.seed}", size, 3, side, side), torch.from_numpy(labels).long()


def start(case: Case, name: str, shape: tuple[int, ...]) -> Tensor:
    """First value of the learnable ``name`` (ours): prompts of CLIP's scale, maps that about keep it."""
    std = min(shape[-1] ** -0.5, 0.1) if name.endswith("weight") else 0.1 if name.endswith("bias") else 0.02
    return draw(f"{name} {case.seed}", *shape, std=std)


@cache
def clip_state(size: str) -> dict[str, Tensor]:
    """A random CLIP under OpenAI's names; every tensor matters to the output."""
    sizes = SIZES[size]
    text, vision, dim, patch = sizes.text_width, sizes.vision_width, sizes.dim, sizes.patch

    def normal(name: str, *shape: int, std: float) -> Tensor:
        return draw(f"{name} {size}", *shape, std=std)

    state = {
        "token_embedding.weight": normal("token", VOCABULARY, text, std=0.02),
        "positional_embedding": normal("position", CONTEXT, text, std=0.01),
        "text_projection": normal("text_projection", text, dim, std=text**-0.5),
        "logit_scale": torch.tensor(LOGIT_SCALE),
        "visual.conv1.weight": normal("conv1", vision, 3, patch, patch, std=(3 * patch**2) ** -0.5),
        "visual.class_embedding": normal("class", vision, std=0.5),
        "visual.positional_embedding": normal("place", (sizes.image // patch) ** 2 + 1, vision, std=0.5),
        "visual.proj": normal("proj", vision, dim, std=vision**-0.5),
    }
    norms = {"ln_final": text, "visual.ln_pre": vision, "visual.ln_post": vision}
    for prefix, width, layers in (("", text, sizes.text_layers), ("visual.", vision, sizes.vision_layers)):
        for layer in range(layers):
            block = f"{prefix}transformer.resblocks.{layer}"
            norms |= {f"{block}.ln_1": width, f"{block}.ln_2": width}
            for name, rows, columns in (
                ("attn.in_proj_", 3 * width, width),
                ("attn.out_proj.", width, width),
                ("mlp.c_fc.", 4 * width, width),
                ("mlp.c_proj.", width, 4 * width),
            ):
                key = f"{block}.{name}"
                state[f"{key}weight"] = normal(f"{key}weight", rows, columns, std=columns**-0.5)
                state[f"{key}bias"] = normal(f"{key}bias", rows, std=0.1)
    for name, width in norms.items():
        state[f"{name}.weight"] = 1 + normal(f"{name}.weight", width, std=0.1)
        state[f"{name}.bias"] = normal(f"{name}.bias", width, std=0.1)
    return state


PROJECTIONS, ENTRIES, WHOLE = 6, 10, 24


@cache
def _sketch(count: int) -> tuple[Tensor, Tensor]:
    state = np.random.RandomState(count % 2**32)
    signs = 2.0 * state.randint(0, 2, (PROJECTIONS, count)) - 1
    return torch.from_numpy(signs), torch.from_numpy(np.sort(state.choice(count, ENTRIES, replace=False)))


def digest(tensor: Tensor) -> dict[str, Any]:
    """A tensor in few numbers: all of a small one, otherwise some entries and six sums under random signs.

    Sums see every element; a sum is about as large as the tensor's norm, and so is the difference of two sums next to
    the norm of the tensors' difference.
    """
    flat = tensor.detach().double().flatten()
    found: dict[str, Any] = {"shape": list(tensor.shape), "max": float(flat.abs().max())}
    if len(flat) <= WHOLE:
        return found | {"values": flat.tolist()}
    signs, places = _sketch(len(flat))
    return found | {"norm": float(flat.norm()), "entries": flat[places].tolist(), "sums": (signs @ flat).tolist()}


def difference(ours: dict[str, Any], golden: dict[str, Any]) -> float:
    """Largest difference of two digests: of elements next to the largest one, of sums next to the norm, both golden.

    inf where the shapes differ.
    """
    if ours["shape"] != golden["shape"]:
        return float("inf")
    found = []
    for key, unit in (("values", "max"), ("entries", "max"), ("sums", "norm")):
        pairs = zip(ours.get(key, []), golden.get(key, []), strict=True)
        found += [abs(mine - theirs) / golden[unit] for mine, theirs in pairs]
    return max(found)
