"""The seed of an unseeded run: drawn once, kept whole, mended from the checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mpafer.common.errors import OptionError
from mpafer.engine.checkpoint import save_checkpoint
from mpafer.engine.run_seed import run_seed

TORN = [b"", b"\n", b"12", b"12x\n", b"-3\n", b"\xff\xfe\x00\n", "٣\n".encode()]


def test_it_is_drawn_once(tmp_path: Path) -> None:
    seeds = {folder: run_seed(tmp_path / folder) for folder in ("a", "b", "c")}
    assert len(set(seeds.values())) == 3 and {folder: run_seed(tmp_path / folder) for folder in seeds} == seeds
    assert (tmp_path / "a" / "seed.txt").read_text() == f"{seeds['a']}\n"
    (tmp_path / "a" / "seed.txt").write_text("12\n")
    assert run_seed(tmp_path / "a") == 12


@pytest.mark.parametrize("torn", TORN)
def test_a_torn_one_is_drawn_anew_where_nothing_was_trained(tmp_path: Path, torn: bytes, capsys) -> None:
    (tmp_path / "seed.txt").write_bytes(torn)
    seed = run_seed(tmp_path)
    assert capsys.readouterr().out == f"* {tmp_path}/seed.txt holds no whole seed: mended, it is {seed}\n"
    assert run_seed(tmp_path) == seed and not capsys.readouterr().out


@pytest.mark.parametrize("torn", [None, *TORN])
def test_a_torn_or_lost_one_is_the_checkpoints(tmp_path: Path, torn: bytes | None) -> None:
    save_checkpoint({"extra": {"seed": 123}}, tmp_path / "prompts", epoch=1)
    if torn is not None:
        (tmp_path / "seed.txt").write_bytes(torn)
    assert run_seed(tmp_path) == 123 and (tmp_path / "seed.txt").read_text() == "123\n"


def test_it_is_refused_where_nothing_tells_it(tmp_path: Path) -> None:
    path = save_checkpoint({"state_dict": torch.zeros(3)}, tmp_path / "prompts", epoch=1)
    for damage in (lambda: None, lambda: path.write_bytes(b"half")):
        damage()
        (tmp_path / "seed.txt").write_bytes(b"12")
        with pytest.raises(OptionError, match=rf"{tmp_path}/seed.txt holds no seed, and {path} .* --seed"):
            run_seed(tmp_path)
        assert (tmp_path / "seed.txt").read_bytes() == b"12"
