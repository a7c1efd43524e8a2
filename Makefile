# The verbs of this repository; `make` alone lists them. What they do stands in scripts/.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test test-unit check fmt generate bench e2e fuzz lock clean

export UV_PYTHON_DOWNLOADS := never
ARGS ?=

help: ## list the verbs
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo '  ARGS="..." is handed on: make test ARGS="-k upload"'

run: ## start everything in one process at http://localhost:8000 (FUMEHOOD_PORT, FUMEHOOD_DATA_DIR)
	@scripts/bootstrap run
	@exec .venv/bin/fumehood up $(ARGS)

test: ## run unit, integration and end-to-end tests; gets and starts the servers they need
	@scripts/bootstrap dev
	@scripts/test-servers .venv/bin/pytest $(ARGS)

test-unit: ## run the tests that need no server
	@scripts/bootstrap dev
	@.venv/bin/pytest -m "not integration and not e2e" $(ARGS)

e2e: ## run the end-to-end tests alone
	@scripts/bootstrap dev
	@scripts/test-servers .venv/bin/pytest -m e2e $(ARGS)

check: ## formatting, lint, types, import rules, scripts, generated files: as in CI and pre-commit
	@scripts/bootstrap dev
	@scripts/check $(ARGS)

fmt: ## format and fix what can be fixed by itself
	@scripts/bootstrap dev
	@.venv/bin/ruff check --fix --exit-zero --quiet .
	@.venv/bin/ruff format .

generate: ## write the files that are made from code: event contract, table of settings
	@scripts/bootstrap dev
	@scripts/generate $(ARGS)

bench: ## measure, and compare with the baselines in bench/
	@scripts/bootstrap dev
	@scripts/test-servers .venv/bin/python -m bench $(ARGS)

fuzz: ## throw bent files at every unpacker (SECONDS=60 for all together; ARGS="zip pdf": only these)
	@scripts/bootstrap dev
	@.venv/bin/python services/scanner/fuzz/harness.py $(or $(SECONDS),60) $(ARGS)

lock: ## resolve the dependencies anew and write requirements/*.lock (ARGS=--upgrade: newest versions)
	@scripts/lock $(ARGS)

clean: ## remove what was built or installed here; fumehood-data stays
	@rm -rf .venv .venv-tools build dist test-results .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
