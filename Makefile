# `make demo` and `make test` do all of their set-up themselves. Variables:
#   PYTHON=/path/to/python3.13   interpreter to build the environment with (found otherwise)
#   TORCH_INDEX=URL              package index to take torch from (a CPU-only build saves 4 GB of disk)
SHELL := /bin/sh
BIN := .venv/bin
STAMP := .venv/.installed
PYTEST := $(BIN)/python -m pytest
export PYTHONUTF8 := 1

.PHONY: help env demo test test-all gpu lint docs notebooks clean

help:
	@echo "make env       build .venv with everything (about 6 GB of disk, most of it torch's CUDA libraries)"
	@echo "make demo      solve a problem with a PINN and with FEniCS, show the comparison (sets up first)"
	@echo "make test      the tests, without the slow ones (sets up first)"
	@echo "make test-all  all tests"
	@echo "make gpu       the same cells on one thread, all cores and a GPU, and a page of what came of it (sets up first)"
	@echo "make lint      formatting, lint, import contract, types"
	@echo "make docs      regenerate the generated parts of README and docs"
	@echo "make notebooks run the notebooks and write them with their outputs into build/notebooks (sets up first)"

env: $(STAMP)

$(STAMP): pyproject.toml
	@python=$$(sh scripts/find_python.sh) && echo "building .venv with $$python" && "$$python" -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@if [ -n "$(TORCH_INDEX)" ]; then $(BIN)/uv pip install --quiet --python $(BIN)/python --index-url "$(TORCH_INDEX)" torch; fi
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable ".[dev]"
	@touch $(STAMP)

demo: $(STAMP)
	@$(BIN)/python scripts/demo.py

test: $(STAMP)
	$(PYTEST) -m "not slow" -n 2

test-all: $(STAMP)
	$(PYTEST) -n 2

gpu: $(STAMP)
	@$(BIN)/sciml benchmark gpu --out runs/gpu && $(BIN)/sciml report runs/gpu

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/pyright

docs: $(STAMP)
	$(BIN)/python scripts/make_docs.py

notebooks: $(STAMP)
	$(BIN)/python scripts/make_notebooks.py

clean:
	rm -rf .venv build demo
