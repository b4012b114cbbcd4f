"""The file that a checkout's CLIP is given: made again where it is damaged."""

from __future__ import annotations

from pathlib import Path

import torch

from mpafer.dassl.repair import _openai_file


def test_a_damaged_file_is_made_again(own_cache: Path) -> None:
    path = _openai_file("tiny")
    whole, inode = torch.load(path, weights_only=True), path.stat().st_ino
    assert _openai_file("tiny") == path and path.stat().st_ino == inode
    size = path.stat().st_size
    for damage in ("bits", "cut"):
        data = bytearray(path.read_bytes())
        data[size // 2] ^= 255
        path.write_bytes(data if damage == "bits" else data[: size // 2])
        assert _openai_file("tiny") == path
        again = torch.load(path, weights_only=True)
        assert all(torch.equal(again[key], value) for key, value in whole.items())
