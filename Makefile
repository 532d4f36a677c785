# `make demo` and `make test` are the two commands of the README; both install what they need into .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := demo
export MPLBACKEND := Agg

.PHONY: demo test test-slow test-chaos lint types format install clean-demo schema

install: $(STAMP)

$(STAMP): requirements.txt requirements-dev.txt constraints.txt setup.py scripts/install.sh
	bash scripts/install.sh "$(PYTHON)" "$(VENV)"
	touch $(STAMP)

demo: $(STAMP)
	bash scripts/demo.sh "$(BIN)/python" "$(DEMO)"

test: lint types
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow and not chaos" -n 2 --dist loadfile

test-chaos: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m chaos

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m "slow and not chaos"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schema: $(STAMP)
	$(BIN)/python -m dmdnet schema -o options/options.schema.json

clean-demo:
	rm -rf $(DEMO) datasets/demo_faces experiments/train_dmdnet_demo results/test_dmdnet_demo
