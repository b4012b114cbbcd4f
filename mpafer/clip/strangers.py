"""Models that are no CLIP of two transformers, known by the names of their tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mpafer.common.errors import DataError

_RESNET = (
    "a ResNet CLIP (RN50, RN101, ...): it has no patch tokens and no place for visual prompts; "
    "take a ViT: ViT-B/32, ViT-B/16, ViT-L/14 or ViT-L/14@336px"
)
_TAKE = "; take a CLIP whose both towers are OpenAI's transformers"
# Names at which the model is known -> what it is; the first that fits counts.
_STRANGERS: tuple[tuple[str, str], ...] = (
    (r"visual\.(layer1|attnpool)\.", _RESNET),
    (r"(base_model\.|.*\.lora_[AB]\.)", "an adapter (LoRA): join it with its model, and save the whole"),
    (r"((prompt_learner\.)?(ctx|token_prefix)$|prompt_learner\.)",
     "the prompts of a run, which need a CLIP: name that here, and the run's folder where a run is asked for"),
    (r"(vision_model\.head\.|text_model\.head\.)", f"a SigLIP{_TAKE}"),
    (r"visual\.trunk\.", f"an open_clip model whose vision tower is timm's (SigLIP, EVA, ConvNeXt, ...){_TAKE}"),
    (r"(visual\.(blocks|rope|patch_embed)\.|text\.(blocks|rope)\.)", f"an EVA-CLIP{_TAKE}"),
    (r"(text_decoder\.|text\.cls_emb|visual\.attn_pool\.)", f"a CoCa{_TAKE}"),
    (r"(text|text_model)\.(transformer\.(embeddings|encoder|shared)|roberta|bert)\b|bert\.",
     f"a CLIP whose text tower is another model (Chinese-CLIP, AltCLIP, XLM-R, ...){_TAKE}"),
    (r"positional_embedding_res$", f"a Long-CLIP, which has two tables of text positions{_TAKE}"),
    (r".*resblocks\.\d+\.(ls_[12]\.|attn\.(ln_|q_norm|k_norm|logit_scale|head_scale))",
     f"an open_clip model with layer scale or norms inside its attention{_TAKE}"),
    (r"(visual_encoder\.|text_encoder\.|qformer\.|Qformer\.)", f"a BLIP or ALBEF{_TAKE}"),
    (r"(model\.layers|transformer\.h|language_model|lm_head)\.", f"a language model{_TAKE}"),
    (r"(blocks\.\d+\.attn\.qkv\.|patch_embed\.)", f"a vision transformer without text tower (timm, DINO, MAE){_TAKE}"),
    (r"(module\.)?layer1\.0\.conv1\.", f"a ResNet without a text tower{_TAKE}"),
)  # fmt: skip


def refuse_strangers(names: Iterable[str]) -> None:
    """Raises DataError where tensors of these names are of another model; says which it is."""
    names = list(names)
    for pattern, what in _STRANGERS:
        known = re.compile(pattern)
        if any(known.match(name) for name in names):
            raise DataError(f"this is {what}")
