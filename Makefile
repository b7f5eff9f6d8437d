# Two commands for a newcomer, from a fresh clone to a result. Needs Python 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv

.PHONY: demo test lint

demo: $(VENV)/.predict
	$(VENV)/bin/jointmat demo -o out

test: $(VENV)/.develop
	$(VENV)/bin/python -m pytest

lint: $(VENV)/.develop
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

$(VENV)/.predict: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.develop: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --editable '.[dev]'
	touch $@
