PYTHON ?= python3
BIN := .venv/bin
# processes that run the tests
WORKERS ?= 2

.PHONY: demo test check lint types bench fuzz thorough docs figures clean

demo: .venv/ready
	$(BIN)/xbarsim demo --out demo-results

test: .venv/ready
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

# with -j2, types beside the tests
check: lint docs types test

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: .venv/ready
	$(BIN)/mypy

bench: .venv/ready
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only -o addopts= -q --benchmark-json .benchmarks.json
	$(BIN)/python tests/benchmarks/table.py .benchmarks.json

# changes of every kind of file, option and argument: how many, and from which seed
COUNT ?= 1000
SEED ?= 1

fuzz: .venv/ready
	XBARSIM_FUZZ_COUNT=$(COUNT) XBARSIM_FUZZ_SEED=$(SEED) $(BIN)/python -m pytest tests/fuzz

thorough: .venv/ready
	$(MAKE) fuzz COUNT=5000
	$(BIN)/python -m pytest tests/xbarsim/crossbar tests/xbarsim/cli/test_entry.py \
		tests/xbarsim/experiments/test_same_rows.py --hypothesis-profile thorough
	$(BIN)/python -m pytest tests/xbarsim/campaigns/test_dask_hosts.py \
		tests/xbarsim/papers/test_adversarial.py --hypothesis-profile thorough

docs: .venv/ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# the pages' figures anew, by the pages' own snippets
figures: .venv/ready
	$(BIN)/python -m docs.figures

# a new pip finds versions in a fifth of the time; modules are compiled by who first imports them, few of all
.venv/ready: setup.cfg constraints.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --upgrade pip
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv site demo-results .pytest_cache .mypy_cache .ruff_cache .hypothesis
