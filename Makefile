# Every target starts from a bare clone: it uses the active virtual environment, or else makes .venv, installs once, runs.
# The commands that may be run on their own stand in README.md.

VENV := $(or $(VIRTUAL_ENV),.venv)
BIN := $(VENV)/bin
# What is installed in the environment: this clone, with these requirements.
STAMP := $(VENV)/.mpafer-installed
INSTALLED := $(CURDIR) $(shell cat setup.py pyproject.toml | cksum)

.PHONY: demo test check bench install

demo: install  ## train MPA-FER on drawn faces, beside zero-shot and CoOp
	PYTHON="$(BIN)/python" bash scripts/demo.sh

test: install  ## ARGS="-m slow" and the like go to pytest
	"$(BIN)/pytest" $(ARGS)

check: install  ## types and imports are checked over the package as it is installed
	"$(BIN)/ruff" check .
	"$(BIN)/ruff" format --check .
	"$(BIN)/python" tools/staged.py mypy
	"$(BIN)/python" tools/staged.py lint-imports

bench: install  ## ARGS="--rows step --upstream DIR" and the like
	"$(BIN)/python" benchmarks/run.py $(ARGS)

install:
	@test -x "$(BIN)/python" || python3 -m venv "$(VENV)"
	@test "$$(cat "$(STAMP)" 2>/dev/null)" = "$(INSTALLED)" || \
	  { "$(BIN)/python" -m pip install -e ".[dev]" && echo "$(INSTALLED)" > "$(STAMP)"; }
