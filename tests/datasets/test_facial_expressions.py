"""FacialExpressions: a split by person, and what is odd in its list."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest
from support.miniatures_fer import CLASSES
from support.miniatures_lists import LEGEND, make_facial_expressions

from mpafer.datasets.__main__ import main
from mpafer.datasets.facial_expressions import FacialExpressions, person
from mpafer.datasets.items import MissingDataError


def names(data) -> set[str]:
    return {Path(datum.impath).name for datum in data}


@pytest.mark.parametrize("base", ["facial_expressions", "."])
def test_the_clone(cfg, tmp_path, caplog, base):
    make_facial_expressions(tmp_path, base)
    with caplog.at_level(logging.INFO, "mpafer.datasets"):
        data = FacialExpressions(cfg)
    assert data.classnames == list(CLASSES[:7]) and not data.val and data.train_x and data.test
    found = names(data.train_x) | names(data.test)
    assert len(data.train_x) + len(data.test) == len(found), "each picture once"
    left_out = {"Avinash_30.jpg", "Ricky_Ray_0001.jpg"} | {row[1] for row in LEGEND if row[2] == "contempt"}
    assert found == {row[1] for row in LEGEND} - left_out
    left = {
        "of contempt": 12, "with two labels": 1, "copies under another name": 1, "not listed": 1,
        "lines repeat an image and its label": 1,
    }  # fmt: skip
    assert data.skipped == left
    told = next(record for record in caplog.records if "not used" in record.getMessage())
    assert told.levelno == logging.INFO and all(f"{n} {reason} (first: " in caplog.text for reason, n in left.items())
    assert "1 with two labels (first: " in caplog.text and "images/Avinash_30.jpg)" in caplog.text
    assert re.search(r"split by person, \d+ to train on, \d+ to test", caplog.text)
    truth = {row[1]: row[2].lower() for row in LEGEND}
    assert all(datum.classname == truth[Path(datum.impath).name] for datum in [*data.train_x, *data.test])


def test_nobody_is_in_both_parts(cfg, tmp_path):
    make_facial_expressions(tmp_path)
    data = FacialExpressions(cfg)
    trained, tested = ({person(name) for name in names(part)} for part in (data.train_x, data.test))
    assert not trained & tested and len(trained) > len(tested) > 2
    assert person("Ricky_Ray_0001.jpg") == "Bart_Hendricks", "two names of one picture"
    assert person("Lin_Yi-fu_0001.jpg") == "Lin_Yi-fu" and person("Dileep_7.jpg") == "Dileep"
    (tmp_path / "facial_expressions/images" / sorted(names(data.train_x))[0]).unlink()
    with pytest.raises(MissingDataError, match="1 of the 134 images"):
        FacialExpressions(cfg)
    cfg.SEED = 7
    make_facial_expressions(tmp_path)
    assert names(FacialExpressions(cfg).test) == names(data.test), "the split is the set's, not the run's"


def test_parts_that_are_missing(cfg, tmp_path):
    with pytest.raises(MissingDataError, match=r"FacialExpressions was not found(.|\n)*git clone"):
        FacialExpressions(cfg)
    folder = make_facial_expressions(tmp_path)
    (folder / "images").rename(folder / "pictures")
    with pytest.raises(MissingDataError, match=r"legend\.csv is there, but not its images"):
        FacialExpressions(cfg)


def test_the_doctor_finds_nothing_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr(FacialExpressions, "published", {})
    make_facial_expressions(tmp_path)
    target = tmp_path / "doctor.json"
    with pytest.raises(SystemExit) as end:
        main(["check", "facial_expressions", "--root", str(tmp_path), "--json", str(target)])
    report = json.loads(target.read_text())
    assert not end.value.code and [finding["kind"] for finding in report["findings"]] == ["left_out", "unlisted"]
    assert report["skipped"]["of contempt"] == 12 and report["skipped"]["with two labels"] == 1
    (unlisted,) = report["findings"][1]["cases"]
    assert Path(unlisted["files"][0]).name == "Nobody_0001.jpg", "and nothing that another reason names"
