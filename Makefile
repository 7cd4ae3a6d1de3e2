# The same verbs everywhere: people, CI and the README call these.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RECIPE ?= recipes/sample.toml
BENCHES ?= dedup filters fuzz index line_edits quality quality_pii scale substrings whatif
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: install run test search check fix bench docs clean

install: $(STAMP)

# torch first: its pin takes the CPU build where there is one, and no open range can replace it afterwards
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) torch==2.13.0
	$(PIP) torch==2.13.0 -e '.[dev]'
	touch $@

run: install
	$(BIN)/gristmill run $(RECIPE)

test: install
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

# the same laws on examples that no run has seen
search: install
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m hypothesis --hypothesis-profile=search

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/pyright

fix: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python docs/tree.py
	$(BIN)/python docs/recipe_reference.py

bench: install
	for name in $(BENCHES); do $(BIN)/python bench/$$name.py --quick || exit 1; done

docs: install
	$(PIP) -e '.[docs]'
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) .gristmill site build .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
