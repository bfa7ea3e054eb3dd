# Two commands for everybody:  make demo   make test
# More for contributors:       make check  make oldest  make format  make docs  make clean

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# Each library that computes is kept to what any x86-64 processor has, and to one thread: other roundings than a new one's.
OLDEST := ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_CBWR=COMPATIBLE OPENBLAS_CORETYPE=Nehalem \
  NPY_DISABLE_CPU_FEATURES="X86_V3 X86_V4" OMP_NUM_THREADS=1

.DEFAULT_GOAL := help
.PHONY: help demo test check oldest format docs clean

help: ## say what the targets do
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## /make \1|/' | awk -F'|' '{printf "%-12s %s\n", $$1, $$2}'

# Made again whenever the list of packages changes. An environment whose Python is too old, or gone, is replaced.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "handful needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | head -n 1)." >&2; \
	  echo "Install one and name it, for example: make $(or $(MAKECMDGOALS),test) PYTHON=python3.12" >&2; exit 1; }
	@rm -f $(STAMP)
	@test ! -e .venv || $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

demo: $(STAMP) ## get the default weights, tune the example texts, images and sounds, say where the reports are
	$(BIN)/handful models get
	$(BIN)/handful tune examples/tickets.csv --out runs/tickets
	$(BIN)/handful tune examples/digits --out runs/digits
	$(BIN)/handful tune examples/words --out runs/words
	@echo
	@echo "The reports, one file each, to open in a browser:"
	@for name in tickets digits words; do echo "  $(CURDIR)/runs/$$name/report.html"; done

test: check ## format check, lint, types and all tests
	$(BIN)/python -m pytest -rs

check: $(STAMP) ## format check, lint and types only
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Without the tests of numbers that take longest: those of rows that a model invents.
oldest: $(STAMP) ## the tests of numbers again, computed as on the oldest processors
	$(OLDEST) $(BIN)/python -m pytest -m 'not integration' tests/backbones tests/contract tests/export tests/features \
	  tests/inspection tests/strategies tests/training --ignore tests/strategies/language/test_synthetic.py

format: $(STAMP) ## bring the code into the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP) ## write again what is made from the code: the README's tree, the command reference, tables of names
	$(BIN)/python docs/generate.py

clean: ## remove the environment, caches, builds; runs/ and downloaded weights stay
	rm -rf .venv build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis src/*.egg-info
	find src tests examples benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +
