# make demo   see real jobs cross the system and write meshes to out/
# make test   all tests
# Both set themselves up: a virtual environment in .venv, with everything in it (see ops/install.sh).
#
#   TORCH=auto|cpu|cuda|none|REQUIREMENT   which torch          PYTHON=/path/to/python   which interpreter

SHELL := /bin/bash
VENV ?= .venv
MODELS_VENV ?= .venv-models
TORCH ?= auto
export TORCH
PYTHON ?=
export PYTHON
# How many processes share the tests.
TEST_PROCESSES ?= 2
GPU_REPORT ?= out/gpu.json
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: web help demo test test-models gpu fuzz mutants check docs simulate chaos bench dev schema clean

help:  ## this text
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo:  ## a whole system for a minute: real jobs, meshes in out/; KEEP=1 leaves it up, with its page
	@ops/install.sh $(VENV) all
	@$(BIN)/pocket3d demo --out out $(if $(KEEP),--keep)
	@tests/gltf/validate.sh $(VENV)/gltf out/*.glb

test:  ## all tests; PYTEST_ARGS adds to pytest's arguments
	@ops/install.sh $(VENV) all,dev
	@$(BIN)/python -m pytest -q -n $(TEST_PROCESSES) --dist loadgroup --gltf-validator $(VENV)/gltf $(PYTEST_ARGS)

test-models:  ## upstream's own models on tiny random weights, in an environment of their own (.venv-models, 2 GB)
	@ops/install.sh $(VENV) all,dev
	@ops/test_models.sh $(VENV) $(MODELS_VENV) $(PYTEST_ARGS)
	@ops/test_blender.sh $(VENV) $(MODELS_VENV)/blender

gpu:  ## on a host with an NVIDIA GPU: the suite of tests/gpu within 7 minutes; its report is GPU_REPORT
	@ops/install.sh $(VENV) all,dev
	@GPU_SUITE=$(GPU_REPORT) $(BIN)/python -m pytest -q -p no:xdist tests/gpu $(PYTEST_ARGS)

fuzz:  ## what strangers may send, for an hour; prints its seed; FUZZ_ARGS adds, e.g. --seconds 60 --only mesh
	@ops/install.sh $(VENV) all,dev
	@PYTHONPATH=tests $(BIN)/python -m fuzz $(FUZZ_ARGS)

mutants:  ## are the lines that decide tested? 100 one-line mutants; MUTANTS_ARGS adds, e.g. --seed 7
	@ops/install.sh $(VENV) all,dev
	@PYTHONPATH=tests $(BIN)/python -m mutants $(MUTANTS_ARGS)

check:  ## ruff and mypy
	@ops/install.sh $(VENV) all,dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

docs:  ## the documentation, in build/docs; every warning and every broken link within the project is an error
	@ops/install.sh $(VENV) all,docs
	@$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "look at build/docs/index.html"

SEEDS ?= 1000
FIRST ?= 0
simulate:  ## whole systems in virtual time under random faults; SEEDS=10000 FIRST=0 says which seeds
	@ops/install.sh $(VENV) all,dev
	@$(BIN)/python -m pocket3d.ops.simulation --seeds $(SEEDS) --first $(FIRST) --processes $(TEST_PROCESSES)

chaos:  ## kill everything for five minutes while jobs run, and count; CHAOS_ARGS="--servers 3" on a cluster
	@ops/install.sh $(VENV) all,dev
	@PYTHONPATH=tests $(BIN)/python -m chaos $(CHAOS_ARGS)

bench:  ## jobs per second and latency, beside a plain JetStream pipeline
	@ops/install.sh $(VENV) all,dev
	@$(BIN)/python tests/bench/bench.py $(BENCH_ARGS)

dev:  ## only set up for development
	@ops/install.sh $(VENV) all,dev

web:  ## the page, from ops/web into the package (needs Node.js 20.19 or later)
	@npm --prefix ops/web ci --no-fund --no-audit
	@npm --prefix ops/web run build

schema:  ## write what is generated: contracts/schema, asyncapi.json, the client without await
	@ops/install.sh $(VENV) all,dev
	@$(BIN)/python -m pocket3d.contracts.schema_export --write
	@$(BIN)/python -m pocket3d.contracts.asyncapi_export --write
	@$(BIN)/python -m pocket3d.bus.sync_export --write

clean:  ## remove the environment, caches and meshes
	rm -rf $(VENV) $(MODELS_VENV) ops/web/node_modules .ci-venv .mypy_cache .ruff_cache .pytest_cache .mutants out build/docs
