"""Text prompts that do not learn: one sentence a class."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from mpafer.clip import Clip
from mpafer.clip.tokens import eot_positions


class FixedPrompts(nn.Module):
    """One frozen sentence a class.

    Args:
        clip: frozen backbone.
        sentences: C texts, in the order of the labels.
    """

    embeddings: Tensor
    eot: Tensor
    conditional = False

    def __init__(self, clip: Clip, sentences: Sequence[str]) -> None:
        super().__init__()
        tokens = clip.tokenize(sentences)
        eot = eot_positions(tokens)
        embeddings = clip.text.embed(tokens[:, : int(eot.max()) + 1])
        self.register_buffer("embeddings", embeddings, persistent=False)
        self.register_buffer("eot", eot, persistent=False)

    def forward(self) -> Tensor:
        """Token embeddings [C, L, W]."""
        return self.embeddings
