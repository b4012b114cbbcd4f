"""Few images, classes and validation images, drawn by the seed alone."""

from __future__ import annotations

import random

import pytest

from mpafer.datasets.draws import draw_shots
from mpafer.datasets.items import Item

# Dassl's picks at commit c61a1b5 from items(12): (seed, shots) -> image numbers
DASSL_PICKS = {
    (1, 2): [3, 6, 1, 4, 2, 5],
    (2, 2): [0, 9, 1, 4, 5, 8],
    (3, 3): [3, 6, 0, 7, 10, 4, 2, 8, 11],
}


def items(count: int) -> list[Item]:
    return [Item(str(number), number % 3) for number in range(count)]


def pick(seed: int, shots: int) -> list[int]:
    return [int(item.impath) for item in draw_shots(items(12), [], shots, seed)[0]]


@pytest.mark.parametrize(("seed", "shots"), DASSL_PICKS)
def test_fewshot_picks_are_dassls(seed: int, shots: int) -> None:
    assert pick(seed, shots) == DASSL_PICKS[seed, shots]
    assert pick(seed + 10, shots) != DASSL_PICKS[seed, shots]


def test_all_images_where_none_are_drawn_or_there_are_fewer() -> None:
    assert pick(1, -1) == pick(1, 0) == list(range(12))
    assert sorted(pick(1, 5)) == list(range(12))  # four images a class: all of them


def test_validation_images_are_drawn_after_the_training_images_and_at_most_four_a_class(capsys) -> None:
    train, val = draw_shots(items(60), items(60), 8, 1)
    assert [len(train), len(val)] == [24, 12]
    expected = random.Random(1)
    labels = [[item for item in items(60) if item.label == label] for label in range(3)]
    assert train == [item for group in labels for item in expected.sample(group, 8)]
    assert val == [item for group in labels for item in expected.sample(group, 4)]
    assert capsys.readouterr().out == "Creating a 8-shot dataset\nCreating a 4-shot dataset\n"


def test_a_run_without_a_seed_draws_by_what_came_before() -> None:
    draws = []
    for seed in (5, 5, 6):
        random.seed(seed)
        draws.append(pick(-1, 2))
    assert draws[0] == draws[1] != draws[2]
