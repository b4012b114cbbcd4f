"""CLIP's two transformer towers, batch first, with one place each where prompts enter.

Prompts stand beside a layer's tokens (MPA-FER: only keys and values, their outputs are dropped) or within the sequence
(VPT, IVLP, MaPLe: a layer's prompts take the place of what became of the last layer's, and the last ones stay).

Parameter names are OpenAI's, so their state dict loads strictly; without prompts the outputs equal
``clip.encode_image`` / ``encode_text`` (tests/test_clip.py). Torch only.

Shapes: B images, C texts, L tokens of a text, N patches, P prompts, W width of a tower, D joint embedding.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LayerNorm(nn.LayerNorm):
    """Layer norm computed in float32 whatever the input's precision, as in OpenAI's CLIP."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.float()).to(x.dtype)


class QuickGELU(nn.Module):
    """OpenAI's approximation of GELU: ``x * sigmoid(1.702 x)``."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class Attention(nn.Module):
    """Multi-head self-attention whose keys and values may include extra tokens."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(-3, -2)  # [..., L, W] -> [..., heads, L, W / heads]

    def forward(self, x: Tensor, extra: Tensor | None = None, causal: bool = False) -> Tensor:
        """``x`` [B, L, W] attends to itself and to ``extra`` ([P, W] shared, or [B, P, W]); returns [B, L, W].

        With ``causal`` there is nothing extra to attend to.
        """
        width = x.shape[-1]
        query, key, value = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        if extra is not None:
            both = F.linear(extra, self.in_proj_weight[width:], self.in_proj_bias[width:])
            extra_key, extra_value = both.expand(len(x), -1, -1).chunk(2, dim=-1)
            key, value = torch.cat([key, extra_key], dim=1), torch.cat([value, extra_value], dim=1)
        out = F.scaled_dot_product_attention(self._heads(query), self._heads(key), self._heads(value), is_causal=causal)
        return self.out_proj(out.transpose(-3, -2).flatten(-2))


class Block(nn.Module):
    """Pre-norm residual block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = Attention(width, heads)
        self.ln_1 = LayerNorm(width)
        self.mlp = nn.Sequential(
            OrderedDict(c_fc=nn.Linear(width, 4 * width), gelu=QuickGELU(), c_proj=nn.Linear(4 * width, width))
        )
        self.ln_2 = LayerNorm(width)

    def forward(self, x: Tensor, prompts: Tensor | None = None, causal: bool = False) -> Tensor:
        """``[x', _] = block([x, prompts])``: the outputs at prompt positions are dropped, so they are not computed."""
        extra = None if prompts is None else self.ln_1(prompts)
        x = x + self.attn(self.ln_1(x), extra, causal)
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    """A stack of blocks."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width, width // 64) for _ in range(layers))

    def forward(
        self,
        x: Tensor,
        beside: Sequence[Tensor] = (),
        within: Sequence[Tensor] = (),
        start: int = 0,
        causal: bool = False,
    ) -> Tensor:
        """[B, L, W] -> [B, L, W].

        Args:
            x: tokens.
            beside: ``beside[l]`` [P, W] joins the input of layer ``l``; its outputs are dropped.
            within: ``within[l]`` [P, W] takes the rows from ``start`` on before layer ``l + 1``.
            start: first row of the prompts within the sequence.
            causal: a token attends to itself and those before it.
        """
        if max(len(beside), len(within) + 1) > len(self.resblocks):
            raise ValueError(f"prompts for more than the tower's {len(self.resblocks)} layers")
        for layer, block in enumerate(self.resblocks):
            if 0 < layer <= len(within):
                prompts = within[layer - 1].to(x.dtype).expand(len(x), -1, -1)
                x = torch.cat([x[:, :start], prompts, x[:, start + prompts.shape[1] :]], dim=1)
            x = block(x, beside[layer].to(x.dtype) if layer < len(beside) else None, causal)
        return x


class VisionTower(nn.Module):
    """CLIP's vision transformer; returns the projected class token and the projected patch tokens."""

    def __init__(self, image_size: int, patch_size: int, width: int, layers: int, embed_dim: int) -> None:
        super().__init__()
        self.image_size, self.patch_size, self.width, self.layers = image_size, patch_size, width, layers
        self.patches = (image_size // patch_size) ** 2
        self.conv1 = nn.Conv2d(3, width, patch_size, stride=patch_size, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(width) * width**-0.5)
        self.positional_embedding = nn.Parameter(torch.randn(self.patches + 1, width) * width**-0.5)
        self.ln_pre = LayerNorm(width)
        self.transformer = Transformer(width, layers)
        self.ln_post = LayerNorm(width)
        self.proj = nn.Parameter(torch.randn(width, embed_dim) * width**-0.5)

    def forward(self, images: Tensor, prompts: Sequence[Tensor] = (), carried: bool = False) -> tuple[Tensor, Tensor]:
        """[B, 3, H, H] -> global feature [B, D] and patch features [B, N, D], neither normalised.

        Patch tokens take the class token's way out: ``ln_post`` and the projection (the paper leaves that open).

        Args:
            images: normalised with CLIP's statistics.
            prompts: a [P, W] tensor for each of the first layers.
            carried: the prompts are part of the sequence, from before ``ln_pre`` on, as in VPT, IVLP and MaPLe;
                otherwise they stand beside it, as in MPA-FER.
        """
        if images.shape[-2:] != (self.image_size, self.image_size):
            height, width = images.shape[-2:]
            raise ValueError(
                f"images are {height} x {width}, but this CLIP takes {self.image_size} x {self.image_size} (INPUT.SIZE)"
            )
        x = self.conv1(images.to(self.conv1.weight.dtype)).flatten(2).transpose(1, 2)  # [B, N, W]
        cls = self.class_embedding.to(x.dtype).expand(len(x), 1, -1)
        x = torch.cat([cls, x], dim=1) + self.positional_embedding.to(x.dtype)
        if carried and prompts:
            first = prompts[0].to(x.dtype).expand(len(x), -1, -1)
            x = self.transformer(self.ln_pre(torch.cat([x, first], dim=1)), within=prompts[1:], start=1 + self.patches)
        else:
            x = self.transformer(self.ln_pre(x), beside=prompts)
        x = self.ln_post(x[:, : 1 + self.patches]) @ self.proj
        return x[:, 0], x[:, 1:]


class TextTower(nn.Module):
    """CLIP's causal text transformer. What follows the last EOT cannot matter: callers leave it out."""

    def __init__(self, context_length: int, vocab_size: int, width: int, layers: int, embed_dim: int) -> None:
        super().__init__()
        self.context_length, self.width, self.layers = context_length, width, layers
        self.token_embedding = nn.Embedding(vocab_size, width)
        self.positional_embedding = nn.Parameter(torch.randn(context_length, width) * 0.01)
        self.transformer = Transformer(width, layers)
        self.ln_final = LayerNorm(width)
        self.text_projection = nn.Parameter(torch.randn(width, embed_dim) * width**-0.5)
        nn.init.normal_(self.token_embedding.weight, std=0.02)

    def embed(self, tokens: Tensor) -> Tensor:
        """Token ids [C, L] -> token embeddings [C, L, W], without positions."""
        return self.token_embedding(tokens)

    def forward(self, embeddings: Tensor, eot: Tensor, prompts: Sequence[Tensor] = ()) -> Tensor:
        """Token embeddings [C, L, W] and EOT positions [C] -> text features [C, D], not normalised.

        ``prompts[l]`` [P, W] takes the P places after SOS before layer ``l + 1``; the first layer's are embeddings.
        """
        dtype = self.text_projection.dtype
        x = embeddings.to(dtype) + self.positional_embedding[: embeddings.shape[1]].to(dtype)
        x = self.ln_final(self.transformer(x, within=prompts, start=1, causal=True))
        return x[torch.arange(len(x), device=x.device), eot] @ self.text_projection
