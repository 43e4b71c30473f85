# Everything a developer does, by one word each. A bare machine needs make and Python 3.11 or newer, and Chromium,
# Firefox and WebKit for the tests of the dashboard, no more.

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON := $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,\
            $(shell $(name) -c 'import sys; sys.version_info >= (3, 11) and print("$(name)")' 2>/dev/null)))
PYTEST := $(BIN)/python -m pytest
# Packages that the JavaScript client is tested with; it needs none itself.
NPM    := tests/client/node_modules/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test test-15 test-long bench lint format clean

help:  ## Say what can be done
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo  ## Run it all: Postgres, payment traffic, the relay, the dashboard
	@$(BIN)/relay demo

test: $(VENV)/.dev $(NPM)  ## Run the test suite on PostgreSQL 18 from a wheel
	@$(PYTEST)

test-15: $(VENV)/.dev  ## Run what touches Postgres on Debian's PostgreSQL 15
	@RELAY_TEST_POSTGRES=15 $(PYTEST) tests/sql tests/integration

test-long: $(VENV)/.dev  ## Run the long property test too: 100,000 events, crashes, reconnects
	@$(PYTEST) -m long

bench: $(VENV)/.dev  ## Measure, and print the tables of docs/benchmarks.md
	@$(BIN)/python -m bench

lint: $(VENV)/.dev  ## Check style, types, and that imports only go up the house
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "make format would change these files" >&2; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(VENV)/.dev  ## Format the code
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

clean:  ## Remove the environment and what tools left behind
	@rm -rf $(VENV) $(dir $(NPM)) dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# One environment; the demo needs less of it than development does.
$(VENV)/.demo $(VENV)/.dev: $(VENV)/.%: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing what '$*' needs into $(VENV)" >&2
	@PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
	  $(BIN)/python -m pip install --quiet --editable '.[$*]'
	@touch $@

# Exact versions, and no lock file: it would record where they were fetched from.
$(NPM): tests/client/package.json
	$(if $(shell command -v node && command -v npm),,$(error node and npm are missing: apt-get install nodejs npm))
	@echo "installing what the tests of the JavaScript client need" >&2
	@cd $(dir $<) && npm install --no-package-lock --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

# $(error) rather than a failing command: it is one line, and the last one.
$(BIN)/python:
	$(if $(PYTHON),,$(error Python 3.11 or newer is missing: apt-get install python3))
	$(if $(shell $(PYTHON) -c 'import ensurepip, venv; print("yes")' 2>/dev/null),,\
	  $(error the venv module of Python is missing: apt-get install python3-venv))
	@$(PYTHON) -m venv $(VENV)
