# Everything one needs, from a fresh clone on. `make` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON3 ?= python3
VENV := .venv
PYTHON := $(VENV)/bin/python
FUNCTION ?= poller
EVENT ?= events/poller-customers.json
SEEDS ?= 20000
MINUTES ?= 1
ARGS ?= status
ARCHITECTURE ?= arm64

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0
# cargo-lambda always names its target; when the tests do too, one folder serves both and the SDK is built once.
export CARGO_BUILD_TARGET ?= $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')

# No sanitizer: there is no unsafe code to watch. What takes 10 s or a gigabyte is a finding, too.
FUZZ := --fuzz-dir fuzz --target-dir target/fuzz --sanitizer none
FUZZ_LIMITS := -dict=fuzz/words.dict -timeout=10 -rss_limit_mb=1024

.PHONY: help setup lock demo picture test simulate fuzz bench check deploy sbom local-up local-down invoke local-log cli install new-source clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## Install the Python tools into .venv (only when requirements.txt changed)

$(VENV)/.installed: requirements.txt
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or newer is needed: make PYTHON3=..."; exit 1; }
	$(PYTHON3) -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.txt
	@touch $@

lock: ## Compile requirements.in into requirements.txt, with hashes for every platform
	$(PYTHON3) -m venv target/lock
	target/lock/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	target/lock/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
	  --custom-compile-command 'make lock' requirements.in --output-file requirements.txt

demo: setup ## Show the main job on this machine: import, edit, outage, alarm
	@$(PYTHON) -m local demo

picture: setup ## Draw the end of a demo as docs/demo.svg, for the README
	@$(PYTHON) -m local.picture

test: setup ## Run every test
	@# The contract suites of the AWS adapters need the emulator.
	@if cargo nextest --version >/dev/null 2>&1; then \
	  $(PYTHON) -m local run cargo nextest run --workspace --locked; \
	else \
	  $(PYTHON) -m local run cargo test --workspace --locked --lib --bins --tests; \
	fi
	cargo test --workspace --locked --doc
	$(PYTHON) -m pytest tests/template tests/new_source tests/emulator tests/end_to_end

simulate: ## Play histories of crashes and accidents: make simulate SEEDS=100000
	cargo run --locked --package tidemark-testkit --bin simulate -- --seeds $(SEEDS)

fuzz: ## Try all parsers with odd bytes, so long in all: make fuzz MINUTES=120
	cargo +nightly fuzz build $(FUZZ)
	@# The time is for all targets together. What they find beside the committed inputs stays in target/.
	@targets=$$(cargo +nightly fuzz list --fuzz-dir fuzz); \
	seconds=$$(awk -v minutes=$(MINUTES) -v count="$$(wc -w <<<"$$targets")" \
	  'BEGIN { seconds = int(minutes * 60 / count); print seconds < 1 ? 1 : seconds }'); \
	for target in $$targets; do \
	  mkdir -p target/fuzz/corpus/$$target; \
	  cargo +nightly fuzz run $(FUZZ) $$target target/fuzz/corpus/$$target fuzz/corpus/$$target -- \
	    $(FUZZ_LIMITS) -max_total_time=$$seconds -verbosity=0 -print_funcs=0 -print_final_stats=1; \
	done

bench: setup ## Measure the budgets of docs/performance.md
	@# Built in one go, so that what is measured is what is built here.
	cargo build --locked --release --bins
	cargo run --locked --release --package tidemark-bench

check: setup ## Lint everything, and fuzz for a minute where a nightly compiler is
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked
	cargo deny --locked check --deny warnings bans licenses sources
	@# Known vulnerabilities are in a database elsewhere. A machine that cannot reach it can still check all else.
	@if why=$$(cargo deny fetch db 2>&1); then cargo deny --locked check --deny warnings advisories; else \
	  echo "Advisories are NOT checked, because their database cannot be fetched: $$(tail -n 1 <<<"$$(sed '/^$$/d' <<<"$$why")")"; \
	fi
	$(PYTHON) -m pytest --quiet tests/prose
	sam validate --lint
	sam validate --lint --template-file infra/source.yaml
	sam validate --lint --template-file examples/forward/template.yaml
	cfn-lint --regions ALL_REGIONS --include-checks I --template infra/template.yaml infra/source.yaml examples/*/template.yaml
	@if cargo +nightly fuzz --version >/dev/null 2>&1; then $(MAKE) fuzz MINUTES=1; else \
	  echo "The fuzz targets are skipped. They need: rustup toolchain install nightly && cargo install cargo-fuzz"; \
	fi

deploy: setup $(VENV)/bin/cargo-auditable ## Build and deploy to your AWS account (asks the first time)
	PATH="$(CURDIR)/infra/auditable:$$PATH" sam build --parameter-overrides Architecture=$(ARCHITECTURE)
	sam deploy --guided

sbom: setup $(VENV)/bin/cargo-cyclonedx ## List what the functions are made of, as CycloneDX in target/sbom
	@mkdir -p target/sbom
	cargo cyclonedx --quiet --format json --spec-version 1.5 --no-build-deps --override-filename tidemark-sbom \
	  --target $(if $(filter x86_64,$(ARCHITECTURE)),x86_64,aarch64)-unknown-linux-gnu
	@# It leaves a file beside each crate of the workspace. Those of the functions are what is deployed.
	@for name in poller fetcher watcher; do \
	  mv functions/$$name/tidemark-sbom.json target/sbom/$$name.cdx.json; echo target/sbom/$$name.cdx.json; \
	done
	@find cli functions shared tests -name tidemark-sbom.json -delete

# Built from source once: no Python package carries it.
$(VENV)/bin/cargo-auditable: $(VENV)/.installed
	cargo install --locked --quiet --root $(VENV) --version 0.7.7 cargo-auditable
	@touch $@

$(VENV)/bin/cargo-cyclonedx: $(VENV)/.installed
	cargo install --locked --quiet --root $(VENV) --version 0.5.9 cargo-cyclonedx
	@touch $@

local-up: setup ## Start a local cloud with the stack in it, and leave it running
	@$(PYTHON) -m local up

local-down: setup ## End it
	@$(PYTHON) -m local down

cli: ## Run the command line from here: make cli ARGS="--local status"
	@cargo run --quiet --locked --package tidemark-cli -- $(ARGS)

install: ## Install the command line `tidemark` with cargo
	cargo install --locked --path cli

invoke: setup ## Invoke there: make invoke FUNCTION=poller EVENT=events/poller-customers.json
	@$(PYTHON) -m local invoke $(FUNCTION) $(EVENT)

local-log: setup ## Print a function's log there: make local-log FUNCTION=poller
	@$(PYTHON) -m local log $(FUNCTION)

new-source: setup ## Write a source to begin with: make new-source NAME="Acme"
	@$(if $(NAME),,$(error NAME is the vendor, as texts show it: make new-source NAME="Acme"))$(PYTHON) -m local.new_source "$(NAME)"

clean: ## Remove what was built, installed and written here
	@if [ -e .local/running.json ]; then $(PYTHON) -m local down; fi
	rm -rf target .aws-sam .local $(VENV) .pytest_cache
