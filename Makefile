# `make` alone lists what there is. PORT, SOCKET_PORT and LOCAL_DIR in the environment move `make run`.

VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip --disable-pip-version-check --no-input -qq

.DEFAULT_GOAL := help
.PHONY: help setup run test bench lint format dashboards clean lock
.DELETE_ON_ERROR:

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(VENV)/.run-stamp ## Make .venv and install what the platform needs

run: $(VENV)/.run-stamp ## Start the whole platform; Ctrl-C stops it
	@exec $(PYTHON) platform/manage.py up

test: $(VENV)/.dev-stamp ## Run the tests, against servers that they start themselves
	@exec $(PYTHON) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

bench: $(VENV)/.bench-stamp ## Measure the ledger beside other audit libraries (some minutes; ROUNDS=9)
	@exec $(PYTHON) tests/benchmarks/audit.py --rounds $(or $(ROUNDS),9)

lint: $(VENV)/.dev-stamp ## Check style, types and the arrows between packages
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

format: $(VENV)/.dev-stamp ## Format the code
	$(VENV)/bin/ruff check --fix-only
	$(VENV)/bin/ruff format

dashboards: $(VENV)/.dev-stamp ## Write the dashboards' JSON anew from dashboards/boards
	@$(PYTHON) -m dashboards.boards

clean: ## Remove .venv and caches; .local with its data stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The locked files name no host, hold for every platform; dev.txt has all of run.txt, and bench.txt all of dev.txt.
# image.txt has what of run.txt the image needs: all but the embedded servers.
lock: ## Lock the dependencies anew (needs uv)
	uv pip compile pyproject.toml --extra platform --extra embedded --group build \
		--universal --python-version 3.11 --generate-hashes --no-header -o requirements/run.txt
	uv pip compile pyproject.toml --extra platform -c requirements/run.txt \
		--universal --python-version 3.11 --generate-hashes --no-header -o requirements/image.txt
	uv pip compile pyproject.toml --extra platform --extra embedded --group dev -c requirements/run.txt \
		--universal --python-version 3.11 --generate-hashes --no-header -o requirements/dev.txt
	uv pip compile pyproject.toml --extra platform --extra embedded --group dev --group bench -c requirements/dev.txt \
		--universal --python-version 3.11 --generate-hashes --no-header -o requirements/bench.txt

# The newest Python that really runs: a version manager's shim may be there and fail.
$(PYTHON):
	@for python in python3.14 python3.13 python3.12 python3.11 python3; do \
		if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Making $(VENV) with $$("$$python" --version) …"; \
			exec "$$python" -m venv --clear $(VENV); \
		fi; \
	done; \
	echo "No Python 3.11 or newer with venv and ensurepip was found. Install one (Debian: apt install python3-venv)." >&2; \
	exit 1

$(VENV)/.run-stamp: requirements/run.txt pyproject.toml | $(PYTHON)
	@echo "Installing what the platform needs …"
	@$(PIP) install --no-compile --require-hashes -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

# dev.txt has all of run.txt, so this does for both.
$(VENV)/.dev-stamp: requirements/dev.txt requirements/run.txt pyproject.toml | $(PYTHON)
	@echo "Installing what the platform and its tests need …"
	@$(PIP) install --no-compile --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $(VENV)/.run-stamp $@

# bench.txt has all of dev.txt.
$(VENV)/.bench-stamp: requirements/bench.txt requirements/dev.txt requirements/run.txt pyproject.toml | $(PYTHON)
	@echo "Installing the libraries to measure beside the ledger …"
	@$(PIP) install --no-compile --require-hashes -r requirements/bench.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $(VENV)/.run-stamp $(VENV)/.dev-stamp $@
