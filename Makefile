# make demo         analyse the bundled sample, or IMAGE=path
# make app          the app in the browser
# make test         the whole test suite
# make check        format, lint, types, tests; the import contracts are among the tests
# make wheel-check  the wheel, installed by itself, answers the sample
#
# A machine without a GPU can get the small CPU build of PyTorch:
#   make test TORCH_INDEX=https://download.pytorch.org/whl/cpu

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
QUIET_PIP := -m pip --disable-pip-version-check
PIP := $(BIN)/python $(QUIET_PIP)
CODE := src tests benchmarks docs
TOO_OLD := Python 3.11 or later is needed: make PYTHON=python3.12
# What an environment must be able to do; after an upgrade of the system's Python it may not.
CAN := import sys, pip; print(sys.version_info >= (3, 11))
SOUND := $(shell test -x $(BIN)/python && $(BIN)/python -c '$(CAN)' 2>&1)

WHEEL := build/wheel
FROM_WHEEL := import dermassist, sys; assert dermassist.__file__.startswith(sys.prefix), dermassist

.PHONY: demo app test check format lint types contracts wheel-check bench docs lock clean unsound

demo: $(VENV)/.runtime
	$(BIN)/dermassist analyze $(if $(IMAGE),"$(IMAGE)",--sample) --out demo

app: $(VENV)/.app
	$(BIN)/dermassist app

test: $(VENV)/.everything
	$(BIN)/pytest

check: format lint types test

format: $(VENV)/.everything
	$(BIN)/ruff format --check $(CODE)

lint: $(VENV)/.everything
	$(BIN)/ruff check $(CODE)

types: $(VENV)/.everything
	$(BIN)/mypy

contracts: $(VENV)/.everything
	$(BIN)/lint-imports

# What a person gets who installs it: no extra, and nothing of this folder. It is no part of check,
# for it asks the index for packages at every run.
wheel-check: $(BIN)/activate
	rm -rf $(WHEEL)
	$(PIP) wheel --quiet --no-deps --wheel-dir $(WHEEL) .
	$(BIN)/python -m venv $(WHEEL)/env
	$(WHEEL)/env/bin/python $(QUIET_PIP) install --quiet -c constraints.txt $(WHEEL)/*.whl
	cd $(WHEEL) && env/bin/python -c '$(FROM_WHEEL)' && env/bin/dermassist doctor
	cd $(WHEEL) && env/bin/dermassist analyze --sample --out answer

bench: $(VENV)/.everything
	$(BIN)/python benchmarks/speed.py

docs: $(VENV)/.everything
	$(BIN)/python -m docs.generate

# Of all that makes an environment the activation scripts come last: where one is, it is whole.
$(BIN)/activate: $(if $(filter True,$(SOUND)),,unsound)
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "$(TOO_OLD)")'
	$(PYTHON) -m venv --clear $(VENV)

$(VENV)/.runtime: $(BIN)/activate pyproject.toml constraints.txt
	$(PIP) install --quiet -c constraints.txt -e .
	touch $@

$(VENV)/.app: $(BIN)/activate pyproject.toml constraints.txt
	$(PIP) install --quiet -c constraints.txt -e '.[app]'
	touch $@ $(VENV)/.runtime

# PyTorch is installed first and pinned, so that nothing else chooses a build for it. An index of
# its own gives it alone: what it depends on need not be there in the pinned versions.
$(VENV)/.everything: $(BIN)/activate pyproject.toml constraints.txt
	$(PIP) install --quiet -c constraints.txt $(if $(TORCH_INDEX),--no-deps --index-url $(TORCH_INDEX)) torch
	$(PIP) install --quiet -c constraints.txt -e '.[app,train,dev]'
	touch $@ $(VENV)/.runtime $(VENV)/.app

# Of ONNX Runtime no version this new is built for Macs with Intel processors.
NO_INTEL_MAC := ; sys_platform != "darwin" or platform_machine == "arm64"

lock: $(VENV)/.everything
	$(PIP) freeze --exclude-editable --exclude pip --exclude setuptools \
	  | sed -e 's/+cpu$$//' -e '/^onnxruntime==/s/$$/ $(NO_INTEL_MAC)/' > constraints.txt

clean:
	rm -rf $(VENV) demo dist build
