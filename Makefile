# The two commands: `make run` and `make test`. Everything else serves them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
export PORT

.PHONY: run demo-event test lint lock format openapi fuzz benchmarks clean help

benchmarks: $(VENV)/.development
	@$(BIN)/python -m benchmarks all

help:
	@echo "make run         the hub with its worker and a demo, on http://localhost:$(PORT)"
	@echo "DEMO=0 make run  the same without the demo: an empty hub that leads to its first delivery"
	@echo "make demo-event  post one more signed event to it"
	@echo "make test        every check and every test, on real servers"
	@echo "make lint        ruff, mypy, import-linter, makemigrations --check"
	@echo "make openapi     write docs/openapi.yaml, the schema of the API, from the code"
	@echo "make fuzz        try the API with requests that schemathesis makes up, for many minutes"
	@echo "make benchmarks  measure this machine: benchmarks/README.md"
	@echo "make lock        write requirements*.txt anew from requirements*.in"

run: $(VENV)/.run-time
	@$(BIN)/python -m terra_hub.local run

demo-event: $(VENV)/.run-time
	@$(BIN)/python -m terra_hub.local demo-event

test: $(VENV)/.development
	@scripts/test

lint: $(VENV)/.development
	@scripts/lint

format: $(VENV)/.development
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

openapi: $(VENV)/.development
	@scripts/openapi

fuzz: $(VENV)/.development
	@HUB_FUZZ_EXAMPLES=$${HUB_FUZZ_EXAMPLES:-50} HUB_TEST_DATABASE=sqlite $(BIN)/python -m pytest -q -p no:cacheprovider tests/fuzz

lock: $(VENV)/.development
	$(BIN)/pip-compile -q --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o requirements.txt requirements.in
	$(BIN)/pip-compile -q --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o requirements-dev.txt requirements-dev.in
	$(BIN)/pip-compile -q --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o requirements-services.txt requirements-services.in

$(VENV)/bin/python:
	@PYTHON=$(PYTHON) scripts/venv $(VENV)

$(VENV)/.run-time: requirements.txt | $(VENV)/bin/python
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.development: requirements.txt requirements-dev.txt | $(VENV)/bin/python
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt -r requirements-dev.txt
	@touch $@ $(VENV)/.run-time

clean:
	rm -rf $(VENV) .run .mypy_cache .ruff_cache .pytest_cache .hypothesis
