# Two commands for everybody:  make demo   make test
# More for contributors:       make check  make oldest  make format  make docs  make site
#                        make benchmark  make release  make clean

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# Each library that computes is kept to what any x86-64 processor has, and to one thread: other roundings than a new one's.
OLDEST := ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_CBWR=COMPATIBLE OPENBLAS_CORETYPE=Nehalem \
  NPY_DISABLE_CPU_FEATURES="X86_V3 X86_V4" OMP_NUM_THREADS=1

# Tests of one file share what they made, so that a file stays in one process; real weights in more than four want memory.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test check oldest format docs site benchmark release clean

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
	$(PYTEST) -rs

check: $(STAMP) ## format check, lint and types only
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Without the tests of numbers that take longest: slow ones, those of rows that a model invents, and all of them once more
# for a strategy that is made up.
oldest: $(STAMP) ## the tests of numbers again, computed as on the oldest processors
	$(OLDEST) $(PYTEST) -m 'not integration and not slow' tests/backbones tests/contract tests/export tests/features \
	  tests/inspection tests/strategies tests/training --ignore tests/strategies/language/test_synthetic.py \
	  --ignore tests/contract/test_a_new_strategy.py

format: $(STAMP) ## bring the code into the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP) ## write again what is made from the code: the tree of modules, the command reference, tables of names
	$(BIN)/python docs/generate.py

site: $(STAMP) ## write the reference of the Python interface from the docstrings, to open in a browser
	$(BIN)/python -W error docs/site.py

benchmark: $(STAMP) ## measure the quick tables anew, and say which others are out of date
	$(BIN)/python benchmarks/living.py --renew

release: $(STAMP) ## build the wheel and the source archive into dist/, and check what an index would refuse
	rm -rf build dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m twine check --strict dist/*

clean: ## remove the environment, caches, builds; runs/ and downloaded weights stay
	rm -rf .venv build dist site .pytest_cache .ruff_cache .mypy_cache .hypothesis src/*.egg-info
	find src tests examples benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +
