# make demo    analyse the bundled sample, or IMAGE=path
# make app     the app in the browser
# make test    the whole test suite
# make check   format, lint, types, import contracts, tests
#
# A machine without a GPU can get the small CPU build of PyTorch:
#   make test TORCH_INDEX=https://download.pytorch.org/whl/cpu

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CODE := src tests benchmarks

.PHONY: demo app test check format lint types contracts bench docs lock clean

demo: $(VENV)/.runtime
	$(BIN)/dermassist analyze $(if $(IMAGE),"$(IMAGE)",--sample) --out demo

app: $(VENV)/.app
	$(BIN)/dermassist app

test: $(VENV)/.everything
	$(BIN)/pytest

check: format lint types contracts test

format: $(VENV)/.everything
	$(BIN)/ruff format --check $(CODE)

lint: $(VENV)/.everything
	$(BIN)/ruff check $(CODE)

types: $(VENV)/.everything
	$(BIN)/mypy

contracts: $(VENV)/.everything
	$(BIN)/lint-imports

bench: $(VENV)/.everything
	$(BIN)/python benchmarks/speed.py

docs: $(VENV)/.everything
	$(BIN)/python docs/generate.py

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --quiet -c constraints.txt -e .
	touch $@

$(VENV)/.app: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --quiet -c constraints.txt -e '.[app]'
	touch $@ $(VENV)/.runtime

# PyTorch is installed first and pinned, so that nothing else chooses a build for it.
$(VENV)/.everything: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --quiet -c constraints.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(PIP) install --quiet -c constraints.txt -e '.[app,train,dev]'
	touch $@ $(VENV)/.runtime $(VENV)/.app

lock: $(VENV)/.everything
	$(PIP) freeze --exclude-editable --exclude pip --exclude setuptools | sed 's/+cpu$$//' > constraints.txt

clean:
	rm -rf $(VENV) demo dist build
