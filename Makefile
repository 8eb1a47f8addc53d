# Every target sets up what it needs in .venv, once, and repeats cheaply.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ENGINE ?= $(shell command -v podman || command -v docker)
IMAGE ?= localhost/converge-base

.PHONY: help demo test test-docker test-slow soak check docs image demo-container size bench bench-all bench-fleet clean

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

$(STAMP): pyproject.toml requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.txt -r requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: $(STAMP) ## converge, break and repair a scratch directory
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh profiles/demo/run

test: $(STAMP) ## run all tests; those in containers need podman or docker
	$(BIN)/pytest -m "not slow"

test-docker: $(STAMP) ## run the tests in containers with docker, where podman is there too
	CONVERGE_TEST_ENGINE=docker $(BIN)/pytest -m "not slow" tests/container

test-slow: $(STAMP) ## run the long sweeps
	$(BIN)/pytest -m slow

soak: $(STAMP) ## let the resident agent run 10,000 times
	CONVERGE_SOAK_RUNS=10000 $(BIN)/pytest -m slow tests/daemon/test_soak.py

check: $(STAMP) ## lint, types, import contract, tables of the docs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/attributes.py --check  # else: make docs

docs: $(STAMP) ## write the tables of attributes in docs/kinds
	@$(BIN)/python docs/attributes.py

# podman's own format of images has no HEALTHCHECK.
image: ## build the base image with podman or docker
	$(ENGINE) build $(if $(findstring podman,$(notdir $(ENGINE))),--format docker) -f Dockerfile.base -t $(IMAGE) .

demo-container: image ## walk through a real container of the image
	sh docker/demo $(ENGINE) $(IMAGE)

size: image ## what the image adds to its base, by part
	$(PYTHON) bench/size.py --image $(IMAGE)

bench-fleet: $(STAMP) ## 500 agents, one change; needs root, nginx, etcd and podman or docker
	$(BIN)/python bench/fleet.py --image $(IMAGE)

bench: $(STAMP) ## what a run costs when nothing differs
	$(BIN)/python bench/noop.py

bench-all: ## every figure of docs/performance.md beside the peers, in containers, and its plot
	$(PYTHON) -m venv $(VENV)-bench
	$(VENV)-bench/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.txt
	PYTHON=$(VENV)-bench/bin/python bench/run --json bench/figures.json --plot docs/performance.svg

clean: ## remove what the targets made here
	rm -rf $(VENV) $(VENV)-bench .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	$(if $(ENGINE),-$(ENGINE) image prune --force --filter label=converge.test)
