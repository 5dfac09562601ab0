# make run        a route reflector at work, live in this terminal (make run SECONDS=10 ends by itself)
# make test       everything there is to test
# make check      formatting, lint and types
# make coverage   branch coverage of the layers without I/O
# make agreement  both decoders of UPDATEs on EXAMPLES=1000000 messages
# make bench      the benchmarks beside the daemons (root), over an hour; make bench QUICK=1: two minutes
# make bench-api  announcing and watching from Python, beside ExaBGP and os-ken: five minutes
# make fuzz       every fuzz target for SECONDS=60 seconds (ARGS="--inputs 500": at most so many inputs)
# make conformance  what our speaker and four daemons make of malformed messages (root); PUBLISH=1: into docs
# make simulate   thousands of seeds of whole speakers with faults (SEEDS=0:5000)
# make docs       the documentation, into build/docs
# make hostile    hostile peers while honest clients run and are checked, ten million prefixes among them: half an hour
# make soak       a thousand clients that come and go for ten minutes, then hostile peers for MINUTES=60 minutes, with
#                 churn and restarts, a line a minute and a verdict
# make endurance  100,000 sessions, stalled peers and watches, millions of attribute sets: half an hour
# make scale      5000 clients and a restart that all notice at once; a million routes, and every report: ten minutes

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES := $(shell nproc 2>/dev/null || echo 2)
EXAMPLES ?= 1000000
# Given to pytest: make test ARGS="tests/test_config.py -k syntax"
ARGS ?=

.PHONY: help run test check format coverage agreement fuzz simulate bench bench-api conformance docs hostile soak endurance scale daemons clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

run: $(VENV)/.run
	@$(BIN)/reflector demo $(if $(SECONDS),--seconds "$(SECONDS)")

test: $(VENV)/.test daemons
	$(BIN)/python -m pytest -n $(CORES) --dist loadgroup $(ARGS)

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict

format: $(VENV)/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Tests of the shell and the commands, and long ones, add nothing to what the others reach.
UNCOUNTED := agreement peer speaker listener stream turn demo reflector_cli fuzz router_model mrt pcap \
 cli_decode cli_encode message_forms bench simulate exabgp example_programs documentation alerts altering birdc \
 birdwatcher capture_file collector deploy doors drain editing editor ending explain_live guard_service healthy \
 hostile http_guard log looking_glass looking_glass_page messages_of_a_peer metrics outlet places privileges remote \
 report_fib reports restraint room scale secrets show_tables slices supervisor top

coverage: $(VENV)/.test
	$(BIN)/python -m pytest -q -n $(CORES) -m "not interop" $(UNCOUNTED:%=--ignore=tests/test_%.py) --cov

agreement: $(VENV)/.test
	$(BIN)/python -m bgp.testing.agreement --examples $(EXAMPLES) --jobs $(CORES)

fuzz: $(VENV)/.test
	$(BIN)/python -m fuzz run --jobs $(CORES) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) $(ARGS)

simulate: $(VENV)/.test
	$(BIN)/python -m bgp.testing simulate --seeds $(or $(SEEDS),0:5000) --jobs $(CORES)

# Goes on where it was interrupted; FRESH=1 begins anew.  TABLE="file ..." also feeds a table of your own, files of
# UPDATEs or MRT; PUBLISH=1 puts the results into docs; ARGS are those of `python -m bench run`.
bench: $(VENV)/.bench daemons
	@PYTHONPATH=.:tests $(BIN)/python -m bench run $(if $(QUICK),--size quick --out build/bench-quick) \
	 $(foreach file,$(TABLE),--table "$(file)") $(if $(FRESH),--fresh) $(if $(PUBLISH),--publish) $(ARGS)

conformance: $(VENV)/.test daemons
	@PYTHONPATH=.:tests/interop $(BIN)/python -m conformance run $(ARGS)
	@$(if $(PUBLISH),PYTHONPATH=.:tests/interop $(BIN)/python -m conformance publish)

# How fast programs announce and hear, beside ExaBGP and os-ken, whose packages go into .cache/api.
bench-api: $(VENV)/.bench
	@PYTHONPATH=.:tests $(BIN)/python -m bench api $(if $(PUBLISH),--publish) $(ARGS)

docs: $(VENV)/.docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict && echo build/docs/index.html

hostile: $(VENV)/.test
	$(BIN)/python -m bgp.testing hostile --long $(ARGS)
	PYTHONPATH=.:tests $(BIN)/python tests/containment.py

soak: $(VENV)/.test
	$(BIN)/python -m tests.endurance flapping
	$(BIN)/python -m bgp.testing soak --minutes $(or $(MINUTES),60) $(ARGS)

endurance: $(VENV)/.test
	$(BIN)/python -m tests.endurance $(ARGS)

scale: $(VENV)/.test
	$(BIN)/python -m tests.endurance restart million $(ARGS)

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
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[cli]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[cli,test,dev,bench]'
	@touch $@ $(VENV)/.run

$(VENV)/.bench: pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[cli,bench]'
	@touch $@ $(VENV)/.run

$(VENV)/.docs: pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[cli,docs]'
	@touch $@ $(VENV)/.run

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	 { echo "Python 3.11 or later is needed: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	 { rm -rf $(VENV); echo "python3 -m venv does not work: on Debian, apt install python3-venv" >&2; exit 1; }
