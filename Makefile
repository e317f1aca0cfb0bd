# Run `make` to see what there is. Every target installs what it needs.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export ORT_DISABLE_TELEMETRY := 1
PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest
CLUSTER := PYTHONPATH=tests/cluster $(PYTHON) -m llm_cluster

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  \033[36m%-21s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ See it
.PHONY: demo demo-down
demo: venv ## Show the whole product on a local Kubernetes: install, apply, stream, scale, roll out
	@$(PYTHON) -m demo
demo-down: venv ## Remove the demo; the local cluster goes with it, without a trace
	@$(PYTHON) -m demo.down

##@ Test
.PHONY: test test-unit test-cluster test-long check
test: venv-torch ## Run every test but the long ones (unit, contract, chart, cluster story)
	@scripts/test
test-unit: venv ## Run the tests that need no socket, no cluster and no torch
	@$(PYTEST) tests/unit -m "not torch and not long"
test-cluster: venv ## Run the tests that need the local cluster
	@scripts/test cluster
test-long: venv-torch ## Run the tests that take minutes
	@scripts/test long
check: venv ## Lint, types, imports, generated files
	@scripts/check

##@ Build
.PHONY: generate images lock venv venv-torch
generate: venv ## Write the gRPC stubs and the chart's copy of the CRD
	@scripts/generate
images: venv ## Build the container images for the local cluster
	@scripts/images
lock: venv ## Resolve requirements/*.in into hash-locked requirements/*.txt
	@scripts/lock
venv: ## Make .venv with the locked tools and the three distributions
	@scripts/venv
venv-torch: ## The same with torch and transformers, the reference of the export tests
	@scripts/venv --torch

##@ Measure
.PHONY: bench bench-autoscaling bench-autoscaler-sim bench-traffic
bench-autoscaling: venv-torch ## Measure scaling on real pods and write build/bench/autoscaling.json
	@$(PYTHON) -m bench.autoscaling --write-docs
bench-autoscaler-sim: venv ## Simulate the autoscaler beside HPA and Knative and write docs/autoscaling.md
	@$(PYTHON) -m bench.autoscaler_sim --write-docs
bench-traffic: venv-torch ## Measure how calls are shared among real pods and write build/bench/traffic.json
	@$(PYTHON) -m bench.traffic --write-docs
bench: venv-torch ## Measure the path end to end and write build/bench/path.json
	@$(PYTHON) -m bench.path --write-docs

##@ Local cluster
.PHONY: cluster-up cluster-down cluster-env cluster-status
cluster-up: venv ## Start the local two-node Kubernetes
	@$(CLUSTER) up --metrics
cluster-down: venv ## Stop it without a trace
	@$(CLUSTER) down
cluster-env: ## Print export lines: eval "$$(make -s cluster-env)" gives a shell with kubectl, helm and grpcurl
	@scripts/venv >&2; $(CLUSTER) env
cluster-status: venv ## Say who owns the running cluster and how it is
	@$(CLUSTER) status
