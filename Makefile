# Everything a fresh clone needs is Python 3.11 or newer: each target first makes the virtual environment it runs in.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PARALLEL ?= --numprocesses auto --maxprocesses 4 --dist loadfile  # files side by side: networks are torch's to spread

.PHONY: help install demo test test-all check format bench clean

help:  ## say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

install: $(STAMP)  ## make the virtual environment, once and again when the dependencies change

demo: $(STAMP)  ## the main job on pictures that need no download
	@$(BIN)/thawline demo

test: $(STAMP)  ## the tests that take seconds
	@$(BIN)/pytest $(PARALLEL) -m "not slow"

test-all: $(STAMP)  ## every test
	@$(BIN)/pytest $(PARALLEL)

check: $(STAMP)  ## what needs no run: lint, format, types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(STAMP)  ## put the code into its one format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(STAMP)  ## the numbers of benchmarks/RESULTS.md, measured here
	@$(BIN)/python benchmarks/main_job.py
	@$(BIN)/python benchmarks/thaw.py

clean:  ## remove what tools leave behind; the virtual environment stays
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "install: $(PYTHON) is $$($(PYTHON) --version 2>&1); Thawline needs Python 3.11 or newer." \
	       "Name one: make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "install: a new virtual environment in $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "install: Thawline and what it stands on (PyTorch is large: minutes on a slow line)"
	@$(BIN)/python -m pip install --no-input --disable-pip-version-check --progress-bar off \
	    -c constraints.txt -e ".[dev]" \
	  | awk '/^(Collecting|Installing|Successfully)/ {print "  " substr($$0, 1, 116); fflush()}'
	@touch $@
