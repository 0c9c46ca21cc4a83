PYTHON ?= python3
BIN := .venv/bin
# processes that run the tests
WORKERS ?= 2

.PHONY: demo test check bench thorough docs figures clean

demo: .venv/ready
	$(BIN)/xbarsim demo --out demo-results

test: .venv/ready
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) docs
	$(MAKE) test

bench: .venv/ready
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only -o addopts= -q --benchmark-json .benchmarks.json
	$(BIN)/python tests/benchmarks/table.py .benchmarks.json

thorough: .venv/ready
	$(BIN)/python -m pytest tests/xbarsim/crossbar tests/xbarsim/experiments/test_same_rows.py --hypothesis-profile thorough

docs: .venv/ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# the pages' figures anew, by the pages' own snippets
figures: .venv/ready
	$(BIN)/python -m docs.figures

.venv/ready: setup.cfg constraints.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv site demo-results .pytest_cache .mypy_cache .ruff_cache .hypothesis
