"""CLIP's two transformer towers, batch first, with one place each where prompts enter.

Side prompts join a layer's keys and values, and their outputs are dropped (MPA-FER). Prompts in the sequence are tokens
like the others: each layer's prompts replace the outputs of the layer before at their positions, and the last ones stay
(VPT, IVLP, MaPLe).

Parameter names are OpenAI's, so their state dict loads strictly; without prompts the outputs equal
``clip.encode_image`` / ``encode_text`` (tests/clip/test_clip.py). Torch only.

Shapes: B images, C texts, L tokens of a text, N patches, P prompts, W width of a tower, D joint embedding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mpafer.clip.layers import LayerNorm, Transformer, project_out
from mpafer.clip.sizes import OPENAI, BlockSizes
from mpafer.common.errors import OptionError


class VisionTower(nn.Module):
    """CLIP's vision transformer; returns the projected class token and the projected patch tokens."""

    def __init__(
        self, image_size: int, patch_size: int, width: int, layers: int, embed_dim: int, blocks: BlockSizes = OPENAI
    ) -> None:
        super().__init__()
        self.image_size, self.patch_size, self.width, self.layers = image_size, patch_size, width, layers
        self.patches = (image_size // patch_size) ** 2
        self.conv1 = nn.Conv2d(3, width, patch_size, stride=patch_size, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(width) * width**-0.5)
        self.positional_embedding = nn.Parameter(torch.randn(self.patches + 1, width) * width**-0.5)
        self.ln_pre = LayerNorm(width)
        self.transformer = Transformer(width, layers, blocks)
        self.ln_post = LayerNorm(width)
        self.proj = nn.Parameter(torch.randn(width, embed_dim) * width**-0.5)

    def forward(
        self, images: Tensor, prompts: Sequence[Tensor | None] = (), in_sequence: bool = False, patches: bool = True
    ) -> tuple[Tensor, Tensor]:
        """[B, 3, H, H] -> global feature [B, D] and patch features [B, N, D], neither normalised.

        Patch tokens get ``ln_post`` and the projection, as the class token does (the paper leaves that open).

        Args:
            images: normalised with CLIP's statistics.
            prompts: a [P, W] tensor for each of the first layers; None: this layer has none.
            in_sequence: the prompts are part of the sequence, from before ``ln_pre`` or from a later layer on, as in
                VPT, IVLP and MaPLe; otherwise they are side prompts, as in MPA-FER.
            patches: False: N is 0, and the last layer computes the class token only.

        Raises:
            OptionError: images of another shape, or of whole numbers.
        """
        self._check(images)
        rows = None if patches else 1
        x = self.conv1(images.to(self.conv1.weight.dtype)).flatten(2).transpose(1, 2)  # [B, N, W]
        cls = self.class_embedding.to(x.dtype).expand(x.shape[0], 1, -1)
        x = torch.cat([cls, x], dim=1) + self.positional_embedding.to(x.dtype)
        if in_sequence and prompts:
            if prompts[0] is not None:
                x = torch.cat([x, prompts[0].to(x.dtype).expand(x.shape[0], -1, -1)], dim=1)
            x = self.ln_pre(x)
            length = 1 + self.patches  # the prompts come after the image's tokens
            x = self.transformer(x, replacing_prompts=prompts[1:], start=length, rows=rows or length)
        else:
            x = self.transformer(self.ln_pre(x), side_prompts=prompts, rows=rows)
        x = project_out(x, self.ln_post, self.proj)
        return x[:, 0], x[:, 1:]

    def _check(self, images: Tensor) -> None:
        if images.ndim != 4 or images.shape[1] != 3:
            raise OptionError(f"images are {tuple(images.shape)}, expected a batch [B, 3, H, W]")
        if not images.is_floating_point():
            raise OptionError(
                f"images are {images.dtype}, expected decimals: pixels in 0..1, less CLIP's mean, over its deviation"
            )
        if images.shape[-2:] != (self.image_size, self.image_size):
            height, width = images.shape[-2:]
            raise OptionError(
                f"images are {height} x {width}, but this CLIP takes {self.image_size} x {self.image_size} (INPUT.SIZE)"
            )


class TextTower(nn.Module):
    """CLIP's causal text transformer. Tokens after the last EOT have no effect: callers cut them off."""

    def __init__(
        self, context_length: int, vocab_size: int, width: int, layers: int, embed_dim: int, blocks: BlockSizes = OPENAI
    ) -> None:
        super().__init__()
        self.context_length, self.width, self.layers = context_length, width, layers
        self.token_embedding = nn.Embedding(vocab_size, width)
        self.positional_embedding = nn.Parameter(torch.randn(context_length, width) * 0.01)
        self.transformer = Transformer(width, layers, blocks)
        self.ln_final = LayerNorm(width)
        self.text_projection = nn.Parameter(torch.randn(width, embed_dim) * width**-0.5)
        nn.init.normal_(self.token_embedding.weight, std=0.02)

    def embed(self, tokens: Tensor) -> Tensor:
        """Token ids [C, L] -> token embeddings [C, L, W], without positions."""
        return self.token_embedding(tokens)

    def forward(self, embeddings: Tensor, eot: Tensor, prompts: Sequence[Tensor] = ()) -> Tensor:
        """Token embeddings [C, L, W] and EOT positions [C] -> text features [C, D], not normalised.

        ``prompts[l]`` [P, W] replaces the P tokens after SOS before layer ``l + 1``; the first layer's are embeddings.
        """
        dtype = self.transformer.dtype
        x = embeddings.to(dtype) + self.positional_embedding[: embeddings.shape[1]].to(dtype)
        x = self.transformer(x, replacing_prompts=prompts, start=1, causal=True)
        return project_out(x[torch.arange(len(x), device=x.device), eot], self.ln_final, self.text_projection)
