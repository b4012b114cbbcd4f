"""The table of expressions, and the texts that describe them."""

from __future__ import annotations

import json

import pytest

from mpafer.common.sealed import key_of
from mpafer.inputs.fingerprint import texts_fingerprint
from mpafer.prompting.descriptions import load_descriptions
from mpafer.prompting.expressions import ALIASES, CLASSES, canonical


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("Angry", "anger"),
        ("HAPPY", "happiness"),
        ("suprise", "surprise"),
        ("afraid", "fear"),
        (" sadness ", "sadness"),
        ("normal", "neutral"),
        ("disgusted", "disgust"),
        ("Contempt", "contempt"),
    ],
)
def test_canonical_names(spelling, name):
    assert canonical(spelling) == name


def test_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match=r"'bored'.*surprise, fear.*contempt"):
        canonical("bored")


def test_one_order_for_all():
    assert CLASSES == ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral", "contempt")
    assert set(ALIASES.values()) == set(CLASSES) and not set(ALIASES) & set(CLASSES)


def test_shipped_descriptions_are_the_papers_table():
    table = load_descriptions()
    assert tuple(table) == CLASSES
    assert table["anger"] == "Furrowed eyebrows, narrow eyes, tightened lips, and flared nostrils."
    assert table["contempt"].startswith("One side of its mouth raised") and table["contempt"].endswith("raised chin.")


@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_users_own_descriptions(tmp_path, ending):
    own = tmp_path / f"mine.{ending}"
    own.write_text(json.dumps({"Happy": "A grin.", "angry": "A frown.", "bored": "Half-closed eyes."}))
    assert load_descriptions(own, ["anger", "happy", "bored"]) == {
        "anger": "A frown.",
        "happy": "A grin.",
        "bored": "Half-closed eyes.",
    }


def test_classes_that_a_file_lacks_have_the_shipped_text(tmp_path, caplog):
    own = tmp_path / "mine.yaml"
    own.write_text('{"Pleasant_Surprise": "A smile with raised brows.", "angry": "A frown."}')
    texts = load_descriptions(own, ["pleasant surprise", "anger", "fear"])
    assert texts == {
        "pleasant surprise": "A smile with raised brows.",
        "anger": "A frown.",
        "fear": load_descriptions()["fear"],
    }
    assert "does not describe fear: the shipped texts are taken" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"happy": "A grin."}', "no description of bored.*it has .*happiness"),
        ('["a", "b"]', "must map class names"),
        ('{"anger": 3}', "'anger' must be a text"),
        ('{"anger": "a", "angry": "b"}', "'anger' twice"),
        ('{"anger": []}', r"'anger' must be a text or a list of texts, not \[\]"),
        ('{"anger": ["A frown.", 3]}', "'anger' must be a text or a list of texts"),
        ('{"anger": ["A frown.", ["Lips."]]}', "'anger' must be a text or a list of texts"),
        ('{"anger": {"a": "b"}}', "'anger' must be a text or a list of texts"),
        ('{"anger": ["A frown.", " "]}', "'anger' must be a text or a list of texts"),
        ('{"anger": ["A frown.", "Lips.", "A frown. "]}', "has a text twice, which would count double: 'A frown.'"),
        ("{", "is not YAML: line 1: "),
    ],
)
def test_bad_descriptions_name_the_file(tmp_path, content, message):
    own = tmp_path / "mine.yaml"
    own.write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        load_descriptions(own, ["bored"])
    assert str(own) in str(error.value)


def test_several_texts_a_class(tmp_path):
    own = tmp_path / "mine.yaml"
    own.write_text("angry: [A frown., 'Lips. ']\nhappy: [A grin.]\nsurprise: [Eyes., Brows.]\nfear: A gasp.\n")
    names = ["anger", "happiness", "happily surprised", "fearfully angry"]
    texts = load_descriptions(own, names)
    assert texts["anger"] == ("A frown.", "Lips.") and texts["happiness"] == "A grin.", "one in a list is a text"
    assert texts["happily surprised"] == ("A grin. Eyes.", "A grin. Brows.")
    assert texts["fearfully angry"] == ("A gasp. A frown.", "A gasp. Lips.")


def test_the_fingerprint_covers_every_text():
    """Of single texts it is what it was, so that older runs are known again."""
    single = {"anger": "A frown.", "fear": "A gasp."}
    assert texts_fingerprint(single) == f"2 texts {key_of([['anger', 'A frown.'], ['fear', 'A gasp.']])}"
    lists = [("A frown.",), ("A frown.", "Lips."), ("A frown.", "Chin."), ("A frown. Lips.",)]
    found = [texts_fingerprint(single)] + [texts_fingerprint(single | {"anger": texts}) for texts in lists]
    assert len(set(found)) == len(found)


def test_no_file_of_descriptions(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.yaml"):
        load_descriptions(tmp_path / "nowhere.yaml")
