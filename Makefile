# The two commands: `make run` and `make test`. Everything else serves them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
export PORT

.PHONY: run demo-event test lint lock format benchmarks clean help

benchmarks: $(VENV)/.development
	@$(BIN)/python -m benchmarks all

help:
	@echo "make run         the hub with its worker and a demo, on http://localhost:$(PORT)"
	@echo "make demo-event  post one more signed event to it"
	@echo "make test        every check and every test, on real servers"
	@echo "make lint        ruff, mypy, import-linter, makemigrations --check"
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

lock: $(VENV)/.development
	$(BIN)/pip-compile -q --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o requirements.txt requirements.in
	$(BIN)/pip-compile -q --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o requirements-dev.txt requirements-dev.in

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
