"""Prompts, similarities and losses against plain restatements of their equations, each with a control that fails."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from support.models import CLASSES, random_clip

from mpafer.clip.tokens import eot_positions
from mpafer.common.errors import DataError, OptionError
from mpafer.prompting.losses import contrastive_alignment, cosine_distance, l1_distance
from mpafer.prompting.model import Output
from mpafer.prompting.similarity import alignment, global_similarity, sparse_local_similarity
from mpafer.prompting.teachers import class_prototypes, hard_prompt_features, hard_prompts
from mpafer.prompting.text import ContextPrompts, pool_tokens
from mpafer.prompting.visual import DeepVisualPrompts


def cosine(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(x * x for x in b))


def unit(a: list[float]) -> list[float]:
    length = math.sqrt(sum(x * x for x in a))
    return [x / length for x in a]


@pytest.fixture
def soft_hard() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(5, 8), torch.randn(5, 8)


def test_contrastive_alignment_is_its_equation(soft_hard: tuple[torch.Tensor, torch.Tensor]) -> None:
    soft, hard = (tensor.tolist() for tensor in soft_hard)
    tau, total = 0.07, 0.0
    for d in range(5):
        scores = [math.exp(cosine(soft[c], hard[d]) / tau) for c in range(5)]
        total -= math.log(scores[d] / sum(scores)) / 5
    assert contrastive_alignment(*soft_hard, tau).item() == pytest.approx(total, rel=1e-5)
    swapped = contrastive_alignment(soft_hard[1], soft_hard[0], tau).item()  # control: hard prompts compete instead
    assert swapped != pytest.approx(total, rel=1e-2)


def test_distances_are_their_equations(soft_hard: tuple[torch.Tensor, torch.Tensor]) -> None:
    a, b = (tensor.tolist() for tensor in soft_hard)
    l1 = sum(sum(abs(x - y) for x, y in zip(unit(p), unit(q), strict=True)) for p, q in zip(a, b, strict=True)) / 5
    cos = sum(1 - cosine(p, q) for p, q in zip(a, b, strict=True)) / 5
    assert l1_distance(*soft_hard).item() == pytest.approx(l1, rel=1e-5)
    assert cosine_distance(*soft_hard).item() == pytest.approx(cos, rel=1e-5)
    assert (soft_hard[0] - soft_hard[1]).abs().sum(-1).mean().item() != pytest.approx(
        l1, rel=1e-2
    )  # not on unit vectors


def test_sparse_local_similarity_picks_patches_per_class() -> None:
    torch.manual_seed(2)
    patches, text = torch.randn(3, 9, 6), torch.randn(4, 6)
    expected = torch.zeros(3, 4)
    for b in range(3):
        for c in range(4):
            best = sorted((cosine(patches[b, i].tolist(), text[c].tolist()) for i in range(9)), reverse=True)[:3]
            expected[b, c] = sum(best) / 3
    torch.testing.assert_close(sparse_local_similarity(patches, text, 3), expected)
    one_choice = (patches / patches.norm(dim=-1, keepdim=True)).mean(1) @ text.T / text.norm(dim=-1)
    torch.testing.assert_close(sparse_local_similarity(patches, text, 9), one_choice)  # k = N is the plain mean
    assert (one_choice - expected).abs().max() > 0.1  # control


def test_alignment_modes_add_up() -> None:
    torch.manual_seed(3)
    image, patches, text = torch.randn(3, 6), torch.randn(3, 9, 6), torch.randn(4, 6)
    both, only_global, only_local = (
        alignment(image, patches, text, mode=mode, k=4) for mode in ("global_local", "global", "local")
    )
    torch.testing.assert_close(both, only_global + only_local)
    torch.testing.assert_close(only_global, global_similarity(image, text))
    assert (only_global - only_local).abs().max() > 0.1


def test_soft_prompt_is_sos_context_name_period_eos() -> None:
    clip = random_clip()
    prompts = ContextPrompts(clip, ["happiness", "a very_long name"], ctx_init="a photo of a")
    tokens = clip.tokenize(["a photo of a happiness.", "a photo of a a very long name."])
    length = int(eot_positions(tokens).max()) + 1
    torch.testing.assert_close(prompts(), clip.text.embed(tokens)[:, :length])
    assert prompts.eot.tolist() == eot_positions(tokens).tolist()
    other = clip.text.embed(clip.tokenize(["a photo of the happiness.", "a photo of the a very long name."]))
    differing = (prompts() != other[:, :length]).any(dim=-1)
    assert differing.nonzero().tolist() == [[0, 4], [1, 4]]  # control: another word shows, in its place only


def test_context_is_drawn_small_and_shared_unless_class_specific() -> None:
    torch.manual_seed(0)
    clip = random_clip()
    shared, specific = ContextPrompts(clip, CLASSES), ContextPrompts(clip, CLASSES, n_ctx=4, csc=True)
    assert shared.ctx.shape == (10, 64) and specific.ctx.shape == (7, 4, 64)
    assert 0.017 < shared.ctx.std().item() < 0.023
    assert torch.equal(shared()[0, 1:11], shared()[1, 1:11])
    with pytest.raises(OptionError, match="N_CTX is 0"):
        ContextPrompts(clip, CLASSES, n_ctx=0)
    with pytest.raises(OptionError, match="class 'surprise' takes 81"):
        ContextPrompts(clip, CLASSES, n_ctx=77)


def test_pooling_takes_the_real_tokens_only() -> None:
    embeddings = torch.arange(12.0).reshape(2, 6, 1)
    pooled = pool_tokens(embeddings, torch.tensor([3, 5]))
    torch.testing.assert_close(pooled, torch.tensor([[1.5], [8.5]]))  # (1+2)/2, (7+8+9+10)/4
    assert pooled[0].item() != embeddings[0].mean().item()
    largest = pool_tokens(-embeddings, torch.tensor([3, 5]), "max")  # not SOS, which is larger
    torch.testing.assert_close(largest, torch.tensor([[-1.0], [-7.0]]))


def test_visual_prompts_depth() -> None:
    clip = random_clip(layers=3)
    assert DeepVisualPrompts(clip).prompts.shape == (3, 8, 64)
    assert len(DeepVisualPrompts(clip, n=2, depth=1)()) == 1
    with pytest.raises(OptionError, match="VISUAL_DEPTH is 4, but CLIP has 3"):
        DeepVisualPrompts(clip, depth=4)
    images = torch.randn(2, 3, 32, 32)
    whole, first = DeepVisualPrompts(clip), DeepVisualPrompts(clip, depth=1)
    with torch.no_grad():
        whole.prompts.mul_(50)
        first.prompts.copy_(whole.prompts[:1])
        outputs = [clip.visual(images, prompts)[0] for prompts in ((), whole(), first())]
    assert all((outputs[i] - outputs[j]).abs().max() > 1e-3 for i, j in ((0, 1), (0, 2), (1, 2)))


def test_visual_prompts_from_a_later_layer_on() -> None:
    clip = random_clip(layers=4)
    default, later, one = (
        DeepVisualPrompts(clip),
        DeepVisualPrompts(clip, first=3),
        DeepVisualPrompts(clip, n=2, depth=1, first=2),
    )
    assert all(torch.equal(given, own) for given, own in zip(default(), default.prompts, strict=True))
    assert later.prompts.shape == (2, 8, 64) and [prompt is None for prompt in later()] == [True, True, False, False]
    assert [prompt is None for prompt in one()] == [True, False]
    for values, message in (
        ({"first": 5}, "VISUAL_FIRST is 5, but CLIP has 4 layers there"),
        ({"first": 3, "depth": 3}, r"VISUAL_DEPTH is 3, but CLIP has 2 layers from layer 3 on \(VISUAL_FIRST\)"),
        (
            {"first": 3, "depth": 3, "key": "PROMPT_DEPTH_VISION"},
            r"PROMPT_DEPTH_VISION is 3, .* \(PROMPT_FIRST_VISION\)",
        ),
    ):
        with pytest.raises(OptionError, match=message):
            DeepVisualPrompts(clip, **values)


@pytest.mark.parametrize("in_sequence", [False, True])
@pytest.mark.parametrize("patches", [True, False])
def test_layers_before_the_first_prompted_one_see_the_image_alone(in_sequence: bool, patches: bool) -> None:
    """Against the blocks, one by one, with the prompts as tokens whose outputs are dropped, or replaced."""
    clip, images = random_clip(layers=4), torch.randn(2, 3, 32, 32)
    tower, later = clip.visual, DeepVisualPrompts(clip, n=2, depth=2, first=2)
    later.prompts.data.mul_(50)
    prompts = list(later())
    x = tower.conv1(images).flatten(2).transpose(1, 2)
    x = torch.cat([tower.class_embedding.expand(2, 1, -1), x], dim=1) + tower.positional_embedding
    x = tower.ln_pre(x)
    for layer, block in enumerate(tower.transformer.resblocks):
        joined = (
            prompts[layer].expand(2, -1, -1) if layer in (1, 2) else x[:, 17:]
        )  # the last ones stay in the sequence
        x = block(torch.cat([x[:, :17], joined], dim=1))
        x = x if in_sequence else x[:, :17]
    expected = tower.ln_post(x[:, :17]) @ tower.proj
    image, local = tower(images, prompts, in_sequence, patches)
    torch.testing.assert_close(image, expected[:, 0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(local, expected[:, 1:] if patches else expected[:, :0], atol=1e-5, rtol=1e-5)
    shallow = tower(images, prompts[1:], in_sequence, patches)[0]
    assert (shallow - image).abs().max() > 1e-3


def test_hard_prompts_of_three_granularities() -> None:
    table = {"anger": "Furrowed eyebrows.", "fear": "Raised eyebrows."}
    assert hard_prompts(["anger"], table, 1) == [("a photo of anger",)]
    assert hard_prompts(["anger"], table, 2) == [("a photo of a person making a facial expression of anger",)]
    (first,), _ = hard_prompts(["anger", "fear"], table, 3)
    assert first.startswith(hard_prompts(["anger"], table, 2)[0][0]) and first.endswith("Furrowed eyebrows.")
    with pytest.raises(OptionError, match=r"no description for \['joy'\]"):
        hard_prompts(["joy"], table, 3)
    with pytest.raises(OptionError, match=r"class 'anger'.*longer than CLIP's 77"):
        hard_prompt_features(random_clip(), ["anger"], [["word " * 80]])


def test_several_descriptions_are_averaged() -> None:
    clip, names = random_clip(), ["anger", "fear"]
    table = {"anger": ("Brows down.", "Narrow eyes, tightened lips, and flared nostrils."), "fear": "Raised eyebrows."}
    prompts = hard_prompts(names, table, 3)
    assert [len(texts) for texts in prompts] == [2, 1] and prompts[0][1].endswith("anger. " + table["anger"][1])
    tokens = clip.tokenize([text for texts in prompts for text in texts])
    rows, features = pool_tokens(clip.text.embed(tokens), eot_positions(tokens)), clip.encode_text(tokens)
    pooled, text = hard_prompt_features(clip, names, prompts)
    torch.testing.assert_close(pooled[0], (rows[0] + rows[1]) / 2)
    mean = F.normalize(features[0], dim=0) + F.normalize(features[1], dim=0)
    torch.testing.assert_close(text[0], F.normalize(mean, dim=0))
    assert torch.equal(pooled[1], rows[2]) and torch.equal(text[1], features[2])
    with pytest.raises(OptionError, match=r"no description for \['fear'\]"):
        hard_prompts(names, {"anger": "A frown.", "fear": []}, 3)
    with pytest.raises(OptionError, match=r"class 'anger'.*longer than CLIP's 77"):
        hard_prompt_features(clip, names, [["a face", "word " * 80], ["a face"]])


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_one_description_gives_the_bits_it_gave(pooling: str) -> None:
    clip, names = random_clip(), ["anger", "fear"]
    table = {"anger": "Furrowed eyebrows.", "fear": "Raised eyebrows, parted lips."}
    single = hard_prompts(names, table, 3)
    tokens = clip.tokenize([text for (text,) in single])
    pooled, text = hard_prompt_features(clip, names, single, pooling)
    assert torch.equal(pooled, pool_tokens(clip.text.embed(tokens).float(), eot_positions(tokens), pooling))
    assert torch.equal(text, clip.encode_text(tokens).float())
    assert hard_prompts(names, {name: [text] for name, text in table.items()}, 3) == single


def test_prototypes_are_class_means_of_unprompted_features() -> None:
    clip = random_clip()
    images, labels = torch.randn(6, 3, 32, 32), torch.tensor([0, 1, 1, 0, 2, 1])
    prototypes = class_prototypes(clip, [(images[:4], labels[:4]), (images[4:], labels[4:])], 3)
    features = clip.encode_image(images)
    expected = torch.stack([features[labels == c].mean(0) for c in range(3)])
    torch.testing.assert_close(prototypes, expected)
    of_units = torch.stack([torch.nn.functional.normalize(features, dim=-1)[labels == c].mean(0) for c in range(3)])
    assert (of_units - expected).abs().max() > 1e-3  # control: means as they are, not of unit vectors
    with pytest.raises(DataError, match=r"class ids \[3\]"):
        class_prototypes(clip, [(images, labels)], 4)


def test_pooled_prompts_of_an_output() -> None:
    image, patches = torch.randn(2, 8), torch.randn(2, 4, 8)
    embeddings, eot = torch.randn(3, 6, 5), torch.tensor([3, 5, 4])
    out = Output(torch.randn(2, 3), image, patches, torch.randn(3, 8), embeddings, eot)
    torch.testing.assert_close(out.pooled_prompts("max"), pool_tokens(embeddings, eot, "max"))
    with pytest.raises(ValueError, match="no class prompts"):
        Output(torch.randn(2, 3), image, patches, torch.randn(3, 8)).pooled_prompts("mean")
