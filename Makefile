# Two commands do everything on a fresh machine: `make bench` and `make test`.
# Both make .venv themselves; `make setup` does just that.

PYTHON ?= python3
BIN := .venv/bin

# Where pip has put the absolute path of this folder: Python 3.11 and 3.12 read it in the locale's
# encoding, so that with LC_ALL=C they would not start in a folder whose name is not ASCII.
RELATIVE := for file in .venv/lib/*/site-packages/*manualbp.pth; do \
	[ ! -e "$$file" ] || echo ../../../.. > "$$file"; done

.PHONY: help setup peers bench test lint lock figures discover clean

help:
	@echo 'make bench    environment, a measured run of the suite (10 minutes), the report'
	@echo 'make test     environment, lint, types, import contracts, tests'
	@echo 'make setup    the environment alone, in .venv'
	@echo 'make peers    JAX and numba besides, to run the same step in (PyTorch: see the README)'
	@echo 'make figures  the pictures that the README shows, from results/'
	@echo 'make discover results/benchmarks.json as the suite is now, after a change in benchmarks/'
	@echo 'make lock     compile requirements.txt anew'
	@echo 'make clean    remove what is generated, results excepted'

setup: .venv/.ready

.venv/.ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'manualbp needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)'; exit 1; }
	@$(PYTHON) -m venv .venv || \
		{ echo 'the venv module is missing: apt install python3-venv'; exit 1; }
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@$(RELATIVE)
	@touch $@

# The pins hold: what they do not admit is refused, not changed.
peers: setup
	$(BIN)/python -m pip install --quiet --constraint requirements.txt --editable '.[peers]'
	@$(RELATIVE)

bench: setup
	$(BIN)/manualbp run $(ARGS)

test: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest --numprocesses auto --dist loadfile

# The run that the README's picture shows; later runs may be of other workloads.
SHOWN := 21f46ac0

figures: setup
	$(BIN)/manualbp report results --commit $(SHOWN) --output report
	mkdir -p docs
	cp report/answer-exercise-CPU0-light.svg docs/answer-light.svg
	cp report/answer-exercise-CPU0-dark.svg docs/answer-dark.svg
	$(BIN)/manualbp calibrate --evaluate --machine amd-epyc-2core --output report
	cp report/power.svg docs/power.svg

# asv would register a machine in the home and in results/, so both are for this once.
discover: setup
	export HOME="$$(mktemp -d)" && \
	$(BIN)/python -m asv machine --yes --machine discover && \
	$(BIN)/python -m asv run --bench just-discover --machine discover \
		--environment existing:$(BIN)/python && \
	rm -r results/discover "$$HOME"

# Without index or download addresses: the lock names packages and versions only.
lock:
	uv pip compile --universal --python-version 3.11 --group dev --no-emit-index-url \
		--no-emit-find-links --no-annotate --no-header --output-file requirements.txt pyproject.toml

clean:
	rm -rf .venv .asv report site build dist *.egg-info
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
