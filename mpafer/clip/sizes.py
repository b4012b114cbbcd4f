"""A CLIP's sizes, read from its tensors and checked against each other before anything is built."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mpafer.common.errors import DataError
from mpafer.common.tensors import first_nonfinite, is_plain

QUICKGELU, GELU = "quickgelu", "gelu"
ACTIVATIONS = (QUICKGELU, GELU)  # of MODEL.BACKBONE.ACTIVATION
VOCABULARY, CONTEXT = 49408, 77  # of OpenAI's tokenizer
_WIDE_HEADS = {1280: 16, 1408: 16, 1664: 16, 1792: 16}  # ViT-H, g, bigG and e: heads wider than 64
_VISION, _TEXT = "visual.transformer.resblocks.", "transformer.resblocks."


@dataclass(frozen=True)
class BlockSizes:
    """What a tower's blocks are beside their width; 0 = OpenAI's rule."""

    heads: int = 0  # width / 64
    hidden: int = 0  # 4 width
    activation: str = QUICKGELU


OPENAI = BlockSizes()


@dataclass(frozen=True)
class TowerSizes:
    """Sizes of one tower."""

    width: int
    layers: int
    hidden: int

    @property
    def usual_heads(self) -> int:
        """Heads of known models of this width: 64 wide, in the largest vision towers wider."""
        return _WIDE_HEADS.get(self.width, self.width // 64)


@dataclass(frozen=True)
class Sizes:
    """Sizes of a CLIP: ``visual`` and ``text`` tower, D, and what goes in."""

    visual: TowerSizes
    text: TowerSizes
    embed_dim: int
    patch: int
    grid: int  # patches a side

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> Sizes:
        """Sizes that the tensors of OpenAI's names have.

        Raises:
            DataError: a tensor is missing, or has a shape that no CLIP has.
        """
        width, channels, patch, other = _shape(state, "visual.conv1.weight", 4)
        positions = _shape(state, "visual.positional_embedding", 2)[0]
        grid = math.isqrt(max(positions - 1, 0))
        text_width, embed_dim = _shape(state, "text_projection", 2)
        context, vocabulary = (_shape(state, key, 2)[0] for key in ("positional_embedding", "token_embedding.weight"))
        if channels != 3 or patch != other:
            raise DataError(f"patches are {patch} x {other} in {channels} channels; a CLIP's are square and in colour")
        if grid < 1 or grid * grid + 1 != positions:
            raise DataError(f"visual.positional_embedding has {positions} rows; a CLIP has 1 + a square of patches")
        if (context, vocabulary) != (CONTEXT, VOCABULARY):
            raise DataError(
                f"{vocabulary:,} tokens and {context} positions, where OpenAI's tokenizer has {VOCABULARY:,} and "
                f"{CONTEXT}: a CLIP of another tokenizer cannot be used here"
            )
        towers = _tower(state, _VISION, width), _tower(state, _TEXT, text_width)
        return cls(*towers, embed_dim=embed_dim, patch=patch, grid=grid)

    def blocks(self, heads: tuple[int, int] | None, activation: str) -> tuple[BlockSizes, BlockSizes]:
        """Blocks of the vision and the text tower; ``heads`` None: as in known models of these widths.

        Raises:
            DataError: heads that do not divide a width.
        """
        towers = self.visual, self.text
        heads = heads or (self.visual.usual_heads, self.text.usual_heads)
        for tower, count in zip(towers, heads, strict=True):
            if count < 1 or tower.width % count:
                raise DataError(f"a tower is {tower.width} wide, which {count} attention heads do not divide evenly")
        visual, text = (BlockSizes(n, tower.hidden, activation) for tower, n in zip(towers, heads, strict=True))
        return visual, text

    def shapes(self) -> dict[str, list[int]]:
        """OpenAI's name of every tensor -> its shape."""
        visual, text = self.visual.width, self.text.width
        norms = {"visual.ln_pre.": visual, "visual.ln_post.": visual, "ln_final.": text}
        return {
            "logit_scale": [],
            "token_embedding.weight": [VOCABULARY, text],
            "positional_embedding": [CONTEXT, text],
            "text_projection": [text, self.embed_dim],
            "visual.conv1.weight": [visual, 3, self.patch, self.patch],
            "visual.class_embedding": [visual],
            "visual.positional_embedding": [1 + self.grid**2, visual],
            "visual.proj": [visual, self.embed_dim],
            **{f"{name}{kind}": [width] for name, width in norms.items() for kind in ("weight", "bias")},
            **_block_shapes(_VISION, self.visual),
            **_block_shapes(_TEXT, self.text),
        }


def _block_shapes(prefix: str, tower: TowerSizes) -> dict[str, list[int]]:
    """Shapes of a tower's blocks."""
    width, hidden = tower.width, tower.hidden
    layers = {
        "attn.in_proj_": [3 * width, width],
        "attn.out_proj.": [width, width],
        "ln_1.": [width],
        "mlp.c_fc.": [hidden, width],
        "mlp.c_proj.": [width, hidden],
        "ln_2.": [width],
    }
    shapes = {f"{name}weight": shape for name, shape in layers.items()}
    shapes |= {f"{name}bias": shape[:1] for name, shape in layers.items()}
    return {f"{prefix}{number}.{name}": shape for number in range(tower.layers) for name, shape in shapes.items()}


def expand_vocabulary(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Tensor | None]:
    """The whole embedding table of a tiny CLIP, whose file has the rows of ``token_ids`` only, and the known tokens.

    The other rows are zero. Another CLIP is returned as it is, with None.

    Raises:
        DataError: rows that do not fit their ids.
    """
    state = dict(state)
    ids = state.pop("token_ids", None)
    if ids is None:
        return state, None
    count, width = _shape(state, "token_embedding.weight", 2)
    rows, ids = state["token_embedding.weight"], ids.long()
    if ids.shape != (count,) or count < 1 or ids.min() < 0 or ids.max() >= VOCABULARY:
        raise DataError(f"token_ids {tuple(ids.shape)} do not number the {count} rows of token_embedding.weight")
    table = rows.new_zeros(VOCABULARY, width)
    table[ids] = rows
    known = torch.zeros(VOCABULARY, dtype=torch.bool)
    known[ids] = True
    return {**state, "token_embedding.weight": table}, known


def check_tensors(state: Mapping[str, Tensor], sizes: Sizes) -> None:
    """Raises DataError where a tensor is missing, has another shape than ``sizes`` ask for, or is no weight."""
    wanted = sizes.shapes()
    if missing := sorted(wanted.keys() - state.keys()):
        raise DataError(f"not a whole CLIP: {len(missing)} tensors are missing, first {missing[:3]}")
    for key, shape in wanted.items():
        value = state[key]
        if list(value.shape) != shape:
            raise DataError(
                f"{key} is {list(value.shape)}, but the other tensors ask for {shape}: the file is put together of "
                "different models"
            )
        if not (is_plain(value) and value.is_floating_point()):
            raise DataError(f"{key} is {value.dtype}, {value.layout}: quantised or sparse weights are not read")
    if key := first_nonfinite({key: state[key] for key in wanted}):
        raise DataError(f"{key} holds NaN or infinity: the file is damaged, or a training that broke down; get it anew")


def _shape(state: Mapping[str, Tensor], key: str, dimensions: int) -> list[int]:
    if key not in state:
        raise DataError(f"not a whole CLIP: {key} is missing among {', '.join(sorted(state)[:3])}, ...")
    shape = list(state[key].shape)
    if len(shape) != dimensions or not all(shape):
        raise DataError(f"{key} is {shape}; a CLIP's has {dimensions} dimensions")
    return shape


def _tower(state: Mapping[str, Tensor], prefix: str, width: int) -> TowerSizes:
    numbers = {key.removeprefix(prefix).split(".")[0] for key in state if key.startswith(prefix)}
    if numbers != {str(number) for number in range(len(numbers))} or not numbers:
        raise DataError(f"not a whole CLIP: of {prefix}0, 1, 2, ... there are {len(numbers)}, with gaps")
    return TowerSizes(width, len(numbers), _shape(state, f"{prefix}0.mlp.c_fc.weight", 2)[0])
