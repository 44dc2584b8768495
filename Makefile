# The commands of this project; `make help` lists them. All that is needed beforehand is make and
# Python 3.11 or newer: each command sets up what it uses, once, in $(VENV).

PYTHON  ?= python3
VENV    ?= .venv
WORKERS ?= auto
ARGS    ?=

BIN := $(VENV)/bin
RUN := $(BIN)/python -m

# One thread of linear algebra for each test process: more of them would only fight over the cores.
SINGLE := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

# What has been installed into $(VENV) is remembered in stamp files, older than pyproject.toml when
# that has changed.
BASE   := $(VENV)/.installed-base
DEV    := $(VENV)/.installed-dev
PARITY := $(VENV)/.installed-parity
DOCS   := $(VENV)/.installed-docs

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help mnist test parity docs unit lint types rooms format stubs bench clean

##@ Use

mnist: $(BASE) ## Set up, and train a classifier of handwritten digits (ARGS="--model lenet")
	@$(BIN)/chainrule train mnist $(ARGS)

##@ Develop

test: lint types rooms unit ## Set up, and run every check: style, types, rooms, tests with coverage

parity: $(PARITY) ## Install PyTorch, and hold every op, layer and optimizer against it
	@$(SINGLE) $(RUN) pytest tests/parity -n $(WORKERS) -p no:cacheprovider $(ARGS)

docs: $(DOCS) ## Build the documentation into site/: pages that need no server and no network
	@NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --strict --quiet $(ARGS)
	@CHAINRULE_SITE=site $(RUN) pytest tests/docs/test_built_site.py --quiet -p no:cacheprovider
	@echo "site/index.html"

unit: $(DEV) ## The tests alone, with coverage (ARGS="--no-cov -k layer_norm")
	@$(SINGLE) $(RUN) pytest --ignore=tests/parity -n $(WORKERS) --cov --cov-report=term $(ARGS)

lint: $(DEV) ## Lint, and check the formatting
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .

types: $(DEV) ## Check the types, strictly
	@$(BIN)/python tools/write_stubs.py --check
	@$(RUN) pyright --pythonpath $(BIN)/python

rooms: $(DEV) ## Check that every module imports only the floors below it
	@$(BIN)/lint-imports --no-logo --no-cache

format: $(DEV) ## Format the code, and mend what the linter can mend
	@$(RUN) ruff check --fix-only --quiet .
	@$(RUN) ruff format .

stubs: $(DEV) ## Write down for type checkers which ops are methods of Tensor
	@$(BIN)/python tools/write_stubs.py

bench: $(PARITY) ## Measure against PyTorch, on this machine
	@for script in benchmarks/[a-z]*.py; do \
	    name=$$(basename "$$script" .py); \
	    echo "== $$name"; \
	    $(RUN) "benchmarks.$$name" $(ARGS) || exit 1; \
	done

clean: ## Remove what the commands above made, but for trained runs
	@rm -rf .venv build dist site htmlcov .coverage .coverage.* \
	    .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

##@ Help

help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
	    /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	    /^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\nSettings\n'
	@printf '  %-16s %s\n' 'PYTHON=$(PYTHON)' 'the Python that the environment is made with' \
	    'VENV=$(VENV)' 'where the environment is' 'WORKERS=$(WORKERS)' 'test processes' \
	    'ARGS=$(ARGS)' 'more arguments for the command'

# ---- the environment ---------------------------------------------------------------------------

$(BIN)/pip:
	@command -v '$(PYTHON)' >/dev/null || { \
	    echo "make: '$(PYTHON)' is not here. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python" >&2; \
	    exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "make: chainrule needs Python 3.11 or newer, and '$(PYTHON)' is $$('$(PYTHON)' --version 2>&1)." >&2; \
	    echo "      Name another: make PYTHON=python3.12" >&2; \
	    exit 1; }
	@'$(PYTHON)' -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "make: '$(PYTHON)' lacks the modules venv and ensurepip." >&2; \
	    echo "      On Debian and Ubuntu: sudo apt install python3-venv" >&2; \
	    exit 1; }
	@echo "Setting up $(VENV) ..."
	@'$(PYTHON)' -m venv '$(VENV)'

$(BASE): pyproject.toml | $(BIN)/pip
	@echo "Installing chainrule ..."
	@$(RUN) pip install --quiet --disable-pip-version-check --editable '.[images]'
	@touch $@

$(DEV): pyproject.toml | $(BIN)/pip
	@echo "Installing chainrule and the tools that check it ..."
	@$(RUN) pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(BASE)

$(PARITY): pyproject.toml | $(DEV)
	@echo "Installing PyTorch ..."
	@$(RUN) pip install --quiet --disable-pip-version-check --editable '.[parity]'
	@$(BIN)/python -c 'import torch'
	@touch $@

$(DOCS): pyproject.toml | $(DEV)
	@echo "Installing what builds the documentation ..."
	@$(RUN) pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@
