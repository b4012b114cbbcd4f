"""The frozen CLIP that every method shares: two towers, the logit scale, and the tokens it knows."""

from __future__ import annotations

import copy
import hashlib
import logging
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mpafer.clip.layers import Attention
from mpafer.clip.tokens import eot_positions, tokenize
from mpafer.clip.towers import TextTower, VisionTower
from mpafer.common.errors import DataError, OptionError

logger = logging.getLogger(__name__)

VOCABULARY = 49408  # OpenAI's byte-pair vocabulary
PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)
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
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> Clip:
        """OpenAI-named tensors of any ViT size -> frozen float32 model in eval mode.

        Raises:
            DataError: a ResNet CLIP, or not a CLIP at all; names the first missing tensors.
        """
        state = {key: value for key, value in state.items() if key not in _JIT_EXTRAS}
        if "visual.layer1.0.conv1.weight" in state:
            raise DataError(
                "this is a ResNet CLIP (RN50, RN101, ...): it has no patch tokens and no place for visual prompts; "
                "take a ViT: ViT-B/32, ViT-B/16, ViT-L/14 or ViT-L/14@336px"
            )
        state, known = _expand_vocabulary(state)
        model = cls(*_empty_towers(state), known_tokens=known)
        names = model.openai_state_dict()
        missing = sorted(names.keys() - state.keys())
        if missing:
            raise DataError(f"not an OpenAI-shaped CLIP: {len(missing)} tensors are missing, first {missing[:3]}")
        extra = sorted(state.keys() - names.keys())
        if extra:
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
    def dtype(self) -> torch.dtype:
        """Precision of the large weights."""
        return self.visual.transformer.dtype

    @property
    def device(self) -> torch.device:
        return self.logit_scale.device

    @property
    def fingerprint(self) -> str:
        """Short hash of all weights as loaded, before any cast; caches and checkpoints name their backbone by it."""
        if not self._fingerprint:
            digest = hashlib.sha256()
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
            for text, row in zip(texts, tokens, strict=True):
                words = row[1 : int(row.argmax())]
                if not self.known_tokens.cpu()[words].all():
                    raise OptionError(
                        f"{self.name} knows only the words of its own captions, and not all of {text!r}; "
                        "reword it, or take a real CLIP (ViT-B/16)"
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


def _expand_vocabulary(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Tensor | None]:
    """The whole embedding table of a tiny CLIP, whose file has the rows of ``token_ids`` only, and the known tokens.

    The other rows are zero. Another CLIP is returned as it is, with None.
    """
    state = dict(state)
    ids = state.pop("token_ids", None)
    if ids is None:
        return state, None
    rows = state["token_embedding.weight"]
    table = rows.new_zeros(VOCABULARY, rows.shape[1])
    table[ids.long()] = rows
    known = torch.zeros(VOCABULARY, dtype=torch.bool)
    known[ids.long()] = True
    return {**state, "token_embedding.weight": table}, known


def _empty_towers(state: Mapping[str, Tensor]) -> tuple[VisionTower, TextTower]:
    """Towers of the sizes that the tensors have."""

    def layers(prefix: str) -> int:
        return len({key.split(".")[prefix.count(".") + 1] for key in state if key.startswith(prefix + ".")})

    try:
        width, _, patch, _ = state["visual.conv1.weight"].shape
        grid = round((len(state["visual.positional_embedding"]) - 1) ** 0.5)
        text_width, embed_dim = state["text_projection"].shape
        context, vocabulary = len(state["positional_embedding"]), len(state["token_embedding.weight"])
    except KeyError as error:
        raise DataError(f"not an OpenAI-shaped CLIP: {error} is missing") from None
    vision = VisionTower(grid * patch, patch, width, layers("visual.transformer.resblocks"), embed_dim)
    return vision, TextTower(context, vocabulary, text_width, layers("transformer.resblocks"), embed_dim)
