"""Free captions of drawn faces, as people write them: some parts, some of the person and the scene.

An emotion is named only sometimes, and often by a confusable word; the parts are reliable. So descriptions of
expressions carry more than their names do, as in the captions that CLIP was trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mpafer.sketch.identity import HAIRS, SKINS, Identity
from mpafer.sketch.style import Style
from mpafer.sketch.units import NEIGHBOURS, ActionUnits

NAME_RATE = 0.4  # share of captions of an expression that name it
SWAP_RATE = 0.3  # share of those names that belong to a neighbour

# Every class name, then the adjectives and synonyms that data sets and people use.
EMOTION_WORDS: dict[str, tuple[str, ...]] = {
    "surprise": ("surprise", "surprise", "surprised", "astonishment"),
    "fear": ("fear", "fear", "afraid", "fearful", "scared"),
    "disgust": ("disgust", "disgust", "disgusted"),
    "happiness": ("happiness", "happiness", "happy", "joy"),
    "sadness": ("sadness", "sadness", "sad", "unhappy"),
    "anger": ("anger", "anger", "angry", "mad"),
    "neutral": ("neutral", "neutral", "calm"),
    "contempt": ("contempt", "contempt", "contemptuous", "scorn"),
}
TEMPLATES = (
    "a photo of a person making a facial expression of {}",
    "a photo of a {} face",
    "a photo of {}",
    "a {} face",
    "a person with a {} expression",
    "a close-up photo of a face showing {}",
)
OPENINGS = (
    "a photo of a person",
    "a photo of a face",
    "an image of a face",
    "a picture of a person making a facial expression",
    "this is a photo of the face of a person",
    "a drawing of a face",
    "",
)

# How strong a cue is, and its phrases. They contain every word of the descriptions in Table 1.
Cue = tuple[Callable[[ActionUnits], float], tuple[str, ...]]
CUES: tuple[Cue, ...] = (
    (lambda a: a.upper_lid_raise - a.lid_tighten, ("widened eyes", "wide open eyes", "wide eyes")),
    (lambda a: a.jaw_drop, ("an open mouth", "a wide open mouth", "a dropped jaw")),
    (lambda a: min(a.inner_brow_raise, a.outer_brow_raise * 1.3),
     ("raised eyebrows", "high eyebrows", "lifted brows")),
    (lambda a: min(a.upper_lid_raise, max(a.jaw_drop, a.inner_brow_raise)), ("a frozen expression",)),
    (lambda a: a.lips_part - a.jaw_drop, ("parted lips", "slightly open lips")),
    (lambda a: a.brow_lower, ("a furrowed brow", "furrowed eyebrows", "lowered eyebrows", "frowning brows")),
    (lambda a: a.chin_retract, ("a retracted chin", "a tucked chin", "a double chin")),
    (lambda a: a.nose_wrinkle, ("a wrinkled nose", "a wrinkled nose bridge")),
    (lambda a: a.lips_press, ("a tightened mouth", "tightened lips", "pressed lips", "thin lips")),
    (lambda a: a.lid_tighten - a.upper_lid_raise, ("narrow eyes", "narrowed eyes", "tightened eyelids")),
    (lambda a: a.corner_up - a.corner_down, ("a smiling mouth", "a smile", "a mouth turned upward")),
    (lambda a: a.cheek_raise, ("raised cheeks", "wrinkled eyes", "round cheeks")),
    (lambda a: (a.outer_brow_raise - a.brow_lower) * 1.4, ("arched eyebrows",)),
    (lambda a: a.tears * 1.3, ("tears", "tears on its cheeks", "crying eyes")),
    (lambda a: a.corner_down - a.corner_up, ("a downward turned mouth", "mouth corners turned downward")),
    (lambda a: a.lid_droop, ("drooping upper eyelids", "drooping eyelids", "tired eyes")),
    (lambda a: a.forehead_lines, ("a wrinkled forehead", "lines on the forehead")),
    (lambda a: a.nostril_flare, ("flared nostrils", "wide nostrils")),
    (lambda a: a.one_corner_up,
     ("one side of its mouth raised", "a one-sided smile", "one mouth corner raised")),
    (lambda a: a.one_brow_raise,
     ("one eyebrow lower and one raised", "one eyebrow raised", "uneven eyebrows")),
    (lambda a: a.chin_raise, ("a raised chin", "a chin pushed up")),
    # What is at rest.
    (lambda a: 0.9 - 2 * a.vector().max(),
     ("relaxed facial muscles", "a relaxed face", "a blank expression")),
    (lambda a: 0.8 - 2 * max(a.corner_up, a.corner_down, a.one_corner_up, a.jaw_drop, a.lips_part),
     ("a straight mouth", "a closed mouth")),
    (lambda a: 0.7 - 2 * max(a.forehead_lines, a.brow_lower), ("a smooth forehead",)),
    (lambda a: 0.7 - 2 * max(a.inner_brow_raise, a.outer_brow_raise, a.brow_lower, a.one_brow_raise),
     ("unremarkable eyebrows", "relaxed eyebrows")),
)  # fmt: skip
VISIBLE = 0.3


def caption(rng: np.random.Generator, au: ActionUnits, who: Identity, style: Style, emotion: str | None) -> str:
    """One caption of a rendering; `emotion` is the class it was drawn as, None for a face without one."""
    phrases = describe_parts(rng, au)
    opening = str(rng.choice(OPENINGS))
    if emotion and rng.random() < NAME_RATE:
        named = str(rng.choice(NEIGHBOURS[emotion])) if rng.random() < SWAP_RATE else emotion
        opening = str(rng.choice(TEMPLATES)).format(rng.choice(EMOTION_WORDS[named]))
        if rng.random() < 0.35:
            phrases = []  # the name alone
    elif rng.random() < 0.5:
        extra = describe_person(rng, who) + describe_scene(rng, style)
        phrases += list(rng.choice(extra, min(len(extra), int(rng.integers(1, 4))), replace=False))
        rng.shuffle(phrases)
    sentence = enumerate_phrases(rng, phrases)
    if not opening or not sentence:
        return (opening or sentence or "a photo of a face") + str(rng.choice((".", "")))
    joint = str(rng.choice((". ", ", ", " with ", ", with ", ": ", ". it has ", ". the face shows ")))
    return opening + joint + sentence + str(rng.choice((".", "")))


def describe_parts(rng: np.random.Generator, au: ActionUnits) -> list[str]:
    """One to five of the visible cues, the plainer ones more often, in random order."""
    strength = np.array([cue(au) for cue, _ in CUES])
    seen = np.flatnonzero(strength > VISIBLE)
    if not len(seen):
        return []
    weight = np.minimum(strength[seen], 1)
    count = min(int(rng.integers(1, 6)), len(seen))
    chosen = rng.choice(seen, count, replace=False, p=weight / weight.sum())
    return [str(rng.choice(CUES[i][1])) for i in chosen]


def describe_person(rng: np.random.Generator, who: Identity) -> list[str]:
    """The person's permanent traits."""
    hair = ("black", "brown", "brown", "blond", "blond", "red", "grey", "white")[HAIRS.index(who.hair)]
    head = "a bald head" if who.hair_style == "bald" else f"{rng.choice((who.hair_style, hair))} hair"
    found = [
        head.replace("side hair", "parted hair"),
        "dark skin" if SKINS.index(who.skin) > 3 else "light skin",
        "a narrow face" if who.face_width < 30 else "a wide face",
    ]
    if who.beard != "none":
        found.append({"full": "a full beard"}.get(who.beard, f"a {who.beard}"))
    if who.glasses != "none":
        found.append(str(rng.choice(("glasses", f"{who.glasses} glasses"))))
    if who.freckles:
        found.append("freckles")
    if who.earrings:
        found.append("earrings")
    return [*found, "an old person" if who.age > 0.5 else "a young person"]


def describe_scene(rng: np.random.Generator, style: Style) -> list[str]:
    """Facts of the picture, not of the face."""
    found = []
    if style.scene != "plain":
        found.append(
            {"stripes": "stripes behind", "crowd": "people behind"}.get(style.scene, f"a {style.scene} behind")
        )
    if style.cover != "none":
        found.append({"hand": "a hand on the face", "bar": "something in front"}.get(style.cover, "loose hair"))
    facts = ((style.grey, "black and white"), (style.blur > 0.7, "blurry"), (style.noise > 10, "grainy"))
    found += [word for true, word in facts if true]
    if abs(style.roll) > 6:
        found.append("a tilted head")
    return found or [str(rng.choice(("a clear picture", "a plain background")))]


def enumerate_phrases(rng: np.random.Generator, phrases: Sequence[str]) -> str:
    """'a, b, and c', or a looser join."""
    if len(phrases) > 1 and rng.random() < 0.7:
        comma = "," if len(phrases) > 2 else ""
        return ", ".join(phrases[:-1]) + f"{comma} and {phrases[-1]}"
    return str(rng.choice((", ", " and ", ". "))).join(phrases)


# Prompts may have these although captions don't: CoOp's placeholder, punctuation, words of usual contexts.
SPARE_TEXT = (
    "x ! ? ; : - ' ( ) / & , . a an the of in on is are its this that my your good cropped human people man "
    "woman expression expressions emotion emotions feeling feels looks like very facial type kind which "
    "image photo photograph picture portrait sketch drawing"
)
