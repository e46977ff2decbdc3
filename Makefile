# `make demo`, `make test` and `make bench` create their own environment in .venv.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
PEERS := .venv/.peers-installed
# A file of tests stays with one of the processes.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

.PHONY: demo test check docs bench bench-quick clean

demo: $(STAMP)  ## tag the sample catalogue from a database, end to end
	@$(BIN)/python examples/demo.py

test: $(STAMP)  ## the tests that run by default
	$(PYTEST)

check: $(STAMP)  ## all that CI checks: lint, types, layers, tests, docs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST)

docs: $(STAMP)  ## write the --help pages into docs/cli.md
	$(BIN)/python docs/write_cli.py

bench: $(PEERS)  ## tagmill beside its peers on all data, written to docs/benchmarks.md: hours
	$(BIN)/python benchmarks/bench.py

bench-quick: $(PEERS)  ## the same on small sets, with fewer peers and rows: minutes
	$(BIN)/python benchmarks/bench.py --quick

$(PEERS): $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	touch $(PEERS)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

clean:
	rm -rf .venv demo
