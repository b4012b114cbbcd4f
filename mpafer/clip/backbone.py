"""The frozen CLIP that every method shares: two towers, the logit scale, and the tokens it knows."""

from __future__ import annotations

import copy
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mpafer.clip.layers import Attention
from mpafer.clip.preprocess import clip_transform
from mpafer.clip.sizes import CONTEXT, QUICKGELU, VOCABULARY, Sizes, check_tensors, expand_vocabulary
from mpafer.clip.strangers import refuse_strangers
from mpafer.clip.tokens import eot_positions, tokenize
from mpafer.clip.towers import TextTower, VisionTower
from mpafer.clip.words import are_known, unknown_in
from mpafer.common.errors import OptionError

if TYPE_CHECKING:
    from PIL import Image

logger = logging.getLogger(__name__)

_JIT_EXTRAS = ("input_resolution", "context_length", "vocab_size")  # numbers OpenAI's archives carry as tensors


class Clip(nn.Module):
    """Two frozen towers. Build it with `load_clip` or `Clip.from_state_dict`.

    Args:
        visual: the vision tower.
        text: the text tower.
        known_tokens: bool [vocabulary]; None when every token has a trained embedding (real CLIP). The tiny CLIP has
            seen few words, and an unknown one would give confident nonsense: it is an error.
    """

    known_tokens: Tensor | None

    def __init__(self, visual: VisionTower, text: TextTower, known_tokens: Tensor | None = None) -> None:
        super().__init__()
        self.visual, self.text = visual, text
        self.logit_scale = nn.Parameter(torch.tensor(1 / 0.07).log())
        self.register_buffer("known_tokens", known_tokens, persistent=False)
        self.name = "CLIP"
        self.requires_grad_(False)
        self._fingerprint = ""

    @classmethod
    def from_state_dict(
        cls, state: Mapping[str, Tensor], *, activation: str = QUICKGELU, heads: tuple[int, int] | None = None
    ) -> Clip:
        """OpenAI-named tensors of any ViT size -> frozen float32 model in eval mode.

        Args:
            state: the tensors.
            activation: ``quickgelu`` or ``gelu``; the tensors do not tell.
            heads: of the vision and the text tower, likewise; None: as in known models of these widths.

        Raises:
            DataError: a ResNet CLIP, another model, or tensors that do not fit together; names the first one.
        """
        state = {key: value for key, value in state.items() if key not in _JIT_EXTRAS}
        refuse_strangers(state)
        state, known = expand_vocabulary(state)
        sizes = Sizes.of(state)
        check_tensors(state, sizes)
        blocks, visual, text, dim = sizes.blocks(heads, activation), sizes.visual, sizes.text, sizes.embed_dim
        vision = VisionTower(sizes.grid * sizes.patch, sizes.patch, visual.width, visual.layers, dim, blocks[0])
        model = cls(vision, TextTower(CONTEXT, VOCABULARY, text.width, text.layers, dim, blocks[1]), known_tokens=known)
        names = model.openai_state_dict()
        if extra := sorted(state.keys() - names.keys()):
            logger.warning("ignored %d tensors that are not CLIP's, first %s", len(extra), extra[:3])
        with torch.no_grad():
            for key, parameter in names.items():
                parameter.copy_(state[key])
        return model.eval()

    def openai_state_dict(self) -> dict[str, Tensor]:
        """The parameters under OpenAI's names (text tensors at the top level)."""
        return {key.removeprefix("text."): value for key, value in self.state_dict().items()}

    @property
    def embed_dim(self) -> int:
        """D, the size of the joint embedding."""
        return self.text.text_projection.shape[1]

    @property
    def activation(self) -> str:
        """``quickgelu`` or ``gelu``, in both towers."""
        return self.visual.transformer.activation

    @property
    def heads(self) -> tuple[int, int]:
        """Attention heads of the vision and the text tower."""
        return self.visual.transformer.heads, self.text.transformer.heads

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the large weights."""
        return self.visual.transformer.dtype

    @property
    def preprocess(self) -> Callable[[Image.Image], Tensor]:
        """CLIP's own transform of an image, see `clip_transform`."""
        return clip_transform(self.visual.image_size)

    @property
    def drawn_only(self) -> bool:
        """Whether this is a stand-in that has seen drawn faces alone, and says nothing about photographs."""
        return self.known_tokens is not None

    @property
    def device(self) -> torch.device:
        return self.logit_scale.device

    @property
    def fingerprint(self) -> str:
        """Short hash of all that features depend on; caches and checkpoints name their backbone by it.

        That is the weights as loaded, before any cast, and activation and heads where they are not OpenAI's.
        """
        if not self._fingerprint:
            digest = hashlib.sha256()
            openai = self.visual.width // 64, self.text.width // 64
            if (self.activation, self.heads) != (QUICKGELU, openai):
                digest.update(f"{self.activation} {self.heads}".encode())
            for key, value in sorted(self.openai_state_dict().items()):
                digest.update(key.encode())
                digest.update(value.detach().float().cpu().contiguous().numpy().data)
            self._fingerprint = digest.hexdigest()[:16]
        return self._fingerprint

    def cast(self, dtype: torch.dtype) -> Clip:
        """This model, or a copy, with the blocks' matrices in ``dtype``; the rest and the features stay float32."""
        if dtype == self.dtype:
            return self
        fingerprint = self.fingerprint
        clip = copy.deepcopy(self)
        clip._fingerprint = fingerprint
        for module in clip.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d, Attention)):
                module.to(dtype)
        return clip

    def checkpoint_activations(self, on: bool = True) -> None:
        """Keep only each block's input, and compute the block again in the backward: same numbers, less memory."""
        self.visual.transformer.recompute = self.text.transformer.recompute = on

    def compile_blocks(self) -> bool:
        """``torch.compile`` every block of both towers; without a working compiler, warn and return False."""
        try:
            torch.compile(torch.sigmoid)(torch.zeros(2, device=self.device))  # without a compiler, this call fails
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            logger.warning("torch.compile does not work here, the towers run as they are: %s", reason)
            return False
        for tower in (self.visual, self.text):
            for block in tower.transformer.resblocks:
                block.compile()
        return True

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Texts -> token ids [C, 77] on the model's device.

        Raises:
            OptionError: a text is too long, or has words this CLIP never saw.
        """
        tokens = tokenize(texts)
        if self.known_tokens is not None:
            for text in texts:
                if not are_known(text, self.known_tokens):
                    raise OptionError(
                        f"{self.name} knows only the words of its own captions, not "
                        f"{unknown_in(text, self.known_tokens)} of {text!r}; reword it (mpafer methods --words lists "
                        "them), or take a real CLIP (ViT-B/16)"
                    )
        return tokens.to(self.device)

    @torch.no_grad()
    def encode_image(self, images: Tensor) -> Tensor:
        """[B, 3, H, H] -> global features [B, D], as ``clip.encode_image``."""
        return self.visual(images, patches=False)[0]

    @torch.no_grad()
    def encode_text(self, tokens: Tensor) -> Tensor:
        """Token ids [C, L] -> text features [C, D], as ``clip.encode_text``.

        The tower stops at the last EOT of the batch: the mask is causal, so that is exact, and much cheaper.
        """
        eot = eot_positions(tokens)
        return self.text(self.text.embed(tokens[:, : int(eot.max()) + 1]), eot)
