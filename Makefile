# Commands for a newcomer, from a fresh clone to a result. Needs Python 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv

.PHONY: demo serve test lint check-container

demo: $(VENV)/.predict
	$(VENV)/bin/jointmat demo -o out

serve: $(VENV)/.serve
	$(VENV)/bin/jointmat serve

test: $(VENV)/.develop
	$(VENV)/bin/python -m pytest --numprocesses auto --dist loadfile

lint: $(VENV)/.develop
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# The Dockerfile's steps without Docker; needs root.
check-container:
	.ci/check-container

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.predict: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.serve: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --editable '.[serve]'
	touch $@

$(VENV)/.develop: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --editable '.[dev]'
	touch $@
