# A fresh clone needs nothing but Python 3.11 or newer: each target first makes the virtual environment it runs in.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOWEST ?= .venv-lowest
PEERS ?= .venv-peers
PARALLEL ?= --numprocesses auto --maxprocesses 4 --dist loadfile  # files side by side: networks are torch's to spread

.PHONY: help install demo test test-all test-lowest check format attack bench bench-answers bench-quick bench-peers bench-cluster bench-vast results clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

install: $(STAMP)  ## make the virtual environment; make it again when the dependencies change

demo: $(STAMP)  ## run the main job on pictures that need no download
	@$(BIN)/thawline demo

test: $(STAMP)  ## run the fast tests
	@$(BIN)/pytest $(PARALLEL) -m "not slow"

test-all: $(STAMP)  ## run every test
	@$(BIN)/pytest $(PARALLEL)

test-lowest:  ## run the fast tests on the lowest versions that pyproject.toml admits, in an environment of their own
	@test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	@sed -nE 's/^  "([A-Za-z0-9_-]+)>=([0-9.]+)",$$/\1==\2/p' pyproject.toml > $(LOWEST)/lowest.txt
	@$(LOWEST)/bin/python -m pip install --no-input --disable-pip-version-check --quiet \
	    -c $(LOWEST)/lowest.txt -e ".[dev]"
	@$(LOWEST)/bin/pytest $(PARALLEL) -m "not slow"

check: $(STAMP)  ## check lint, format and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(STAMP)  ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

attack: $(STAMP)  ## run what strangers bring and what attackers try: the figures of docs/reliability.md
	@$(BIN)/pytest $(PARALLEL) tests/strangers
	@$(BIN)/python benchmarks/attack/files.py
	@$(BIN)/python benchmarks/attack/bitflips.py
	@$(BIN)/python benchmarks/attack/disk.py
	@$(BIN)/python benchmarks/attack/kills.py
	@$(BIN)/python benchmarks/attack/cluster_kills.py
	@$(BIN)/python benchmarks/attack/http_requests.py

bench: $(STAMP)  ## measure what is to be fast and record it in benchmarks/RESULTS.md (it says how long: an hour or two)
	@$(BIN)/python benchmarks/run_all.py

bench-answers: $(STAMP)  ## measure how far answers can be trusted, from intervals to planted errors; record it (hours)
	@$(BIN)/python benchmarks/run_all.py --group answers

bench-quick: $(STAMP)  ## see in minutes that every benchmark runs, on drawn pictures; nothing is recorded
	@$(BIN)/python benchmarks/run_all.py --quick

bench-cluster: $(STAMP)  ## measure a simulated cluster, tuning and extraction by several workers; record them
	@$(BIN)/python benchmarks/run_all.py --group cluster

bench-vast: $(STAMP)  ## measure fits of more rows than memory holds, and ranking on a sample; record them (an hour)
	@$(BIN)/python benchmarks/run_all.py --group vast

bench-peers: $(STAMP)  ## measure Thawline beside what people use today, in an environment of theirs (an hour and a half)
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@echo "bench-peers: the peers' packages (PyTorch is large: minutes on a slow connection)"
	@$(PEERS)/bin/python -m pip install --no-input --disable-pip-version-check --quiet \
	    -r benchmarks/peers/requirements.txt
	@$(BIN)/python benchmarks/run_all.py --group peers

results: $(STAMP)  ## write benchmarks/RESULTS.md and its plots from the records
	@$(BIN)/python benchmarks/write_results.py

clean:  ## remove what tools leave behind; virtual environments stay
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "install: $(PYTHON) is $$($(PYTHON) --version 2>&1); Thawline needs Python 3.11 or newer." \
	       "Name one: make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "install: a new virtual environment in $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "install: Thawline and its dependencies (PyTorch is large: minutes on a slow connection)"
	@$(BIN)/python -m pip install --no-input --disable-pip-version-check --progress-bar off \
	    -c constraints.txt -e ".[dev]" \
	  | awk '/^(Collecting|Installing|Successfully)/ {print "  " substr($$0, 1, 116); fflush()}'
	@touch $@
