# `make repro` and `make test` do all the set-up themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Files of tests side by side; a worker needs some 700 MB. By default glibc gives the memory of each
# large tensor back to the system, which pages it anew for the next: a tenth of a training test.
PYTEST := MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=1073741824 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

.PHONY: setup repro test test-slow promises bench gpu lint lock clean
.DEFAULT_GOAL := repro

setup: $(VENV)/.installed

# `pip --version` fails where an environment was copied or its Python has gone; it is then made anew.
$(VENV)/.installed: requirements.lock
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed"'
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	touch $@

repro: setup  ## everything from photographs to reports/
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/dvc repro  # whose stages run the `python` that they find
	$(BIN)/python -m benchmark readme
	-@$(BIN)/python -m benchmark compare HEAD --line  # says so where there is no repository

test: setup  ## the default test suite: CPU only, offline
	$(PYTEST)

test-slow: setup  ## the long versions too
	$(PYTEST) -m "not gpu"

promises: setup  ## the default test suite; writes docs/promises.md from what it counted
	$(PYTEST) --promises=docs/promises.md  # with =, or pytest takes the page for a test

bench: setup  ## speed of networks, steps, data and metrics on this machine: reports/throughput.json
	$(BIN)/python -m benchmark bench

OUT ?= gpu-results
DEVICE ?= cuda
gpu: setup  ## eight minutes of a GPU: its tests, the selected runs, throughput -> OUT
	$(BIN)/python -m tests.support.gpu_session --device $(DEVICE) --out $(OUT)

lint: setup  ## style, types, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

lock: setup  ## pin the newest versions that pyproject.toml allows (needs uv)
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements.lock

clean:  ## remove resume states and caches; keeps results
	rm -rf models/scratch .pytest_cache .mypy_cache .ruff_cache .hypothesis
