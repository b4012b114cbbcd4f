"""Every value of every option of every method trains one step; what learns is what was declared, and nothing else."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import torch
from support.models import CLASSES, random_clip

import mpafer
from mpafer.common.errors import DataError, OptionError
from mpafer.prompting.losses import contrastive_alignment, cosine_distance, l1_distance
from mpafer.prompting.model import PromptedClip
from mpafer.prompting.similarity import ALIGNMENTS
from mpafer.trainers import METHODS
from mpafer.trainers.mpafer import MPAFEROptions

VALUES: dict[str, tuple[Any, ...]] = {
    "n_ctx": (1, 4, 10),
    "csc": (False, True),
    "ctx_init": ("", "a photo of a"),
    "n_visual": (0, 1, 8),
    "visual_depth": (0, 1, 2),
    "visual_first": (1, 2),
    "hard_prompt": (1, 2, 3),
    "alignment": ("global", "local", "global_local"),
    "top_k": (1, 16),
    "logit_scale": (0.0, 50.0),
    "pooling": ("mean", "max"),
    "tau": (0.01, 0.07, 1.0),
    "prompt_loss": ("contrastive", "l1", "l1_mean", "cosine", "none"),
    "token_loss": (True, False),
    "prototype_loss": ("l1", "l1_mean", "cosine", "none"),
    "prototype_sum": (False, True),
    "prototype_shots": (-1, 1),
    "beta": (0, 1, 2.5),
    "gamma": (0, 1, 2.5),
    "prec": ("fp32", "fp16", "amp", "bf16"),
}
# images a prototype are the trainer's to draw: test_prototypes.py
CASES = [(name, value) for name, values in VALUES.items() if name != "prototype_shots" for value in values]


def build(classnames: list[str] = CLASSES, **options: Any) -> PromptedClip:
    clip = random_clip()
    torch.manual_seed(1)
    prototypes = torch.randn(len(classnames), clip.embed_dim)
    return mpafer.build_model("MPAFER", clip, classnames, prototypes=prototypes, **options)


def batch(classes: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    return torch.randn(9, 3, 32, 32), torch.arange(9) % classes


def step(model: PromptedClip, images: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """One optimiser step; the losses before it."""
    losses = model.losses(model(images), labels)
    torch.stack(list(losses.values())).sum().backward()
    torch.optim.SGD(model.learnable.values(), lr=0.1).step()
    return {name: value.item() for name, value in losses.items()}


def test_the_values_cover_every_option_and_choice() -> None:
    assert VALUES.keys() == {entry.name for entry in fields(MPAFEROptions)}
    for entry in fields(MPAFEROptions):
        assert set(entry.metadata.get("choices", ())) <= set(VALUES[entry.name])
        assert entry.default in VALUES[entry.name]


@pytest.mark.parametrize(("name", "value"), CASES)
def test_each_value_trains_the_declared_parameters_only(name: str, value: Any) -> None:
    model = build(**{name: value})
    frozen = {key: tensor.clone() for key, tensor in model.clip.state_dict().items()}
    before = {key: tensor.detach().clone() for key, tensor in model.learnable.items()}
    losses = step(model, *batch())
    assert all(torch.isfinite(torch.tensor(value)) for value in losses.values()), losses
    with_gradient = {key for key, parameter in model.named_parameters() if parameter.grad is not None}
    assert with_gradient == {f"prompts.{key}" for key in model.learnable}
    assert all(not torch.equal(before[key], tensor) for key, tensor in model.learnable.items())
    assert all(torch.equal(frozen[key], tensor) for key, tensor in model.clip.state_dict().items())
    assert all(parameter.dtype == torch.float32 for parameter in model.learnable.values())


@pytest.mark.parametrize("classnames", [CLASSES, [*CLASSES, "contempt"], ["happy", "angry"]])
def test_class_lists_of_any_length(classnames: list[str]) -> None:
    model = build(classnames)
    out = model(batch()[0])
    assert out.logits.shape == (9, len(classnames)) and out.text.shape == (len(classnames), 32)
    assert out.image.shape == (9, 32) and out.patches.shape == (9, 16, 32)


def test_other_classes_take_descriptions_of_the_users_own() -> None:
    with pytest.raises(DataError, match="boredom"):
        build(["boredom", "anger"])
    own = {"boredom": "Half-closed eyes.", "anger": "Furrowed brows."}
    one, other = (
        mpafer.build_model("MPAFER", random_clip(), ["boredom", "anger"], descriptions=table)
        for table in (own, own | {"boredom": "A yawning mouth."})
    )
    assert not torch.equal(one.hard_text[0], other.hard_text[0]) and torch.equal(one.hard_text[1], other.hard_text[1])


def test_several_descriptions_are_one_classifier() -> None:
    """Zero-shot's class features are the normalised mean of the unit features; a list of one text changes no bit."""
    names, clip, images = ["anger", "fear"], random_clip(), batch()[0]
    texts = ["A frown.", "Lips that are pressed together."]

    def zero_shot(anger: str | list[str]) -> Any:
        table = {"anger": anger, "fear": "A gasp."}
        return mpafer.build_model("ZeroshotDescriptions", clip, names, descriptions=table)(images)

    first, second, both, one = zero_shot(texts[0]), zero_shot(texts[1]), zero_shot(texts), zero_shot(texts[:1])
    assert torch.equal(first.logits, one.logits)
    unit = [torch.nn.functional.normalize(each.text, dim=-1) for each in (first, second)]
    expected = torch.nn.functional.normalize(unit[0] + unit[1], dim=-1)
    torch.testing.assert_close(torch.nn.functional.normalize(both.text, dim=-1), expected)
    torch.testing.assert_close(both.logits[:, 1], first.logits[:, 1])
    assert (both.logits[:, 0] - first.logits[:, 0]).abs().max() > 1e-4


def test_the_objective_is_the_sum_of_its_terms() -> None:
    images, labels = batch()
    plain = build()
    out = plain(images)
    losses = plain.losses(out, labels)
    assert list(losses) == ["ce_loss", "token_loss", "prompt_loss", "prototype_loss"]
    torch.testing.assert_close(losses["ce_loss"], torch.nn.functional.cross_entropy(out.logits, labels))
    torch.testing.assert_close(losses["prompt_loss"], contrastive_alignment(out.text, plain.hard_text, 0.07))
    torch.testing.assert_close(losses["prototype_loss"], cosine_distance(out.image, plain.prototypes[labels]))
    soft = torch.stack([out.embeddings[c, 1:eot].mean(0) for c, eot in enumerate(plain.eot)])
    torch.testing.assert_close(losses["token_loss"], contrastive_alignment(soft, plain.hard_tokens, 0.07))
    for options, name, expected in (
        ({"prompt_loss": "l1"}, "prompt_loss", l1_distance(out.text, plain.hard_text)),
        ({"prompt_loss": "l1_mean"}, "prompt_loss", l1_distance(out.text, plain.hard_text) / 32),
        ({"prompt_loss": "cosine"}, "prompt_loss", cosine_distance(out.text, plain.hard_text)),
        ({"prototype_loss": "l1"}, "prototype_loss", l1_distance(out.image, plain.prototypes[labels])),
        ({"prototype_sum": True}, "prototype_loss", 9 * losses["prototype_loss"]),  # 9 images in the batch
        ({"beta": 3}, "token_loss", 3 * losses["token_loss"]),
        ({"beta": 3}, "prompt_loss", 3 * losses["prompt_loss"]),
        ({"gamma": 3}, "prototype_loss", 3 * losses["prototype_loss"]),
    ):
        other = build(**options)
        with torch.no_grad():
            for mine, theirs in zip(other.learnable.values(), plain.learnable.values(), strict=True):
                mine.copy_(theirs)
        changed = other.losses(other(images), labels)
        torch.testing.assert_close(changed[name], expected)
        assert abs(changed[name].item() - losses[name].item()) > 1e-3  # control: the option does something


def test_terms_can_be_left_out() -> None:
    images, labels = batch()
    off = build(token_loss=False, prompt_loss="none", prototype_loss="none")
    assert list(off.losses(off(images), labels)) == ["ce_loss"]
    bare = mpafer.build_model("MPAFER", random_clip(), CLASSES)
    assert "prototype_loss" not in bare.losses(bare(images), labels)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("MPAFER", {"visual_first": 2}),
        ("VPT", {"prompt_first_vision": 2}),
        ("IVLP", {"prompt_first_vision": 2, "prompt_depth_vision": 1, "prompt_depth_text": 1}),
        ("PromptSRC", {"prompt_first_vision": 2, "prompt_depth_vision": 1, "prompt_depth_text": 1}),
    ],
)
def test_visual_prompts_of_the_last_layer_alone(method: str, options: dict[str, Any]) -> None:
    """They learn, and are other prompts than those of the first layer alone."""
    images, labels = batch()
    one = dict.fromkeys((key.replace("first", "depth") for key in options if "first" in key), 1)
    models = []
    for chosen in (options, options | one | {key: 1 for key in options if "first" in key}):
        torch.manual_seed(0)
        models.append(mpafer.build_model(method, random_clip(), CLASSES, **chosen))
    last, first = models
    assert last.learnable.keys() == first.learnable.keys()
    assert torch.equal(last.learnable["visual.prompts"], first.learnable["visual.prompts"])
    torch.stack(list(last.losses(last(images), labels).values())).sum().backward()
    assert last.learnable["visual.prompts"].grad.abs().max() > 0
    assert (last(images).logits - first(images).logits).abs().max() > 1e-5


@pytest.mark.parametrize("mode", ALIGNMENTS)
def test_logits_are_scaled_similarities(mode: str) -> None:
    model = build(alignment=mode, top_k=5)
    out = model(batch()[0])
    unit = torch.nn.functional.normalize
    text = unit(out.text, dim=-1)
    overall = unit(out.image, dim=-1) @ text.T
    local = (unit(out.patches, dim=-1) @ text.T).sort(dim=1, descending=True).values[:, :5].mean(1)
    expected = {"global": overall, "local": local, "global_local": (overall + local) / 2}[mode]
    torch.testing.assert_close(out.logits, model.clip.logit_scale.exp() * expected)
    model.logit_scale = 30.0
    sums = 2 if mode == "global_local" else 1
    torch.testing.assert_close(model(batch()[0]).logits, 30 * sums * expected)


def test_text_is_encoded_again_when_a_prompt_changed() -> None:
    model, other = build(), build(n_ctx=10)
    images, _ = batch()
    with torch.no_grad():
        first, again = model(images).text, model(images).text
        assert first is again
        other.prompts["text"].ctx.mul_(-1)
        model.prompts.load_state_dict(other.prompts.state_dict())
        loaded = model(images).text
        assert (loaded - first).abs().max() > 1e-4
        model.prompts["text"].ctx.data.mul_(2)
        assert (model(images).text - loaded).abs().max() > 1e-4
    with torch.inference_mode():
        model(images)


@pytest.mark.parametrize("precision", ["fp16", "amp", "bf16"])
def test_low_precision_follows_float32(precision: str) -> None:
    images, _ = batch()
    full, low = build(), build(prec=precision)
    with torch.no_grad():
        for mine, theirs in zip(low.learnable.values(), full.learnable.values(), strict=True):
            mine.copy_(theirs)
        difference = (low(images).logits - full(images).logits).abs().max().item()
    assert 0 < difference < 0.3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"topk": 3}, "no option 'topk': did you mean top_k"),
        ({"alignment": "both"}, "ALIGNMENT is 'both'; choose one of global, local, global_local"),
        ({"hard_prompt": 4}, "HARD_PROMPT is 4; choose one of 1, 2, 3"),
        ({"top_k": 17}, "TOP_K is 17, but CLIP has 16 patches"),
        ({"top_k": 0}, "TOP_K is 0; it must be at least 1"),
        ({"visual_depth": 3}, "VISUAL_DEPTH is 3, but CLIP has 2 layers"),
        ({"visual_first": 3}, "VISUAL_FIRST is 3, but CLIP has 2 layers"),
        ({"visual_first": 0}, "VISUAL_FIRST is 0; it must be at least 1"),
        ({"visual_first": 2, "visual_depth": 2}, "VISUAL_DEPTH is 2, but CLIP has 1 layers from layer 2 on"),
        ({"beta": -1}, "BETA is -1"),
        ({"tau": 0}, "TAU is 0"),
        ({"prec": "fp8"}, "PREC is 'fp8'"),
        ({"token_loss": "False"}, "TOKEN_LOSS is 'False'; it must be of type bool"),
        ({"n_ctx": 2.5}, "N_CTX is 2.5; it must be of type int"),
        ({"tau": float("nan")}, "TAU is nan"),
        ({"prototype_shots": 0}, "PROTOTYPE_SHOTS is 0; it cannot be 0"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_unknown_method_and_bad_prototypes() -> None:
    with pytest.raises(ValueError, match="no method 'MPA-FER': did you mean MPAFER"):
        mpafer.build_model("MPA-FER", random_clip(), CLASSES)
    with pytest.raises(OptionError, match=r"prototypes are \(2, 32\), expected \(7, 32\)"):
        mpafer.build_model("MPAFER", random_clip(), CLASSES, prototypes=torch.ones(2, 32))
    with pytest.raises(ValueError, match="ZeroshotCLIP has no use for prototypes"):
        mpafer.build_model("ZeroshotCLIP", random_clip(), CLASSES, prototypes=torch.ones(7, 32))
    for names in ([], ["anger", "anger"]):
        with pytest.raises(ValueError, match="one or more, each once"):
            mpafer.build_model("MPAFER", random_clip(), names)


def test_zero_shot_is_clips_own_answer() -> None:
    clip = random_clip()
    model = mpafer.build_model("ZeroshotCLIP", clip, CLASSES)
    sentences = [f"a photo of a person making a facial expression of {name}." for name in CLASSES]
    images = batch()[0]
    unit = torch.nn.functional.normalize
    expected = unit(clip.encode_image(images), dim=-1) @ unit(clip.encode_text(clip.tokenize(sentences)), dim=-1).T
    torch.testing.assert_close(model(images).logits, clip.logit_scale.exp() * expected)
    assert not model.learnable
    with pytest.raises(OptionError, match=r"needs \{name\}"):
        mpafer.build_model("ZeroshotCLIP", clip, CLASSES, template="a photo")


@pytest.mark.parametrize(
    ("image", "patch", "width", "text_width", "dim", "values"),
    [
        (224, 32, 768, 512, 512, 78_848),
        (224, 16, 768, 512, 512, 78_848),
        (224, 14, 1024, 768, 768, 204_288),
        (336, 14, 1024, 768, 768, 204_288),
    ],
    ids=["B/32", "B/16", "L/14", "L/14@336px"],
)
def test_learnable_values_of_openais_sizes(
    image: int, patch: int, width: int, text_width: int, dim: int, values: int
) -> None:
    """M W_t + L_v N_p W_v; the towers' shapes alone, no memory is filled."""
    from mpafer.clip import Clip
    from mpafer.clip.towers import TextTower, VisionTower
    from mpafer.prompting.text import ContextPrompts
    from mpafer.prompting.visual import DeepVisualPrompts

    layers = 24 if width == 1024 else 12
    with torch.device("meta"):
        visual = VisionTower(image, patch, width, layers, dim)
    assert visual.patches == (image // patch) ** 2 >= 16
    clip = Clip(visual, TextTower(77, 49408, text_width, 1, dim))
    text, deep = ContextPrompts(clip, CLASSES), DeepVisualPrompts(clip)
    assert text.ctx.numel() + deep.prompts.numel() == values


def test_every_method_is_registered_and_only_coop_and_kgcoop_share_a_node() -> None:
    nodes: dict[str, set[str]] = {}
    for name, trainer in METHODS.items():
        nodes.setdefault(trainer.node, set()).add(name)
    assert {"MPAFER", "ZeroshotCLIP"} <= METHODS.keys()
    assert [names for names in nodes.values() if len(names) > 1] == [{"CoOp", "KgCoOp"}]
