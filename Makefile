# `make help` lists what there is. Everything is installed into .venv, and compiled kernels and what
# other libraries keep go there, too; outside, only pip keeps the packages that it fetched, as ever.
#
# The versions come from constraints.txt. A plain `torch` on Linux brings the CUDA packages with it
# (several GB); to have the CPU build, configure pip to prefer it before the first `make`.

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN  := $(VENV)/bin
LAB  := $(VENV)/.installed-lab
DEV  := $(VENV)/.installed-dev
PIP  := $(BIN)/python -m pip --disable-pip-version-check -qq

# Unless they are set already. A bare `.venv/bin/lossmith` keeps kernels in your cache folder.
export LOSSMITH_CACHE_DIR ?= $(CURDIR)/$(VENV)/cache/lossmith
export MPLCONFIGDIR ?= $(CURDIR)/$(VENV)/cache/matplotlib
export TORCHINDUCTOR_CACHE_DIR ?= $(CURDIR)/$(VENV)/cache/inductor

.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help compare claims bench accuracy quick test dist clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

compare: $(LAB) ## which loss suits the data? (ARGS="..." goes to `lossmith compare`)
	@$(BIN)/lossmith compare $(ARGS)

claims: $(LAB) ## what two articles claim, on real data
	@$(BIN)/lossmith claims $(ARGS)

bench: $(LAB) ## speed against torch's own losses, side by side
	@$(BIN)/lossmith bench $(ARGS)

accuracy: $(LAB) ## every formula against 60-digit arithmetic
	@$(BIN)/lossmith accuracy $(ARGS)

quick: $(DEV) ## lint, types and the tests nearest to what changed since main (ARGS="--list")
	$(BIN)/python tools/quick.py $(ARGS)

test: $(DEV) ## lint, format, types and tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/stubtest lossmith --allowlist tests/house/stubtest.txt --mypy-config-file pyproject.toml
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -q $(ARGS)

dist: | $(BIN)/python ## build sdist and wheel, check both, try the wheel in a new environment
	$(BIN)/python tools/distribution.py

clean: ## remove .venv, caches and build output
	rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps make a second call quick; a change of pyproject.toml or constraints.txt installs again.
$(LAB): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing lossmith and its laboratory into $(VENV); the first time takes minutes ..."
	@$(PIP) install --constraint constraints.txt --editable '.[lab]'
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing lossmith, its laboratory and the checks into $(VENV); the first time takes minutes ..."
	@$(PIP) install --constraint constraints.txt --editable '.[lab,dev]'
	@touch $(LAB) $@

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
	    echo "There is no '$(PYTHON)' here. Lossmith needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." >&2; \
	    exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Lossmith needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12 ..." >&2; \
	    exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	    echo "'$(PYTHON) -m venv' failed. On Debian and Ubuntu it needs the package python3-venv: apt install python3-venv" >&2; \
	    exit 1; }
