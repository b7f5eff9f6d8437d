# Needs Python 3.11 or newer. `make demo` is for a newcomer; `make test` is for contributors and installs torch.
PYTHON ?= python3
VENV ?= .venv

.PHONY: demo serve page lint test test-lowest docs docs-serve notebook check-container check-rembg release

demo: $(VENV)/.predict
	$(VENV)/bin/jointmat demo -o out

serve: $(VENV)/.serve
	$(VENV)/bin/jointmat serve

# The server's page without a server: a folder for any web host, in which the model runs in the browser.
page: $(VENV)/.develop
	npm install --silent --ignore-scripts --no-package-lock --no-audit --no-fund --prefix export/node
	$(VENV)/bin/python -m export page -o out/page

lint: $(VENV)/.develop
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# Not `--dist loadfile`: with it, a process that dies is given the same test again and again.
test: $(VENV)/.develop
	$(VENV)/bin/python -m pytest --numprocesses auto --dist worksteal

# Everything that runs without torch, on the lowest versions that pyproject.toml allows.
LOWEST_EXTRAS = serve video foreground heic openvino ray
test-lowest:
	$(PYTHON) -m venv --clear $(VENV)-lowest
	$(PYTHON) .ci/lowest $(LOWEST_EXTRAS) > $(VENV)-lowest/lowest.txt
	cd $(VENV)-lowest && bin/python -m pip install --quiet --constraint lowest.txt --editable \
		"$(CURDIR)[$(shell echo $(LOWEST_EXTRAS) | tr ' ' ','),test]"
	$(VENV)-lowest/bin/python -m pytest --numprocesses auto --dist worksteal

docs: $(VENV)/.develop
	$(VENV)/bin/mkdocs build --strict --site-dir out/site

docs-serve: $(VENV)/.develop
	$(VENV)/bin/mkdocs serve

notebook: $(VENV)/.develop
	$(VENV)/bin/jupyter nbconvert --to notebook --execute --output-dir out docs/notebook.ipynb

# The Dockerfile's steps without Docker; needs root.
check-container:
	.ci/check-container

# rembg itself with the file that we export for it.
check-rembg: $(VENV)/.develop
	PYTHON=$(VENV)/bin/python .ci/check-rembg

# Wheel, sdist, and what they depend on: licences of all packages and an SBOM. Uploads nothing.
release:
	rm -rf dist
	$(PYTHON) -m venv --clear $(VENV)-release
	$(VENV)-release/bin/python -m pip install --quiet '.[release]'
	$(VENV)-release/bin/python -m build --outdir dist .
	$(VENV)-release/bin/twine check --strict dist/*
	$(PYTHON) -m venv --clear $(VENV)-release/user
	$(VENV)-release/user/bin/python -m pip install --quiet "$$(echo dist/*.whl)[serve,video,foreground]"
	rm $(VENV)-release/user/lib/python*/site-packages/jointmat-*/direct_url.json  # this machine's path, which an SBOM tells
	$(VENV)-release/bin/pip-licenses --python $(VENV)-release/user/bin/python --from mixed --with-urls \
		--format markdown --output-file dist/licences.md
	$(VENV)-release/bin/cyclonedx-py environment --output-reproducible --output-file dist/sbom.json \
		$(VENV)-release/user/bin/python

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
