# One command does it. `make demo` and `make test` are all that a new machine needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STORE ?= runs
SEED ?= 1
ROUNDS ?= 3
JOBS ?= 2

.PHONY: help setup demo test test-fast chaos check numerics manifests drawing format bench bench-study bench-overhead lock clean

help:  ## This list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.up-to-date  ## Create .venv and install what constraints.txt locks (nothing to do when it is up to date)

# torch first and by its exact version: a range would draw the newest build with its CUDA packages.
# Modules are compiled at the end, on all cores: pip would do it on one. Left to the first import, each of Ray's processes
# would do it again where Python may not write beside its modules.
$(VENV)/.up-to-date: constraints.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "scmmlab needs Python 3.11 or newer, found %d.%d. Hint: make setup PYTHON=python3.11" % sys.version_info[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (a few minutes the first time)..."
	@$(BIN)/python -m pip install --no-compile --quiet --disable-pip-version-check -c constraints.txt setuptools torch==2.13.0
	@$(BIN)/python -m pip install --no-compile --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation --editable '.[dev]'
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	@touch $@

demo: setup  ## The main job on real EEG: an ablation grid on Ray, recorded in MLflow, with its report
	@$(BIN)/scmmlab run ablations/demo.yaml --store $(STORE)

# One test a core: a third Ray that starts on two cores slows the others down. JOBS=0: one after the other, in one process.
# Coverage counts what pytest's own processes run, and so not what commands and Ray's workers run beside them. Slipcover
# counts it for nothing, where coverage.py would take the fast tests a third more time.
test: setup  ## All tests, and the share of the code's lines that they reach
	@$(BIN)/python -m slipcover --source $(CURDIR)/platform/scmmlab --json --out .coverage.json \
		-m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder
	@$(BIN)/python -c "import json; print('Line coverage, without what commands and Ray\'s workers run:', \
		json.load(open('.coverage.json'))['summary']['percent_covered_display'], '%')"

test-fast: setup  ## The tests that need no cluster and no server
	@$(BIN)/python -m pytest -m "not slow"

chaos: setup  ## Kill everything that can be killed, at moments drawn from SEED, for ROUNDS rounds (ONLY=names: those alone)
	@$(BIN)/python tests/chaos/chaos.py --seed $(SEED) --rounds $(ROUNDS) $(addprefix --only ,$(ONLY))

check: setup  ## Format, lint, types, import contracts, spelling
	@$(BIN)/ruff format --check platform tests docs/draw_imports.py
	@$(BIN)/ruff check platform tests docs/draw_imports.py
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/codespell platform ablations search_spaces cluster docs *.md
	@$(BIN)/python docs/draw_imports.py --check
	@$(BIN)/python -m scmmlab.config.code_digest || { echo "Hint: make numerics BASE=COMMIT shows that results are still those of COMMIT and writes the digest down; else raise NUMERICS_VERSION."; exit 1; }

numerics: setup  ## Show that results are those of BASE=COMMIT (minutes), and write down the digest of the code
	@$(BIN)/python tests/known_code.py $(BASE)

manifests: setup  ## Check cluster/kubernetes against Kubernetes' schemas and KubeRay's (SCHEMAS=DIR: another version's)
	@$(BIN)/python tests/cluster/manifests.py $(SCHEMAS)

drawing: setup  ## Draw who imports whom into docs/architecture.md
	@$(BIN)/python docs/draw_imports.py

format: setup  ## Put the code in its form
	@$(BIN)/ruff format platform tests docs/draw_imports.py
	@$(BIN)/ruff check --fix platform tests docs/draw_imports.py

bench: setup  ## The rates of this machine, as JSON; TORCHEEG=an interpreter that has torcheeg compares with that too
	@$(BIN)/scmmlab bench --json $(if $(TORCHEEG),--torcheeg $(TORCHEEG))

bench-study: setup  ## A study of 24 cells as a process a cell, under Ray Tune, and in packs (minutes)
	@$(BIN)/scmmlab bench --json --study

bench-overhead: setup  ## What the execution layer takes for a trial that does nothing
	@$(BIN)/scmmlab bench --json --overhead 100 1000 10000

lock: setup  ## Write the versions that are installed to constraints.txt
	@{ echo "# Every version that scmmlab is tested with; pip reads it with -c. To renew it: make lock."; \
	   $(BIN)/python -m pip list --format=freeze | grep -iv '^scmmlab==\|^pip==' | sed 's/^torch==.*/torch==2.13.0/' | sort -f; } > constraints.txt.new
	@mv constraints.txt.new constraints.txt

clean:  ## Remove the environment and what the tools left (not the runs)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
