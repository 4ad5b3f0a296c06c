# `make help` lists the commands.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory --warn-undefined-variables

ARGS ?=
# The processor of the deployed functions. arm64 costs less; building for it needs `rustup target add aarch64-unknown-linux-gnu`.
ARCH ?= arm64

VENV := .venv
MINISTACK := $(VENV)/ministack
QUERY := $(VENV)/query
# The tools of the virtual environment: `sam` finds `cargo-lambda` on the path.
IN_VENV := PATH="$(CURDIR)/$(VENV)/bin:$$PATH" SAM_CLI_TELEMETRY=0
# template.yaml with its loops expanded.
EXPANDED := .aws-sam/expanded.yaml
# Every build for the demo and the tests has the same packages. So each dependency has the same features in all of them, and is
# compiled once. The benchmark is left out, because only `make bench` and `make bench-test` need it and its dependencies.
PACKAGES := --locked --profile demo --workspace --exclude myaku-bench
DEMO_BUILD := cargo build $(PACKAGES) --bins

##@ On one machine

.PHONY: demo
demo: ## Run everything on this machine, under traffic with faults, and check the promises (ARGS="--seconds 30 --stay")
	@scripts/need cargo cc redis
	$(DEMO_BUILD)
	target/demo/myaku demo $(ARGS)

.PHONY: local
local: ## Bring the template up on this machine and keep it running (ARGS=...)
	@scripts/need cargo cc redis
	$(DEMO_BUILD)
	target/demo/myaku local $(ARGS)

.PHONY: test
test: $(QUERY)/.installed ## Run all tests, those against real servers included
	@scripts/need cargo cc redis
	$(DEMO_BUILD)
	cargo test $(PACKAGES) $(ARGS)

# SEEDS: how many seeds are tried, from the first on. SEED: try this seed alone, and print its trace.
SEEDS ?= 300
SEED ?=
SIMULATE := target/demo/examples/simulate

.PHONY: simulate
simulate: ## Run the functions under every fault, from seeds (SEEDS=1000; SEED=17 repeats one, with its trace)
	@scripts/need cargo cc
	cargo build $(PACKAGES) --example simulate
	$(SIMULATE) $(if $(SEED),--seed $(SEED),--seeds $(SEEDS) $(ARGS))

.PHONY: simulate-mutants
simulate-mutants: ## Break the code on purpose, and see the simulation find each break
	@scripts/need cargo cc
	scripts/mutants simulate tests/simulation/mutants/*.patch

# SECONDS: how long each target runs. TARGET: run this target alone.
SECONDS ?= 60
TARGET ?=

.PHONY: fuzz
fuzz: ## Feed random bytes to all code that reads bytes from outside (SECONDS=600 for each target; TARGET=message runs one)
	@scripts/need cargo cc
	SECONDS_EACH=$(SECONDS) scripts/fuzz $(TARGET)

# By default fewer seeds than in the simulation: each takes most of a minute.
CHAOS_SEEDS = $(if $(filter file,$(origin SEEDS)),10,$(SEEDS))

.PHONY: chaos
chaos: ## Kill, freeze and cut off real processes and stores, by plans from seeds (SEEDS=20; SEED=7 repeats one)
	@scripts/need cargo cc redis
	$(DEMO_BUILD)
	$(if $(SEED),MYAKU_CHAOS_SEED=$(SEED),MYAKU_CHAOS_SEEDS=$(CHAOS_SEEDS)) \
	    cargo test $(PACKAGES) --test e2e chaos:: -- --nocapture

.PHONY: chaos-mutants
chaos-mutants: ## Break the functions on purpose, and see plans of chaos find each break
	@scripts/need cargo cc redis
	$(DEMO_BUILD)
	scripts/mutants chaos tests/e2e/chaos/mutants/*.patch

NAME ?=

.PHONY: new-function
new-function: ## Lay out a stateful function of your own (NAME=warm-hours)
	@scripts/need python
	@scripts/new_function "$(NAME)"

# A copy of the sources, so that nothing is left behind.
NEW_FUNCTION := target/new-function

.PHONY: new-function-test
new-function-test: $(VENV)/.installed ## Lay out a function in a copy of the sources, check its template, and run its tests
	@scripts/need cargo cc python
	rm -rf $(NEW_FUNCTION) && mkdir -p $(NEW_FUNCTION)
	git ls-files -z --cached --others --exclude-standard | tar --null --files-from=- -cf - | tar -C $(NEW_FUNCTION) -xf -
	ln -s $(CURDIR)/$(VENV) $(NEW_FUNCTION)/$(VENV)
	@if (cd $(NEW_FUNCTION) && scripts/new_function window 2>/dev/null); then echo "a name that is taken must be refused" >&2; exit 1; fi
	cd $(NEW_FUNCTION) && scripts/new_function warm-hours && $(IN_VENV) cfn-lint template.yaml
	cd $(NEW_FUNCTION) && CARGO_BUILD_BUILD_DIR=$(CURDIR)/target CARGO_TARGET_DIR=$(CURDIR)/target/mutants \
	    cargo test --quiet --offline --profile demo --workspace --exclude myaku-bench --bin warm-hours

.PHONY: bench
bench: ## Measure the record path against its limits, and write BENCHMARKS.md (ARGS="archiver" measures a part, and writes nothing)
	@scripts/need cargo cc redis python
	$(if $(strip $(ARGS)),cargo run --locked --release --package myaku-bench -- run $(ARGS),$(BENCH_ALL))

# A run of all cases starts every function and `myaku`. They are built first, in one command. A run of selected cases builds the
# programs that it starts itself.
BENCH_ALL := cargo build --locked --release --workspace --bins --example nothing && target/release/myaku-bench run

.PHONY: bench-test
bench-test: ## Run the benchmark's own tests
	@scripts/need cargo cc python
	cargo test --locked --profile demo --workspace --bin myaku-bench

PEERS := target/bench/peers

.PHONY: bench-peers
bench-peers: $(PEERS)/.installed ## Measure Python and Node on the archiver's work, and add them to BENCHMARKS.md
	@scripts/need cargo cc
	cargo run --locked --release --package myaku-bench -- peers $(PEERS) $(ARGS)

$(PEERS)/.installed: $(wildcard bench/peers/*)
	@scripts/need python node
	mkdir -p $(PEERS)
	python3 -m venv $(PEERS)/python
	$(PEERS)/python/bin/python -m pip install --quiet --disable-pip-version-check -r bench/peers/requirements.txt
	cp bench/peers/*.json bench/peers/*.py bench/peers/*.mjs $(PEERS)
	npm ci --prefix $(PEERS) --ignore-scripts --no-audit --no-fund --silent
	@touch $@

##@ The page

PAGE := $(VENV)/page

.PHONY: page
page: ## Serve the page with a made-up world behind it, and print addresses to open (ARGS="--port 8090")
	@scripts/need python
	python3 web/tests/mock.py $(ARGS)

.PHONY: page-test
page-test: $(PAGE)/.installed ## Test the page in Chromium (ARGS="-k alert" runs some of the tests)
	@scripts/need chromium
	$(PAGE)/bin/python -m pytest -q -p no:cacheprovider web/tests $(ARGS)

$(PAGE)/.installed: web/tests/requirements.txt
	@scripts/need python
	python3 -m venv $(PAGE)
	$(PAGE)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

##@ Checks

.PHONY: ci
ci: fmt-check tidy lint no-sdk no-emulator deny template openapi page-test test bench-test new-function-test simulate watch-test interop demo-short ## Run all checks of continuous integration

.PHONY: fmt
fmt: ## Format the code
	@scripts/need cargo cargo-component-fmt
	cargo fmt --all

.PHONY: fmt-check
fmt-check:
	@scripts/need cargo cargo-component-fmt
	cargo fmt --all --check

.PHONY: lint
lint: ## Run clippy and rustdoc, where a warning is an error
	@scripts/need cargo cc cargo-component-clippy
	cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --all-features --document-private-items
	@# Nothing else here builds fuzz/, so this checks that its lock file is up to date.
	@cargo metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null

.PHONY: no-sdk
no-sdk: ## Prove that the domain crate without features has no SDK in its tree
	@scripts/need cargo
	@tree=$$(cargo tree --locked -p myaku --no-default-features -e normal --prefix none); \
	if grep -E '^(aws|redis|lambda|rustls|hyper|reqwest)' <<<"$$tree" | sort -u | grep . >&2; then \
	    echo "the domain crate without features depends on these, and must not: put the dependency behind a feature of shared/Cargo.toml" >&2; exit 1; \
	fi
	@echo "no SDK in the domain crate's tree"

.PHONY: no-emulator
no-emulator: ## Prove that what an operator installs has no emulator in its tree
	@scripts/need cargo
	@tree=$$(cargo tree --locked -p myaku-operator -e normal --prefix none; \
	    cargo tree --locked -p myaku-cli --no-default-features -e normal --prefix none); \
	if grep -E '^(rumqttd|dynoxide-rs|ferrokinesis|s3s|axum) ' <<<"$$tree" | sort -u | grep . >&2; then \
	    echo "the operator's tools depend on these, and must not: move what needs them to local/, or behind the feature local of cli/" >&2; exit 1; \
	fi
	@echo "no emulator in the operator's tree"

.PHONY: deny
deny: ## Check licences, sources, bans and advisories of the dependencies
	@scripts/need cargo cc cargo-deny
	cargo deny --locked check bans licenses sources
	@if cargo deny --locked fetch db >/dev/null 2>&1; then \
	    cargo deny --locked check --disable-fetch advisories; \
	else \
	    echo "NOT CHECKED: advisories, because their database cannot be reached; run make deny again with access to the internet" >&2; \
	fi

.PHONY: template
template: $(EXPANDED) ## Check template.yaml, as it is written and with its loops expanded
	$(IN_VENV) sam validate --lint
	$(IN_VENV) cfn-lint template.yaml
	$(IN_VENV) sam validate --lint --template-file $(EXPANDED)

.PHONY: openapi
openapi: $(VENV)/.installed ## Check the descriptions of the HTTP API
	$(VENV)/bin/openapi-spec-validator functions/http-ingest/openapi.json functions/query-api/openapi.json

.PHONY: interop
interop: $(VENV)/.installed ## Exchange aggregated records with AWS's own Python package, both ways
	@scripts/need cargo cc
	cargo build $(PACKAGES) --example kpl
	$(VENV)/bin/python scripts/kpl_interop.py target/demo/examples/kpl

.PHONY: watch-test
watch-test: $(VENV)/.installed ## Run one function with `cargo lambda watch` and `invoke`, against the servers of `myaku local`
	@scripts/need cargo cc redis
	$(DEMO_BUILD)
	$(IN_VENV) $(VENV)/bin/python scripts/watch_test.py

.PHONY: tidy
tidy: ## Check files' sizes, links, imports between parts, plain English, generated pages, stray marks
	@scripts/tidy

.PHONY: demo-short
demo-short:
	@scripts/need cargo cc redis
	$(DEMO_BUILD)
	target/demo/myaku demo --seconds 15 --json

##@ AWS

# Without this, the cryptography gathers entropy from timing jitter for up to a second of a cold start. The processor supplies entropy
# itself.
BUILD_ENV := AWS_LC_SYS_NO_JITTER_ENTROPY=1

.PHONY: tools
tools: $(VENV)/.installed $(QUERY)/.installed ## Install sam, cargo-lambda, cfn-lint, and DuckDB for `myaku query`, into .venv

.PHONY: build
build: $(EXPANDED) ## Build the functions for deployment (ARCH=arm64 or x86_64)
	@scripts/need cargo cc
	$(IN_VENV) $(BUILD_ENV) nice sam build --template-file $(EXPANDED) --base-dir . --config-file $(CURDIR)/samconfig.toml \
	    --parameter-overrides Architecture=$(ARCH) $(ARGS)

# CloudFormation gets the template without loops: docs/decisions/0007-each-shape-of-the-template-once.md.
$(EXPANDED): template.yaml scripts/expand_template.py $(VENV)/.installed
	$(VENV)/bin/python scripts/expand_template.py $< $@

.PHONY: deploy
deploy: build ## Deploy to the AWS account of your credentials (PARAMETERS="IngestShards=4 AlarmEmail=...")
	$(IN_VENV) sam deploy --parameter-overrides Architecture=$(ARCH) $(PARAMETERS)
	$(VENV)/bin/python scripts/stack_policy.py protect

.PHONY: unprotect
unprotect: $(VENV)/.installed ## Let the next deployment change the stream of messages itself (its retention, its mode)
	$(VENV)/bin/python scripts/stack_policy.py open

PARAMETERS ?=

.PHONY: deploy-local
deploy-local: ARCH = $(subst aarch64,arm64,$(shell uname -m))
deploy-local: build $(MINISTACK)/.installed ## Deploy the same template to ministack (AWS on this machine), and read every setting back
	$(IN_VENV) $(VENV)/bin/python scripts/deploy_local.py --architecture $(ARCH) --ministack $(MINISTACK)/bin/python

$(VENV)/.installed: scripts/requirements.txt
	@scripts/need python
	python3 -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# DuckDB and its extension for S3, of one version. By itself, because it needs nothing of the others.
$(QUERY)/.installed: query/requirements.txt
	@scripts/need python
	python3 -m venv $(QUERY)
	$(QUERY)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(MINISTACK)/.installed: scripts/requirements-ministack.txt $(VENV)/.installed
	python3 -m venv $(MINISTACK)
	$(MINISTACK)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.PHONY: help
help: ## Print this list
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	    /^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
