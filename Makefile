SHELL := /bin/bash
PYTHON ?= python3
EXPERIMENT ?= experiments/four_scenarios.yaml
BIN := .venv/bin
IN_PARALLEL := -n auto --dist loadfile --no-loadscope-reorder
PIP := $(BIN)/python -m pip install --quiet

.DEFAULT_GOAL := help
.PHONY: help install grid study plan status report dashboard bench evidence docs test faults audit test-oldest lint types format lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  EXPERIMENT=path/to/file.yaml chooses the experiment (default: $(EXPERIMENT))"
	@echo "  ARGS='--jobs 1 --set seeds=[0]' passes options on"

install: .venv/installed-core  ## create the environment (.venv) with what a grid needs; EXTRAS=timm,ray adds
ifdef EXTRAS
	$(PIP) --constraint constraints.txt --editable '.[$(EXTRAS)]'
endif

# One stamp for each set of packages: what is asked for is added, and nothing is installed twice.
.venv/installed-core: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(PIP) --constraint constraints.txt --editable .
	@touch $@

.venv/installed-%: .venv/installed-core
	$(PIP) --constraint constraints.txt --editable '.[$*]'
	@touch $@

grid: install  ## run EXPERIMENT and write its report under reports/
	$(BIN)/transfer-lab run $(EXPERIMENT) $(ARGS)

study: install  ## the MLP-vs-CNN-vs-VGG16 study; DATA=photos runs it on photographs of your own
ifdef DATA
	$(BIN)/transfer-lab run experiments/study_photos.yaml --download --set domains.photos.root=$(DATA) $(ARGS)
else
	$(BIN)/transfer-lab run experiments/study.yaml $(ARGS)
endif

plan: install  ## say what the grid would train
	$(BIN)/transfer-lab plan $(EXPERIMENT) $(ARGS)

status: install  ## say how far the grid is
	$(BIN)/transfer-lab status $(EXPERIMENT) $(ARGS)

report: install  ## write the report on what is stored
	$(BIN)/transfer-lab report $(EXPERIMENT) $(ARGS)

dashboard: install  ## serve a page that follows running grids and compares experiments and runs
	$(BIN)/transfer-lab dashboard $(ARGS)

bench: .venv/installed-bench  ## how fast the lab is, against a plain Lightning script; writes reports/bench/
	$(BIN)/python -m benchmarks $(ARGS)

evidence: .venv/installed-photos  ## measure what the advice promises; DATA=folder/with/the/sets; writes reports/advice/
	$(BIN)/python -m benchmarks.evidence $(if $(DATA),--data $(DATA)) $(ARGS)

docs: .venv/installed-docs  ## build the documentation into docs/_build/html
	$(BIN)/python -m docs.reference
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going docs docs/_build/html

test: .venv/installed-test  ## run the tests, a process for each core; ARGS=--all runs the slow ones too
	$(BIN)/python -m pytest $(IN_PARALLEL) $(ARGS)

faults: .venv/installed-test  ## try every fault at every point; writes reports/faults/report.md
	@FAULTS=all $(BIN)/python -m pytest tests/faults $(IN_PARALLEL) --junitxml=.faults.xml $(ARGS); \
	ended=$$?; $(BIN)/python -m tests.faults.table .faults.xml reports/faults/report.md && exit $$ended

audit:  ## look for known flaws of the locked packages and of the code; needs a network
	@$(PYTHON) -m venv .venv-audit
	@.venv-audit/bin/python -m pip install --quiet bandit pip-audit \
	|| { echo "not audited: bandit and pip-audit cannot be had from here"; exit 1; }
	.venv-audit/bin/bandit --quiet --recursive transfer_lab --severity-level medium
	@.venv-audit/bin/pip-audit --strict --requirement constraints.txt --disable-pip --no-deps \
	|| { echo "not audited, or not clean: see above"; exit 1; }

test-oldest: .venv-oldest/installed  ## run them on the oldest versions that pyproject.toml allows
	.venv-oldest/bin/python -m pytest $(IN_PARALLEL) --all $(ARGS)

.venv-oldest/installed: pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --constraint constraints-oldest.txt --editable '.[test]'
	@touch $@

lint: .venv/installed-lint  ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed-types  ## check types
	$(BIN)/mypy

format: .venv/installed-lint  ## put the code into its format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: .venv/installed-dev  ## write constraints.txt from what is installed
	$(BIN)/python -m pip freeze --exclude-editable | grep -E '^[A-Za-z0-9._-]+==' > constraints.txt

clean:  ## remove the environment and caches; runs/ and reports/ stay
	rm -rf .venv .venv-oldest .venv-audit .faults.xml .pytest_cache .ruff_cache .mypy_cache .hypothesis *.egg-info
	find transfer_lab benchmarks tests -name __pycache__ -type d -prune -exec rm -rf {} +
