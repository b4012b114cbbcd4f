"""What the pages point to is there: links, headings, files, modules. Nothing is looked up in a network."""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.commands import invoke

from mpafer.cli import VERBS

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
    for link in LINK.findall(code_and_text(page)[1]):
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


PLANNED = ("run", "compare", "ablate", "sweep", "cross")  # verbs that have a plan


def code_and_text(page: Path) -> tuple[str, str]:
    """What a page has for the shell, and the page without any code."""
    text = page.read_text("utf-8")
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```", text, re.M | re.S)
    return "\n".join(blocks), re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S)


def commands() -> list[str]:
    """The lines that start the command, each once, without comments."""
    lines = (line.strip() for page in PAGES for line in code_and_text(page)[0].replace("\\\n", " ").splitlines())
    return sorted({shlex.join(shlex.split(line, comments=True)) for line in lines if line.startswith("mpafer ")})


def can_be_planned(line: str) -> bool:
    """Not of files that are not here, which test_extend.py and test_verbs.py have, nor of CLIP's weights."""
    return line.split()[1] in PLANNED and not re.search(r"output/|--import|\$|ablate k rafdb", line)


def test_the_pages_have_every_verb_but_no_other() -> None:
    named = {line.split()[1] for line in commands()}
    assert named <= set(VERBS) and named >= {*PLANNED, "check", "predict", "plug"}


@pytest.mark.parametrize("line", filter(can_be_planned, commands()))
def test_every_plan_of_the_pages_can_be_made(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grid.yaml").write_text("OPTIM.LR: [0.002, 0.0035]\n")
    planned = invoke(*shlex.split(line)[1:], "--plan")
    assert planned.startswith("mpafer train ") and "# started" in planned
