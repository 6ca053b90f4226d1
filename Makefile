# Verbs for people and for CI. Every one sets up .venv and .venv-aws first, which takes no time when
# nothing changed. ARGS passes options on: make test ARGS="-k weekday -x"
MAKEFLAGS += --no-builtin-rules --no-print-directory
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0
# Where it is set, every process of the tests would compile the project anew.
unexport PYTHONDONTWRITEBYTECODE
ARGS ?=

.PHONY: help setup check test demo start bench build docs lock fix clean
.DEFAULT_GOAL := help

help: ## Say what each target does.
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## Make .venv and .venv-aws from the locked requirements.
	@tools/setup.sh

check: setup ## Lint, type-check, and check the template.
	ruff check
	ruff format --check
	mypy
	cfn-lint
	sam validate --lint --region us-east-1

test: setup ## Run the tests: unit, contract, and local against the embedded AWS.
	python -m pytest -n 3 $(ARGS)

demo: setup ## Deploy to the embedded AWS, sign people in, show what the rules did.
	python -m local demo $(ARGS)

start: setup ## Deploy to the embedded AWS and stay up until Ctrl-C.
	python -m local start $(ARGS)

bench: setup ## Measure; writes docs/performance.md and docs/charges.json.
	python -m bench $(ARGS)
	python -m bench.charges

build: setup ## Build what `sam deploy` uploads.
	sam build $(ARGS)

docs: setup ## Write the generated pages and the layer's catalogue again.
	python -m tools.catalogue
	python -m tools.docs

LOCK = uv pip compile --quiet --universal --python-version 3.13 --generate-hashes \
	--no-emit-index-url --no-annotate --custom-compile-command "make lock" $(ARGS)

lock: setup ## Lock the requirements again; ARGS=--upgrade takes new versions.
	$(LOCK) requirements/bootstrap.in -o requirements/bootstrap.txt
	$(LOCK) requirements/emulator.in -o requirements/emulator.txt
	$(LOCK) requirements/layer-core.in -o layers/core/requirements.txt
	$(LOCK) requirements/layer-net.in -o layers/net/requirements.txt
	$(LOCK) requirements/layer-mongodb.in -o layers/mongodb/requirements.txt
	$(LOCK) -c layers/net/requirements.txt requirements/layer-sqlserver.in -o layers/sqlserver/requirements.txt
	$(LOCK) requirements/layer-xml.in -o layers/xml/requirements.txt
	$(LOCK) requirements/dev.in -o requirements/dev.txt

fix: setup ## Format, and repair what the linter can.
	ruff check --fix
	ruff format

clean: ## Remove what can be made again: builds, caches, the state of the embedded AWS.
	rm -rf .aws-sam .local .mypy_cache .pytest_cache .ruff_cache .hypothesis dist
	find . -name '.venv*' -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
