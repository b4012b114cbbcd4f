"""What gets installed: everything under `mpafer`, nothing beside it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.version import Version

from mpafer.cli import VERBS

FOLDERS = ("mpafer", "trainers", "datasets", "configs")
IMPORTS = "import mpafer.configs, mpafer.datasets, mpafer.trainers, mpafer.clip, mpafer.engine, mpafer.sketch"


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    """A wheel built from a copy, so that no build folder is left in the checkout."""
    repo, copy = Path(__file__).parent.parent.parent, tmp_path_factory.mktemp("source")
    for name in FOLDERS:
        shutil.copytree(repo / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "LICENSE"):
        shutil.copy(repo / name, copy)
    # setuptools builds wheels by itself since 70.1; with an older one or none, pip fetches it for this build
    recent = find_spec("setuptools") and Version(version("setuptools")) >= Version("70.1")
    offline = ["--no-build-isolation", "--no-index"] if recent else []
    run(sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--wheel-dir", "wheels", *offline, cwd=copy)
    (file,) = (copy / "wheels").glob("mpafer-*.whl")
    return zipfile.ZipFile(file)


def test_only_one_top_level_name(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"mpafer"}


def test_wheel_holds_every_file_of_the_package(wheel, repo):
    """Forgotten data files are the usual fault of a wheel."""
    expected = set()
    for folder in FOLDERS:
        for file in (repo / folder).rglob("*"):
            if file.suffix in (".py", ".yaml", ".safetensors"):
                inside = file.relative_to(repo).as_posix()
                expected.add(inside if folder == "mpafer" else f"mpafer/{inside}")
    names = set(wheel.namelist())
    assert expected <= names, sorted(expected - names)
    assert any(name.endswith("descriptions.yaml") for name in expected), "the control: data files were looked for"


def test_the_bare_source_says_how_to_install(repo, tmp_path):
    """As in the checkout's folder after `pip install .`, where it hides what is installed."""
    shutil.copytree(repo / "mpafer", tmp_path / "mpafer", ignore=shutil.ignore_patterns("__pycache__"))
    code = "import sys; sys.meta_path[:] = [f for f in sys.meta_path if '__editable__' not in str(f)]; import mpafer"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert "is the source, which works only where it is installed as such: pip install -e ." in done.stderr


def test_wheel_imports_without_the_checkout(wheel, tmp_path):
    wheel.extractall(tmp_path)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {IMPORTS}; print(mpafer.trainers.__file__)"
    assert run(sys.executable, "-c", code, cwd=tmp_path).strip().startswith(str(tmp_path))


@pytest.mark.parametrize("place", ["elsewhere", "checkout"])
def test_installed_names(repo, tmp_path, place):
    """In the tests' own environment: often an editable install, where finder and current folder mix."""
    cwd = tmp_path if place == "elsewhere" else repo
    code = f"import importlib.util as u; print(*(u.find_spec(f'mpafer.{{n}}').origin for n in {FOLDERS[1:]}))"
    for name, origin in zip(FOLDERS[1:], run(sys.executable, "-c", code, cwd=cwd).split(), strict=True):
        assert origin.endswith(f"/{name}/__init__.py")


def test_nothing_of_ours_answers_to_foreign_names(repo, tmp_path):
    code = "import importlib.util as u; print(*(getattr(u.find_spec(n), 'origin', '') for n in names))"
    ours = [f"{repo}/{name}/__init__.py" for name in FOLDERS[1:]]
    origins = run(sys.executable, "-c", f"names = {FOLDERS[1:]}; {code}", cwd=tmp_path).split()
    assert not set(ours) & set(origins)
    inside = run(sys.executable, "-c", f"names = {FOLDERS[1:]}; {code}", cwd=repo).split()
    assert inside == ours, "the control: with the checkout as current folder they are found"


HELP = """
import runpy, sys
commands = sys.argv[1:]
import mpafer, mpafer.cli
for words in [*([command] for command in commands), *(["mpafer", verb] for verb in mpafer.cli.VERBS)]:
    command, *_ = sys.argv = [*words, "--help"]
    try:
        start = runpy.run_path if command.endswith(".py") else runpy.run_module
        start(command, run_name="__main__")
    except SystemExit as ended:
        assert not ended.code, command
    assert "torch" not in sys.modules, words
import mpafer.trainers
assert "torch" in sys.modules, "the control"
"""


def test_help_does_not_wait_for_torch(repo, tmp_path):
    """Of any command there is: torch takes seconds to import."""
    places = [path for folder in FOLDERS for path in (repo / folder).rglob("*.py")]
    commands = [path.relative_to(repo) for path in places if '__name__ == "__main__"' in path.read_text("utf-8")]
    modules = [".".join(path.with_suffix("").parts).removesuffix(".__main__") for path in commands]
    modules = [name if name.split(".")[0] == "mpafer" else f"mpafer.{name}" for name in modules]
    assert {"mpafer", "mpafer.predict", "mpafer.datasets", "mpafer.plug"} <= set(modules)
    printed = run(sys.executable, "-c", HELP, str(repo / "train.py"), *modules, cwd=tmp_path)
    assert printed.lower().count("usage: ") == len(modules) + 1 + len(VERBS)
