# Everything a developer runs. `make help` reads the comments behind the targets.

PYTHON ?= python3
BASE ?= $(shell git rev-parse --quiet --verify main || git rev-parse --quiet --verify origin/main || echo HEAD)
ARGS ?=
IDENTITY_REST_ADDRESS ?= 127.0.0.1:8080

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup run demo migrate test coverage mutants check fresh contract lint types imports bench generate format lock clean

define title
@printf '\n== %s\n' "$(1)"
endef

##@ Start here

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@printf '\nSettings are IDENTITY_... variables: docs/settings.md\n'

setup: $(READY) ## make .venv with .venv/bin/identity in it; the others do it when needed

run: setup ## start the service on SQLite with its HTTP door, and say what to try next
	@IDENTITY_REST_ADDRESS=$(IDENTITY_REST_ADDRESS) $(BIN)/identity serve

demo: setup ## start a throw-away service and walk a real client through it
	@$(BIN)/identity demo

migrate: setup ## bring the schema of the database up to date
	@$(BIN)/identity migrate $(ARGS)

##@ Test

# What was compiled once serves all the processes that the tests start, whatever the surroundings say of bytecode.
test: setup ## run the tests; ARGS="-k refresh" runs some of them
	$(call title,Tests)
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

# What a tracer holds is no leak: the test that looks for leaks is left out.
coverage: setup ## measure which branches of domain/, crypto/ and rpc/ the tests take; fails under 95 %
	$(call title,Coverage)
	@rm -f .coverage .coverage.*
	@PYTHONDONTWRITEBYTECODE= $(BIN)/coverage run -m pytest -n 2 --dist worksteal \
		--deselect tests/property/test_resources.py $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report
	@$(BIN)/python scripts/branches.py

mutants: setup ## break tokens, throttles and sessions in one place at a time, and see whether their tests notice
	$(call title,Mutants)
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python scripts/mutants.py $(ARGS)

check: fresh contract lint types imports test ## everything that must hold before a commit, in this order

fresh: setup ## compare generated/ with what protos/ gives
	$(call title,Generated files are fresh)
	@$(BIN)/python scripts/generate.py --check
	@$(BIN)/python scripts/tables.py --check

contract: setup ## lint and format of the protos, and what they would break for the clients of BASE (main)
	$(call title,The contract is well-formed and breaks nobody)
	@$(BIN)/python scripts/protodeps.py
	@$(BIN)/buf lint
	@$(BIN)/buf format --diff --exit-code protos
	@git show $(BASE):generated/descriptors.binpb > .protodeps/base.binpb
	@$(BIN)/buf breaking protos --against .protodeps/base.binpb

lint: setup ## lint and layout of the Python code
	$(call title,Lint and layout)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: setup ## check the types
	$(call title,Types)
	@$(BIN)/mypy

imports: setup ## who may import whom
	$(call title,Imports go one way)
	@$(BIN)/lint-imports

bench: setup ## measure RPCs on both databases, sign-ins, and the bare cost of the hash
	@$(BIN)/python -m benchmarks $(ARGS)

##@ Write

generate: setup ## write generated/ from protos/, and the tables of docs/ from the code
	@$(BIN)/python scripts/generate.py
	@$(BIN)/python scripts/tables.py

format: setup ## lay out protos and Python code
	@$(BIN)/buf format --write protos
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

lock: setup ## write requirements*.txt from pyproject.toml; ARGS=--upgrade takes newer versions
	@scripts/lock.sh $(ARGS)

clean: ## remove what tools leave behind; .venv, and your data in .identity, stay
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* htmlcov
	@find src tests scripts generated -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment: made once, and again when a requirement changes.

$(READY): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Identity needs Python 3.11 or newer, and $(PYTHON) is not. Try: make setup PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
		echo "$(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV) from requirements-dev.txt; this takes a few minutes."
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
