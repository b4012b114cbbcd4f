"""What the pages point to is there: links, headings, files, modules. Nothing is looked up in a network."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

REPO = Path(__file__).parent.parent.parent
PAGES = sorted([*REPO.glob("*.md"), *(REPO / "docs").glob("*.md"), REPO / "benchmarks/NOTES.md"])
LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
# A file of the repository, not of some checkout: nothing of a path stands before it.
FILE = re.compile(
    r"(?<![\w/$.}\-])((?:benchmarks|configs|datasets|docs|mpafer|scripts|tests|tools|trainers)"
    r"/[\w./-]*\.(?:py|sh|md|yaml|json|png|safetensors))\b"
)
CHECKOUT_FILE = re.compile(r"\$CONFIGS/([\w./-]+\.yaml)")
MODULE = re.compile(r"python -m (mpafer(?:\.\w+)*)")


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken(page: Path) -> list[str]:
    """What a page names and is not there."""
    text = page.read_text("utf-8")
    missing = [name for name in FILE.findall(text) if not (REPO / name).exists()]
    missing += [name for name in CHECKOUT_FILE.findall(text) if not (REPO / "configs/dassl" / name).exists()]
    missing += [name for name in MODULE.findall(text) if find_spec(name) is None]
    for link in LINK.findall(text):
        name, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in headings(target)):
            missing.append(link)
    return missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_everything_a_page_names_is_there(page):
    assert broken(page) == []


def test_what_is_not_there_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A title, with `code`\n[a](#a-title-with-code) [b](#no-title) [c](none.md) [d](https://example.org/none) "
        "`trainers/coop.py` `trainers/none.py` `$CONFIGS/datasets/rafdb.yaml` `$CONFIGS/datasets/none.yaml`\n"
        "python -m mpafer.report, python -m mpafer.none\n"
    )
    assert broken(page) == ["trainers/none.py", "datasets/none.yaml", "mpafer.none", "#no-title", "none.md"]
