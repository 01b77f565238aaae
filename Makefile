# make demo    the whole product on real models, in minutes (ARGS=--fast for a short one)
# make test    every test (ARGS=tests/serving for some)      make lint    style and types
# Each makes .venv by itself and installs into it again only when pyproject.toml or constraints.txt changed.

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: demo test lint clean

demo: $(INSTALLED)
	$(BIN)/mergeladder demo $(ARGS)

# All but the whole-product runs side by side; those one after another, as they are many processes themselves. There is
# one process, of one thread, more than cores: many tests wait for a clock or a connection.
test: $(INSTALLED)
ifeq ($(ARGS),)
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses $$(($$(nproc) + 1)) --dist worksteal --ignore tests/e2e
	$(BIN)/pytest tests/e2e
else
	$(BIN)/pytest $(ARGS)
endif

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "MergeLadder needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,lint]'
	@touch $@

clean:
	rm -rf .venv
