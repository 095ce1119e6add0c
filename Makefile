SHELL := /bin/bash
PYTHON ?= python3
EXPERIMENT ?= experiments/four_scenarios.yaml
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help install grid study plan status report dashboard bench docs test lint format lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  EXPERIMENT=path/to/file.yaml chooses the experiment (default: $(EXPERIMENT))"
	@echo "  ARGS='--jobs 1 --set seeds=[0]' passes options on"

install: .venv/installed  ## create the environment (.venv) and install the locked versions

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
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

dashboard: install  ## open a page that compares the experiments and their runs, live
	$(BIN)/transfer-lab dashboard $(ARGS)

bench: install  ## how fast the lab is, against a plain Lightning script; writes reports/bench/
	$(BIN)/python -m benchmarks $(ARGS)

docs: install  ## build the documentation into docs/_build/html
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	$(BIN)/python -m docs.reference
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going docs docs/_build/html

test: install  ## run the tests
	$(BIN)/python -m pytest $(ARGS)

lint: install  ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install  ## put the code into its format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: install  ## write constraints.txt from what is installed
	$(BIN)/python -m pip freeze --exclude-editable | grep -E '^[A-Za-z0-9._-]+==' > constraints.txt

clean:  ## remove the environment and caches; runs/ and reports/ stay
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis *.egg-info
	find transfer_lab benchmarks tests -name __pycache__ -type d -prune -exec rm -rf {} +
