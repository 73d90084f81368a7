# The whole contributor's interface: `make` alone lists it. Each target does its own set-up from a bare clone.

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
PIP    := $(PY) -m pip install -qq --disable-pip-version-check -c constraints.txt
PYTEST := $(PY) -m pytest

.DEFAULT_GOAL := help
.PHONY: help setup chromium app test check parity browser examples bench clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: chromium  ## install all that a contributor needs, in .venv

chromium: $(VENV)/dev.stamp  ## install a browser for the tests, where there is none
	@$(PY) -m tests.browser.chromium

app: $(VENV)/app.stamp  ## serve the studio on this machine: http://127.0.0.1:7860
	@$(PY) -u app.py

test: setup  ## the fast tests, browser included (a few minutes)
	@$(PYTEST) -m "not slow" $(ARGS)

check: $(VENV)/dev.stamp  ## format, lint, types and import contracts
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy -p sam2_core -p widgets -p app
	@$(VENV)/bin/mypy -c "$$(cat app.py)"  # as a text, because a file of that name would be the package app
	@$(VENV)/bin/lint-imports --no-cache

parity: $(VENV)/dev.stamp  ## every number against the official model, and every other slow test
	@$(PYTEST) -m "parity or slow" $(ARGS)

browser: setup  ## drive the page in headless Chromium
	@$(PYTEST) -m browser $(ARGS)

examples: $(VENV)/app.stamp  ## run every script of examples/
	@set -e; for script in examples/[0-9]*.py; do echo "$$script"; $(PY) "$$script"; done

bench: $(VENV)/dev.stamp  ## measure speed and memory on this machine
	@set -e; for name in tracking speed memory attention page widget; do echo "benchmarks.$$name"; $(PY) -m benchmarks.$$name; done

clean:  ## remove .venv and every cache
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .gradio
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up -----------------------------------------------------------------------------------------------------------

$(PY):
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.10 or later is needed, and $(PYTHON) was not found. Name yours: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or later is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name a newer one: make PYTHON=python3.12"; exit 1; }
	@echo "Making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python's venv module could not make $(VENV). On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

$(VENV)/app.stamp: pyproject.toml requirements.txt constraints.txt | $(PY)
	@echo "Installing what the studio needs (PyTorch is large: some minutes the first time)"
	@$(PIP) -r requirements.txt --editable .
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt $(VENV)/app.stamp
	@echo "Installing what tests and linters need"
	@$(PIP) -r requirements-dev.txt
	@touch $@
