# make run   a route reflector at work, live in this terminal (make run SECONDS=10 ends by itself)
# make test  everything there is to test
# make check formatting, lint and types

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# How many test processes; the machine's cores unless said otherwise.
JOBS ?= auto
# Given to pytest: make test ARGS="tests/test_config.py -k syntax"
ARGS ?=

.PHONY: help run test check format daemons clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

run: $(VENV)/.run
	@$(BIN)/reflector demo $(if $(SECONDS),--seconds "$(SECONDS)")

test: $(VENV)/.test daemons
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(ARGS)

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict

format: $(VENV)/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The daemons of the interoperability tests: Debian's packages, unpacked into .cache and never installed.
# Without root those tests are skipped; in CI a daemon that is missing is a failure.
daemons: $(VENV)/.test
	@if [ "$$(id -u)" = 0 ]; then $(BIN)/python tests/interop/daemons.py install || [ -z "$$CI" ]; \
	 else echo "not root: tests with real daemons are skipped"; [ -z "$$CI" ]; fi

clean:
	rm -rf $(VENV) .cache build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov

# --- The virtual environment, made anew when the dependencies change ------------------------------------

$(VENV)/.run: pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[cli]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[cli,test,dev]'
	@touch $@ $(VENV)/.run

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	 { echo "Python 3.11 or later is needed: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	 { rm -rf $(VENV); echo "python3 -m venv does not work: on Debian, apt install python3-venv" >&2; exit 1; }
